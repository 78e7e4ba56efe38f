# SPDX-License-Identifier: ISC
"""While relayd finishes what is in flight it still obeys, and whatever an
operator does then does not disturb its end."""

import random
import signal
import subprocess
import time
import unittest

import scene
from harness import net
from harness.relay import RELAYCTL

N = 300


class Stop(scene.Scene):
    queue = {'retry': ['1h'], 'probe': '1h'}

    def setUp(self):
        super().setUp()
        self.refuse_all()

    def begin_to_stop(self):
        """With a client in mid-message, for whom it waits."""
        client = self.client()
        client.ask('MAIL FROM:<a@example.com>', '250')
        client.ask('RCPT TO:<b@example.net>', '250')
        client.ask('DATA', '354')
        self.relay.process.send_signal(signal.SIGTERM)
        net.wait_for('it stops', lambda: 'event=stopping' in self.relay.log(),
                     60)
        return client

    def test_operator_is_obeyed_meanwhile(self):
        self.send(3)
        self.relay.wait_deferred(3, 'peer-deferred')
        client = self.begin_to_stop()
        name = self.relay.ctl_json('destination', 'list')[0]['destination']
        self.relay.ctl('destination', 'suspend', name)
        self.relay.ctl('resubmit', '--all', '--yes')
        self.assertEqual(self.states(), {'queued': 3})
        client.send(b'Subject: x\r\n\r\nx\r\n.\r\n')
        self.assertTrue(client.reply().startswith('250 '))
        self.relay.stop()
        self.relay.start()
        self.assertEqual(self.relay.waiting(), 4)
        row, = self.relay.ctl_json('destination', 'list')
        self.assertEqual(row['state'], 'suspended')
        self.accept_all()
        self.relay.ctl('destination', 'resume', name)
        self.relay.wait_empty()
        self.end()

    def test_in_the_middle_of_a_resubmission(self):
        """At any moment of it; what it says it has done is done."""
        self.send(N)
        self.relay.wait_deferred(N, 'peer-deferred')
        for _ in range(4):
            with subprocess.Popen(
                    [RELAYCTL, '-s', self.relay.socket, 'resubmit', '--all',
                     '--yes'], stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL) as order:
                time.sleep(random.uniform(0, 0.15))
                self.relay.stop()
                order.wait(60)
            self.relay.start()
            self.assertEqual(self.relay.waiting(), N)
        # An attempt that began before the order keeps its outcome.
        self.wait_states(deferred=N)
        self.accept_all()
        self.relay.ctl('resubmit', '--all', '--yes', expect=None)
        self.check_books()
        self.end()


if __name__ == '__main__':
    unittest.main(verbosity=2)
