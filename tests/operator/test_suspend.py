# SPDX-License-Identifier: ISC
"""A destination that an operator suspends gets nothing until the time is over
or somebody resumes it, whatever happens to relayd meanwhile."""

import unittest

import desk
from harness.relay import route


class Suspend(desk.Desk):
    queue = {'retry': ['1h'], 'probe': '1h'}

    @property
    def name(self):
        return f'out/{self.hop.host}:{self.hop.port}'

    def suspended(self):
        """What is shown of the destination, which has to be suspended."""
        row = self.ask('destination', 'list')
        self.assertEqual((row['state'], row['cause']),
                         ('suspended', 'suspended'))
        return row

    def suspend_and_send(self, *options):
        self.relay.ctl('destination', 'suspend', self.name, *options)
        before = len(self.hop.arrivals)
        self.send(3)
        self.relay.wait_deferred(3, 'suspended')
        self.assertEqual(len(self.hop.arrivals), before)

    def test_nothing_goes_until_resumed(self):
        self.suspend_and_send('--for', '2h', '--reason', 'Wartung, Kabel 7')
        row = self.suspended()
        self.assertEqual(row['reason'], 'Wartung, Kabel 7')
        self.assertIsNotNone(row['until'])
        text = self.relay.ctl('destination', 'list').stdout
        self.assertIn('Wartung, Kabel 7', text)
        text = self.relay.ctl('status').stdout
        self.assertIn('suspended', text)
        self.assertIn('Wartung, Kabel 7', text)
        shown = self.ask('status')['destinations']
        self.assertEqual([d['state'] for d in shown], ['suspended'])
        # Neither resubmit nor probe overrule it.
        self.relay.ctl('resubmit', '--deferred')
        self.relay.ctl('destination', 'probe', 'out/*')
        self.relay.wait_deferred(3, 'suspended')
        row = self.ask('destination', 'resume', 'out/*')
        self.assertEqual((row['state'], row['until'], row['reason']),
                         ('up', None, ''))
        self.hop.wait(3)
        self.check_books()
        self.end()

    def test_outlives_a_crash_and_a_reload(self):
        self.suspend_and_send('--for', '2h', '--reason', 'later')
        until = self.suspended()['until']
        self.restart()
        row = self.suspended()
        self.assertEqual((row['until'], row['reason']), (until, 'later'))
        # Another policy: what was known of it otherwise is void.
        self.relay.configure(route('out', hosts=[self.hop.address],
                                   tls='opportunistic'))
        self.relay.ctl('reload')
        row = self.suspended()
        self.assertEqual((row['until'], row['reason']), (until, 'later'))
        self.relay.wait_deferred(3, 'suspended')
        self.relay.ctl('destination', 'resume', self.name)
        self.check_books()
        self.restart()
        self.assertEqual(self.ask('destination', 'list')['state'], 'up')
        self.end()

    def test_ends_by_itself(self):
        self.suspend_and_send('--for', '3s')
        self.hop.wait(3)
        row = self.ask('destination', 'list')
        self.assertEqual((row['state'], row['until']), ('up', None))
        self.check_books()
        self.end()

    def test_open_connections_end(self):
        self.send(1)
        self.hop.wait(1)
        self.suspend_and_send()
        desk.net.wait_for('the connections end', lambda: self.hop.open == 0)
        self.relay.ctl('destination', 'resume', self.name)
        self.check_books()
        self.end()

    def test_refusals(self):
        self.relay.ctl('destination', 'suspend', 'nowhere/*', expect=1)
        self.relay.ctl('destination', 'resume', 'nowhere/*', expect=1)
        self.relay.ctl('destination', 'suspend', expect=2)
        for wrong in ('soon', '0s', '-1h', '99999d'):
            self.relay.ctl('destination', 'suspend', self.name,
                           f'--for={wrong}', expect=2)
        self.assertEqual(self.ask('destination', 'list')['state'], 'up')
        self.end()


if __name__ == '__main__':
    unittest.main()
