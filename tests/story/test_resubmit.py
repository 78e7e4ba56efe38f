# SPDX-License-Identifier: ISC
"""The certificate has been renewed at a real Postfix: one command, and all
that waited is there."""

import unittest

import story


class Resubmit(story.Story):
    # Nothing else may help: no probe and no retry comes in time.
    queue = {'probe': '1h', 'retry': ['1h']}

    def test_all_arrive_once(self):
        self.peer.present(self.certs.expired)
        self.defer(story.MANY, 'tls-cert-expired')
        self.peer.present(self.certs.good)
        self.assertEqual(self.relay.waiting(), story.MANY)
        self.assertEqual(self.resubmit(), story.MANY)
        self.check_books()
        self.tap.assert_nothing_leaked()
        self.end()

    def test_crash_in_the_middle(self):
        self.peer.present(self.certs.expired)
        self.defer(story.MANY, 'tls-cert-expired')
        self.peer.present(self.certs.good)
        self.resubmit()
        self.crash()
        self.relay.ctl('resubmit', '--deferred', '--yes', expect=None)
        self.check_books(crashed=True)
        self.tap.assert_nothing_leaked()
        self.end()


if __name__ == '__main__':
    unittest.main()
