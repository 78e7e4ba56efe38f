# SPDX-License-Identifier: ISC
"""A 250 is said only after the sync that makes the message durable: when the
disk refuses to sync, the answer is 451, whatever was written."""

import shutil
import unittest

import scene
from harness import fault, net


class Durable(scene.Scene):
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


if __name__ == '__main__':
    unittest.main(verbosity=2)
