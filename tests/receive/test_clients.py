#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""test_clients - clients that talk too early, too much or hang up halfway, and
messages that have been here before."""

import socket
import unittest

import desk


class Clients(desk.Desk):
    listener = {'max_recipients': 1000}

    def test_early_talkers(self):
        for early in (b'EHLO x\r\n', b'GET / HTTP/1.1\r\n\r\n', b'\x16\x03\x01'):
            # They may be seen only when they are quicker than we are.
            for _ in range(200):
                client = self.client(early, hello=False)
                if client.greeting.startswith('554 5.5.1 '):
                    break
                client.close()
            self.assertTrue(client.greeting.startswith('554 5.5.1 '),
                            client.greeting)
            self.assertEqual(client.reply(), '')
        self.assertIn('synchronization', self.events('refused')[0])
        # Others are not hindered.
        with self.client() as client:
            client.ask('NOOP', '250')
        self.end()

    def test_thousand_recipients_at_once(self):
        client = self.client()
        client.send(b'MAIL FROM:<a@example.com>\r\n'
                    + b''.join(b'RCPT TO:<b%d@example.net>\r\n' % n
                               for n in range(1001)) + b'DATA\r\n')
        self.assertTrue(client.reply().startswith('250 '))
        replies = [client.reply() for _ in range(1001)]
        self.assertTrue(all(r.startswith('250 ') for r in replies[:1000]))
        self.assertTrue(replies[1000].startswith('452 4.5.3'), replies[1000])
        self.assertTrue(client.reply().startswith('354 '))
        client.send(desk.BODY + b'.\r\n')
        number = self.queued(client.reply())
        self.relay.wait_empty()
        arrived = [r for a in self.hop.arrivals for r in a.recipients]
        self.assertEqual(sorted(arrived),
                         sorted(f'b{n}@example.net' for n in range(1000)))
        self.assertNotIn(' for ', self.received(number))
        self.end()

    def half_close(self, data, replies):
        """Sends all, closes its side, and hears all answers."""
        client = self.client(hello=False)
        client.send(data)
        client.socket.shutdown(socket.SHUT_WR)
        for code in replies:
            reply = client.reply()
            self.assertTrue(reply.startswith(code), reply)
        self.assertEqual(client.reply(), '')

    def test_half_closed(self):
        envelope = (b'EHLO x\r\nMAIL FROM:<a@example.com>\r\n'
                    b'RCPT TO:<b@example.net>\r\n')
        self.half_close(b'', [])
        self.half_close(b'EHLO x\r\nNOOP\r\n', ['250', '250'])
        self.half_close(b'EHLO x\r\nQUIT\r\n', ['250', '221'])
        # An envelope without a message, and a message without its end.
        self.half_close(envelope, ['250'] * 3)
        self.half_close(envelope + b'DATA\r\n' + desk.BODY,
                        ['250', '250', '250', '354'])
        self.assertEqual(self.relay.waiting(), 0)
        self.assertFalse(self.hop.arrivals)
        # A whole one is kept, and its sender hears of it.
        self.half_close(envelope + b'DATA\r\n' + desk.BODY + b'.\r\n',
                        ['250', '250', '250', '354', '250 2.0.0 Queued'])
        self.half_close(envelope + b'DATA\r\n' + desk.BODY + b'.\r\nQUIT\r\n',
                        ['250', '250', '250', '354', '250', '221'])
        self.hop.wait(2)
        self.end()

    def deliver(self, fields):
        with self.client() as client:
            client.begin()
            return client.data(''.join(f + '\r\n' for f in fields).encode()
                               + b'\r\nbody\r\n')

    def test_loops(self):
        def field(by):
            return (f'Received: from x (y [192.0.2.1] by {desk.NAME})\r\n'
                    f' by {by}\r\n\twith ESMTP id 1; Mon, 1 Jan 2026 00:00:00'
                    ' +0000')
        own, other = field(desk.NAME), field('mx.example.net')
        loop = '554 5.4.6 '
        self.queued(self.deliver([own] * 2 + [other] * 40))
        self.assertTrue(self.deliver([own] * 3).startswith(loop))
        self.assertTrue(self.deliver([own.upper(), other, own, other, own]
                                     ).startswith(loop))
        self.queued(self.deliver([field('not' + desk.NAME)] * 3))
        self.queued(self.deliver([other] * 50))
        self.assertTrue(self.deliver([other] * 51).startswith(loop))
        # Below the header section it is text.
        self.queued(self.deliver(['', *[own] * 60]))
        self.end()


if __name__ == '__main__':
    unittest.main()
