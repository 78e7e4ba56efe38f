# SPDX-License-Identifier: ISC
"""A 250 is said only after the sync that makes the message durable: when the
disk refuses to sync, the answer is 451, whatever was written."""

import os
import shutil
import subprocess
import unittest

import scene
from harness import net


class Durable(scene.Scene):
    def setUp(self):
        self.dir = net.temp_dir('durable')
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.flag = os.path.join(self.dir, 'fail')
        library = os.path.join(self.dir, 'sync_fault.so')
        subprocess.run(
            [os.environ.get('CC', 'cc'), '-shared', '-fPIC', '-D_GNU_SOURCE',
             '-o', library, os.path.join(os.path.dirname(
                 os.path.abspath(__file__)), 'sync_fault.c'), '-ldl'],
            check=True)
        preload = {'LD_PRELOAD': library, 'SYNC_FAULT': self.flag,
                   # The sanitizer wants to be the first library.
                   'ASAN_OPTIONS': 'verify_asan_link_order=0:'
                                   + os.environ.get('ASAN_OPTIONS', '')}
        before = {name: os.environ.get(name) for name in preload}
        os.environ.update(preload)
        try:
            super().setUp()
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def refuse_sync(self):
        with open(self.flag, 'w', encoding='ascii'):
            pass

    def transaction(self, size):
        """The answer to the end of a message."""
        return self.client().deliver(
            'a@example.com', ['b@example.net'],
            b'Subject: x\r\n\r\n' + (b'y' * 70 + b'\r\n') * (size // 72))[:3]

    def refused_then_taken(self, size):
        self.refuse_sync()
        self.assertEqual(self.transaction(size), '451')
        os.unlink(self.flag)
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
        self.refuse_sync()
        self.relay.ctl('resubmit', '--all', '--yes', expect=1)
        os.unlink(self.flag)
        self.relay.ctl('resubmit', '--all', '--yes')
        self.relay.wait_empty()
        self.assertEqual(len(self.hop.arrivals), 1)


if __name__ == '__main__':
    unittest.main(verbosity=2)
