#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""test_full - a full queue is for a while only: 452 4.3.1 at MAIL and in the
middle of DATA, and the same session goes on when there is room again."""

import unittest

import desk
from harness import net, sender


class Full(desk.Desk):
    queue = {'max_size': '16M', 'keep_delivered': '0s'}

    def refuse(self, sender_):
        return '451 4.3.0 Not now'

    def attempt(self, client, data):
        """Its last reply; None: refused before DATA."""
        reply = client.ask('MAIL FROM:<alice@example.com>')
        if not reply.startswith('250 '):
            self.assertTrue(reply.startswith('452 4.3.1 '), reply)
            return None
        client.ask(f'RCPT TO:<{desk.TO}>', '250')
        reply = client.ask('DATA')
        if reply.startswith('354 '):
            client.send(sender.stuffed(data) + b'.\r\n')
            reply = client.reply()
        if not reply.startswith('250 '):
            self.assertTrue(reply.startswith('452 4.3.1 '), reply)
            client.ask('NOOP', '250')
            return None
        return reply

    def test_full_and_drained(self):
        self.hop.behaviour.mail = self.refuse
        _, data = sender.message(1 << 20)
        client = self.client()
        taken = 0
        while self.attempt(client, data):
            taken += 1
            self.assertLess(taken, 16)
        self.assertGreater(taken, 1)
        self.assertEqual(self.relay.waiting(), taken)
        # Who declares its size is refused before it is sent.
        reply = client.ask('MAIL FROM:<alice@example.com> SIZE=16000000')
        self.assertTrue(reply.startswith('452 4.3.1 '), reply)
        self.hop.behaviour.mail = lambda _: '250 2.1.0 Ok'
        self.relay.ctl('resubmit', '--all', '--yes', expect=None)
        self.relay.wait_empty()
        self.assertEqual(len(self.hop.arrivals), taken)
        # The same session goes on.
        net.wait_for('there is room again',
                     lambda: self.attempt(client, data), 30, 0.5)
        self.relay.wait_empty()
        self.assertTrue(self.hop.arrivals[-1].data.endswith(data))
        client.ask('QUIT', '221')
        self.end()

    def test_too_large_for_the_queue(self):
        """It fits the listener, and is found too large in mid-DATA."""
        client = self.client()
        _, data = sender.message(17 << 20)
        self.assertIsNone(self.attempt(client, data))
        self.assertIn('self-store', self.events('store-failed')[0])
        # Nothing of it stays: small ones pass at once.
        net.wait_for('there is room again',
                     lambda: self.attempt(client, desk.BODY), 30, 0.5)
        self.relay.wait_empty()
        self.assertEqual(len(self.hop.arrivals), 1)
        self.end()


if __name__ == '__main__':
    unittest.main()
