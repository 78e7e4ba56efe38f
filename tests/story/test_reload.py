# SPDX-License-Identifier: ISC
"""A real Postfix does not offer STARTTLS, and the administrator decides that
opportunistic TLS will do: after `relayctl reload` the waiting mail goes."""

import unittest

import story


class Reload(story.Story):
    queue = {'probe': '1s'}

    def setUp(self):
        super().setUp()
        self.peer.present(None)
        self.defer(story.MANY, 'tls-not-offered')

    def relax(self):
        self.tap.assert_nothing_leaked()
        self.relay.reload(*self.sections(tls='opportunistic'))

    def test_all_arrive_once(self):
        self.relax()
        self.check_books()
        self.end()

    def test_crash_in_the_middle(self):
        self.relax()
        self.crash()
        self.check_books(crashed=True)
        self.end()

    def test_wrong_file_changes_nothing(self):
        """A reload takes the file whole or not at all."""
        self.relay.configure(*self.sections(tls='perhaps'))
        done = self.relay.ctl('reload', expect=1)
        self.assertIn(f'{self.relay.conf}:', done.stderr)
        self.relay.wait_deferred(story.MANY, 'tls-not-offered')
        self.tap.assert_nothing_leaked()
        self.end()


if __name__ == '__main__':
    unittest.main()
