# SPDX-License-Identifier: ISC
"""What an operator changes is written down before it happens, and stays."""

import os
import pwd
import unittest

import desk


class Audit(desk.Desk):

    def entries(self, *args):
        return self.relay.ctl_json('audit', *args)

    def test_every_change_is_there(self):
        """Who, what, how many; the newest first; nothing of who only
        looks."""
        sent = self.defer(4)
        self.relay.ctl('hold', sent[0].id, sent[1].id)
        self.relay.ctl('release', '--state', 'held')
        self.relay.ctl('remove', '--sender', 'alice@*', '--older', '0s',
                       '--dry-run')
        self.relay.ctl('hold', '--sender', 'nobody@*', expect=4)
        self.relay.ctl('remove', sent[3].id)
        self.relay.ctl('destination', 'suspend', 'out/*', '--reason', 'why')
        self.relay.ctl('destination', 'resume', 'out/*')
        self.relay.ctl('reload')
        self.relay.ctl('log-level', 'info')
        self.relay.ctl('queue', 'list')
        self.relay.ctl('status')
        entries = self.entries()
        self.assertEqual(
            [e['verb'] for e in entries],
            ['log-level', 'reload', 'destination resume',
             'destination suspend', 'remove', 'release', 'hold'])
        self.assertEqual([e['number'] for e in entries],
                         [7, 6, 5, 4, 3, 2, 1])
        me = pwd.getpwuid(os.geteuid())
        for entry in entries:
            self.assertEqual((entry['uid'], entry['user']),
                             (me.pw_uid, me.pw_name))
            self.assertRegex(entry['time'], r'^20\d\d-\d\d-\d\dT.*Z$')
        hold, release, remove = entries[6], entries[5], entries[4]
        self.assertEqual(hold['request'], {'ids': [sent[0].id, sent[1].id]})
        self.assertEqual((hold['messages'], hold['recipients'],
                          hold['complete']), (2, 2, True))
        self.assertEqual(release['request'], {'filter': {'state': 'held'}})
        self.assertEqual(remove['recipients'], 1)
        suspend = entries[3]
        self.assertEqual(suspend['request'], {'destination': 'out/*',
                                              'reason': 'why'})
        self.assertEqual(suspend['destinations'],
                         [f'out/{self.hop.host}:{self.hop.port}'])
        self.assertTrue(entries[1]['reloaded'])
        text = self.relay.ctl('audit').stdout
        self.assertEqual(len(text.splitlines()), 8)
        self.assertIn('2 recipients in 2 messages', text)
        self.assertIn('--state held', text)
        self.end()

    def test_limit_and_restart(self):
        sent = self.defer(1)
        for _ in range(3):
            self.relay.ctl('hold', sent[0].id)
            self.relay.ctl('release', sent[0].id)
            self.relay.wait_deferred(1, 'peer-deferred')
        self.assertEqual([e['number'] for e in self.entries('--limit', '2')],
                         [6, 5])
        self.relay.ctl('audit', '--limit', 'x', expect=2)
        self.restart()
        self.assertEqual(len(self.entries()), 6)
        self.relay.ctl('hold', sent[0].id)
        self.assertEqual(self.entries('--limit', '1')[0]['number'], 7)
        self.end()

    def test_many_ids_are_cut(self):
        sent = self.defer(1)
        ids = [f'{n:013d}' for n in range(1, 150)] + [sent[0].id]
        self.relay.ctl('hold', *ids)
        entry, = self.entries()
        self.assertEqual(len(entry['request']['ids']), 100)
        self.assertEqual(entry['request']['ids_more'], 50)
        self.assertEqual(entry['messages'], 1)
        self.end()


if __name__ == '__main__':
    unittest.main()
