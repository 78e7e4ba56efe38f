# SPDX-License-Identifier: ISC
"""The certificate story with a real Exim as the next hop."""

import unittest

import story
from harness.exim import Exim


class EximStory(story.Story):
    next_hop = Exim
    queue = {'probe': '1h', 'retry': ['1h']}

    def test_renewed_and_resubmitted(self):
        self.peer.present(self.certs.expired)
        self.defer(story.MANY, 'tls-cert-expired')
        self.peer.present(self.certs.good)
        self.resubmit()
        self.check_books()
        self.tap.assert_nothing_leaked()
        self.end()


if __name__ == '__main__':
    unittest.main()
