# SPDX-License-Identifier: ISC
"""The certificate has been renewed at a real Postfix, and nobody tells
relayd: its probe finds out, and the backlog drains."""

import unittest

import story


class Probe(story.Story):
    # The schedule of retries does not help.
    queue = {'probe': '1s', 'retry': ['1h']}

    def state(self):
        rows = self.relay.ctl_json('destination', 'list')
        self.assertEqual(len(rows), 1)
        return rows[0]['state'], rows[0]['cause']

    def test_all_arrive_once(self):
        self.peer.present(self.certs.expired)
        self.defer(story.MANY, 'tls-cert-expired')
        self.assertEqual(self.state(), ('failing', 'tls-cert-expired'))
        self.peer.present(self.certs.good)
        self.check_books()
        self.assertEqual(self.state(), ('up', ''))
        self.tap.assert_nothing_leaked()
        self.end()

    def test_crash_in_the_middle(self):
        self.peer.present(self.certs.expired)
        self.defer(story.MANY, 'tls-cert-expired')
        self.peer.present(self.certs.good)
        self.crash()
        self.check_books(crashed=True)
        self.tap.assert_nothing_leaked()
        self.end()

    def test_crash_while_it_fails(self):
        """What waits, why, and the probe survive a crash."""
        self.peer.present(self.certs.expired)
        self.defer(100, 'tls-cert-expired')
        self.relay.kill()
        self.relay.start()
        self.relay.wait_deferred(100, 'tls-cert-expired')
        self.assertEqual(self.state(), ('failing', 'tls-cert-expired'))
        self.peer.present(self.certs.good)
        self.check_books()
        self.tap.assert_nothing_leaked()
        self.end()


if __name__ == '__main__':
    unittest.main()
