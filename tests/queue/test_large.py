# SPDX-License-Identifier: ISC
"""Size costs no memory: a message of 150 MB, a thousand idle connections,
ten thousand queued messages."""

import os
import resource
import time
import unittest

import scene
from harness import sender
from harness.relay import Peak

MIB = 1024 * 1024
LARGE = 150 * 1000 * 1000
IDLE = 1000
MANY = 10000
# Timing is asserted only where somebody measures on a quiet machine.
MEASURE = os.environ.get('MEASURE') == '1'


class Measured(scene.Scene):

    def figure(self, text):
        """For people, by way of tools/run-tests; not from builds whose
        figures say nothing."""
        if not self.relay.is_sanitized():
            print(f'\nmeasured: {text}')


class Large(Measured):
    queue = {'max_size': '4G'}
    listener = {'max_message_size': '150M'}

    def test_message_of_150_megabytes(self):
        with Peak(self.relay) as peak:
            self.send(1, size=LARGE)
            self.check_books()
        self.figure('150 MB through relayd: peak of anonymous memory '
                    f'{peak.kib / 1024:.1f} MiB')
        if not self.relay.is_sanitized():
            self.assertLess(peak.kib / 1024, 64)
        self.end()

    def test_several_large_ones_at_a_time(self):
        with Peak(self.relay) as peak:
            self.send(8, size=16 * MIB, connections=8)
            self.check_books()
        if not self.relay.is_sanitized():
            self.assertLess(peak.kib / 1024, 64)
        self.end()


class Idle(Measured):
    listener = {'max_connections': IDLE}

    def test_thousand_idle_connections(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        before = self.relay.rss_anon_kib()
        clients = [self.client() for _ in range(IDLE)]
        cost = self.relay.rss_anon_kib() - before
        self.figure(f'{IDLE} idle connections cost {cost / IDLE:.1f} KiB each')
        # One more is refused, and the others do not suffer.
        self.assertTrue(self.client(hello=False).greeting.startswith('421 '))
        for client in clients[::97]:
            key, data = sender.message()
            reply = client.deliver('a@example.com', ['b@example.net'], data)
            self.assertTrue(reply.startswith('250 '), reply)
        for client in clients:
            client.close()
        self.relay.wait_empty()
        self.assertEqual(len(self.hop.arrivals), len(clients[::97]))
        self.end()


class Many(Measured):

    def test_list_of_ten_thousand(self):
        self.refuse_all()
        self.send(MANY, size=600, connections=8)
        began = time.monotonic()
        listed = self.relay.ctl('queue', 'list', timeout_s=300)
        took_s = time.monotonic() - began
        self.figure(f'{MANY} messages listed in {took_s:.2f} s')
        ids = {sent.id for sent in self.ledger.sent.values()}
        words = {line.split()[0] for line in listed.stdout.splitlines()
                 if line.strip()}
        self.assertEqual(len(words & ids), MANY)
        if MEASURE:
            self.assertLess(took_s, 1)
        self.assertEqual(len(self.relay.ctl_json(
            'queue', 'list', '--limit', '10')), 10)
        self.relay.kill()
        began = time.monotonic()
        self.relay.start()
        self.figure(f'started with {MANY} messages in '
                    f'{time.monotonic() - began:.2f} s')
        self.assertEqual(self.relay.waiting(), MANY)
        self.end()


if __name__ == '__main__':
    unittest.main()
