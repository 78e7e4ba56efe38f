# SPDX-License-Identifier: ISC
"""A 250 is said only after the sync that makes the message durable: when the
disk refuses to sync, the answer is 451, whatever was written; when it is full,
452.  When nobody can know any more what is on the disk, relayd ends, and starts
from that."""

import shutil
import unittest

import scene
from harness import fault, net, sender


class Durable(scene.Scene):
    queue = {'min_free_disk': '0'}

    def setUp(self):
        self.dir = net.temp_dir('durable')
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.disk = fault.Disk(self.dir)
        self.environment = self.disk.environment
        super().setUp()

    def transaction(self, size):
        """The answer to the end of a message."""
        return self.client().deliver(
            'a@example.com', ['b@example.net'],
            b'Subject: x\r\n\r\n' + (b'y' * 70 + b'\r\n') * (size // 72))[:3]

    def attempt(self):
        """The answer to a large message, or to what came before its end."""
        try:
            return self.transaction(1000 * 1000)
        except sender.Refused as e:
            return str(e)[:3]

    def refused_then_taken(self, size):
        self.disk.refuse_sync()
        self.assertEqual(self.transaction(size), '451')
        self.disk.recover()
        self.assertEqual(self.transaction(size), '250')
        self.relay.wait_empty()
        self.assertEqual(len(self.hop.arrivals), 1)

    def test_short_message(self):
        self.refused_then_taken(1000)

    def test_long_message(self):
        """Its pieces are refused before its end is."""
        self.refused_then_taken(1000 * 1000)

    def test_outcome_is_written_when_it_can_be(self):
        """What was delivered while the disk refuses is not forgotten."""
        self.refuse_all()
        self.assertEqual(self.transaction(1000), '250')
        self.relay.wait_deferred(1, 'peer-deferred')
        self.accept_all()
        self.disk.refuse_sync()
        self.relay.ctl('resubmit', '--all', '--yes', expect=1)
        self.disk.recover()
        self.relay.ctl('resubmit', '--all', '--yes')
        self.relay.wait_empty()
        self.assertEqual(len(self.hop.arrivals), 1)

    def test_disk_is_full(self):
        """The disk itself says so, to the last byte.  Mail is refused for as
        long as there is no room; what was delivered meanwhile is recorded when
        there is, without a restart and without a second copy."""
        self.refuse_all()
        for _ in range(5):
            self.assertEqual(self.transaction(1000), '250')
        self.relay.wait_deferred(5, 'peer-deferred')
        self.disk.have_no_room()
        self.assertEqual(self.attempt(), '452')
        self.accept_all()
        self.relay.ctl('resubmit', '--all', '--yes', expect=None)
        self.assertEqual(self.attempt(), '452')
        self.disk.recover()
        net.wait_for('there is room again',
                     lambda: self.attempt() == '250', 30, 0.5)
        self.relay.ctl('resubmit', '--all', '--yes', expect=None)
        self.relay.wait_empty()
        self.assertEqual(len(self.hop.arrivals), 6)
        self.assertNotIn('uncertain', self.relay.log())
        self.end()

    def test_ends_when_the_queue_is_broken(self):
        """No write can succeed before the queue is opened anew; the next
        start finds all that was promised, and nothing that was not."""
        self.refuse_all()
        self.assertEqual(self.transaction(1000), '250')
        self.relay.wait_deferred(1, 'peer-deferred')
        self.disk.lose_the_root()
        # It may end before it could say 451.
        self.assertIn(self.transaction(2000), ('451', ''))
        self.assertEqual(self.relay.process.wait(60), 1)
        self.assertIn('event=queue-broken cause=self-store', self.relay.log())
        self.disk.recover()
        self.relay.start()
        self.assertEqual(self.relay.waiting(), 1)
        self.accept_all()
        self.assertEqual(self.transaction(3000), '250')
        self.relay.ctl('resubmit', '--all', '--yes', expect=None)
        self.relay.wait_empty()
        self.assertEqual(len(self.hop.arrivals), 2)
        self.end()


if __name__ == '__main__':
    unittest.main(verbosity=2)
