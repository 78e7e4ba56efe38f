# SPDX-License-Identifier: ISC
"""What holds a message right now."""

import unittest

import desk


class Explain(desk.Desk):
    queue = {'retry': ['1h'], 'probe': '1h'}
    out = {'max_connections': 1}

    def holds(self, number):
        row, = self.relay.ctl_json('queue', 'explain', number)
        return [hold['hold'] for hold in row['holds']]

    def test_what_can_hold_it(self):
        sent, = self.defer(1)
        self.assertEqual(self.holds(sent.id), ['schedule'])
        text = self.relay.ctl('queue', 'explain', sent.id).stdout
        self.assertIn('bob@example.net: deferred', text)
        self.assertIn('its next try is not due yet', text)
        self.assertIn('451 4.3.0 Not now', text)
        self.relay.ctl('destination', 'suspend', 'out/*', '--reason', 'X7')
        self.assertEqual(self.holds(sent.id),
                         ['schedule', 'destination-suspended'])
        self.relay.ctl('resubmit', sent.id)
        self.relay.wait_deferred(1, 'suspended')
        self.assertEqual(self.holds(sent.id), ['destination-suspended'])
        text = self.relay.ctl('queue', 'explain', sent.id).stdout
        self.assertIn('X7', text)
        self.relay.ctl('hold', sent.id)
        self.assertEqual(self.holds(sent.id), ['held'])
        self.relay.ctl('remove', sent.id)
        self.assertEqual(self.holds(sent.id), ['final'])
        self.relay.ctl('queue', 'explain', '0000000000000', expect=1)
        self.relay.ctl('queue', 'explain', 'what', expect=1)
        self.relay.ctl('queue', 'explain', expect=2)
        self.end()

    def test_connections(self):
        """One is stuck in the only connection; the other waits for it."""
        self.hop.behaviour.pause_s = 3
        self.send(2)
        rows = desk.net.wait_for('one is active', lambda: [
            r for r in self.relay.ctl_json('queue', 'list', '--state',
                                           'queued')
            if self.relay.ctl_json('queue', 'list', '--state', 'active')])
        self.assertIn(self.holds(rows[0]['id']), (['connections'], ['ramp']))
        self.hop.behaviour.pause_s = 0
        self.check_books()
        self.end()


if __name__ == '__main__':
    unittest.main()
