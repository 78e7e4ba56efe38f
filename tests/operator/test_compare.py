# SPDX-License-Identifier: ISC
"""What a changed configuration file would mean for the mail that waits."""

import unittest

import desk
from desk import scene


class Compare(desk.Desk):
    queue = {'retry': ['1h'], 'lifetime': '5d'}

    def compare(self, expect):
        *groups, verdict = self.relay.ctl_json(
            'check', 'config', '--against-queue', expect=expect)
        return groups, verdict

    def configure(self, **options):
        route = {'hosts': [self.hop.address], 'tls': 'off', **options}
        self.relay.configure(
            scene.route('out', **route),
            scene.route('partner', domains=['partner.example'],
                        hosts=['127.0.0.9:2525'], tls='forced'))

    def test_what_would_change(self):
        self.defer(2, recipients=('bob@example.net', 'eve@partner.example'))
        groups, verdict = self.compare(0)
        self.assertEqual(groups, [])
        self.assertEqual(verdict, {'ok': True, 'problems': [],
                                   'recipients': 4, 'affected': 0})
        done = self.relay.ctl('check', 'config', '--against-queue')
        self.assertEqual(done.stdout, 'no difference for 4 recipients\n')

        self.configure()
        (group,), verdict = self.compare(1)
        self.assertEqual(verdict['affected'], 2)
        self.assertEqual(
            {k: group[k] for k in ('route', 'new_route', 'hosts', 'new_hosts',
                                   'tls', 'expiry', 'messages',
                                   'recipients')},
            {'route': 'out', 'new_route': 'partner',
             'hosts': f'{self.hop.host}:{self.hop.port}',
             'new_hosts': '127.0.0.9:2525',
             'tls': 'off', 'expiry': 'same', 'messages': 2, 'recipients': 2})
        self.assertIn('forced verify=name', group['new_tls'])

        self.configure(lifetime='1s', tls='opportunistic')
        desk.net.wait_for('it is over a second old', lambda: sorted(
            g['expiry'] for g in self.compare(1)[0]) == ['now', 'same'])
        text = self.relay.ctl('check', 'config', '--against-queue',
                              expect=1).stdout
        for line in ('2 recipients in 2 messages of route out:\n',
                     '   route: out -> partner\n',
                     f'   hosts: {self.hop.host}:{self.hop.port} -> 127.0.0.9:2525\n',
                     '   tls: off -> opportunistic verify=none',
                     '   expiry: AT ONCE, when this configuration is taken\n',
                     '4 of 4 recipients would be treated differently'):
            self.assertIn(line.replace('4 of 4', '4 recipients of 4'), text)

        # Nothing was changed by looking.
        self.assertEqual(self.states(), {'deferred': 4})
        self.end()

    def test_a_file_that_cannot_be_taken(self):
        self.defer(1)
        self.configure(frobnicate='yes')
        groups, verdict = self.compare(1)
        self.assertEqual(groups, [])
        self.assertFalse(verdict['ok'])
        self.assertIn('frobnicate', verdict['problems'][0])
        self.assertNotIn('affected', verdict)
        text = self.relay.ctl('check', 'config', '--against-queue',
                              expect=1).stdout
        self.assertIn('frobnicate', text)
        self.assertIn('nothing to compare', text)
        self.end()

    def test_pages(self):
        """More than one page of the queue."""
        self.defer(600)
        self.configure(tls='opportunistic')
        (group,), verdict = self.compare(1)
        self.assertEqual((group['messages'], group['recipients'],
                          verdict['affected']), (600, 600, 600))
        self.end()


if __name__ == '__main__':
    unittest.main()
