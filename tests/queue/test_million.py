# SPDX-License-Identifier: ISC
"""What bench/million measures, on a queue small enough for every day: all of
it is listed and counted, in little memory, and a resubmission delivers while
mail comes in.  No time is asserted."""

import importlib.machinery
import importlib.util
import unittest

import scene                    # noqa: F401, it finds the harness
from harness import net, peer

MESSAGES = 20000
MEMORY_KIB = 100 * 1024


def load():
    """bench/million, which is a program."""
    loader = importlib.machinery.SourceFileLoader(
        'million', f'{peer.TOP}/bench/million')
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader('million', loader))
    loader.exec_module(module)
    return module


class Small(unittest.TestCase):

    def test_twenty_thousand(self):
        measured = []
        million = load().Million(MESSAGES, measured.append)
        self.addCleanup(million.close)
        million.seed()
        million.start()
        sanitized = million.relay.is_sanitized()
        states = {}
        for row in million.relay.summary():
            states[row['state']] = (states.get(row['state'], 0)
                                    + row['messages'])
        self.assertEqual(states, {
            'queued': MESSAGES * 2 // 100, 'deferred': MESSAGES * 80 // 100,
            'held': MESSAGES * 8 // 100, 'expired': MESSAGES * 6 // 100,
            'failed': MESSAGES * 4 // 100})
        self.assertEqual(million.full_list(), MESSAGES)
        self.assertEqual(len(million.relay.ctl_json(
            'queue', 'list', '--sort', 'size', '--limit', '50')), 50)

        said = million.resubmit(1)
        self.addCleanup(million.hop.end)
        self.assertIn('"verb":"resubmit"', said)
        # What was deferred for TLS goes, with what waited for the same
        # destinations.
        net.wait_for('it was delivered', lambda: million.hop.count()[0]
                     >= MESSAGES * 30 // 100, 120, 0.2)
        if not sanitized:
            self.assertLess(million.relay.rss_anon_kib(), MEMORY_KIB)
        million.relay.ctl('check', 'queue')


if __name__ == '__main__':
    unittest.main()
