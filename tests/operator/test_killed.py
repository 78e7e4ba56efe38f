# SPDX-License-Identifier: ISC
"""A verb that is broken off in the middle: by the end of relayctl the work
goes on; by the end of relayd a part is done, never half a message."""

import subprocess
import unittest

import desk
from harness.relay import RELAYCTL

N = 1500


class Killed(desk.Desk):

    def start_hold(self):
        self.refuse_all()
        self.relay.ctl('destination', 'suspend', 'out/*')
        self.send(N, size=300, recipients=('bob@example.net',
                                           'carol@example.net'))
        self.relay.wait_deferred(2 * N, 'suspended', 120)
        return subprocess.Popen([RELAYCTL, '-s', self.relay.socket, 'hold',
                                 '--all', '--yes'],
                                stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)

    def wait_some_held(self):
        return desk.net.wait_for(
            'some are held', lambda: self.states().get('held'), 60, 0.001)

    def test_relayctl_killed(self):
        """It was asked for: the daemon finishes it."""
        tool = self.start_hold()
        self.wait_some_held()
        tool.kill()
        tool.communicate()
        self.wait_states(held=2 * N)
        entry = desk.net.wait_for('the entry is complete', lambda: [
            e for e in self.relay.ctl_json('audit', '--limit', '1')
            if e['complete']])[0]
        self.assertEqual((entry['verb'], entry['messages'],
                          entry['recipients']), ('hold', N, 2 * N))
        self.end()

    def test_relayd_killed(self):
        """What is held is held whole, the oldest first; the audit has it."""
        tool = self.start_hold()
        self.wait_some_held()
        self.relay.kill()
        tool.communicate()
        self.assertIn(tool.returncode, (0, 1))
        self.relay.start()
        held = self.relay.ctl_json('queue', 'list', '--state', 'held')
        rest = self.relay.ctl_json('queue', 'list', '--state', 'deferred')
        self.assertEqual(len(held) + len(rest), N)
        for row in held + rest:
            self.assertEqual(len(row['recipients']), 2)
        if rest:
            self.assertLess(max(r['id'] for r in held),
                            min(r['id'] for r in rest))
        entry, _ = self.relay.ctl_json('audit')
        self.assertEqual(entry['verb'], 'hold')
        self.assertEqual(entry['complete'], not rest)
        self.assertLessEqual(entry['messages'], len(held))
        self.assertTrue(self.ask('check', 'queue')['ok'])
        self.assertEqual(self.ask('queue', 'verify')['faults'], 0)
        self.end()


if __name__ == '__main__':
    unittest.main()
