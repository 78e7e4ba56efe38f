# SPDX-License-Identifier: ISC
"""The short run of `make power`: some hundred states of a small record."""

import random
import unittest

import power


class Power(unittest.TestCase):
    def test_nothing_is_lost(self):
        seed = random.SystemRandom().getrandbits(31)
        print(f'seed {seed}')
        print(power.once(300, seed, 40))


if __name__ == '__main__':
    unittest.main(verbosity=2)
