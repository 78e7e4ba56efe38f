#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""test_rates - what one client may do within a minute, and in a connection;
other clients are not hindered."""

import unittest

import desk
from desk import sender

OTHER = '127.0.0.2'             # its own address is the other client's


class Rated(desk.Desk):

    def connect(self, source=OTHER):
        client = sender.Client(self.relay.host, self.relay.port,
                               source=source)
        self.clients.append(client)
        self.addCleanup(client.close)
        return client

    def greeted(self, source=OTHER):
        client = self.connect(source)
        client.hello()
        return client

    def refused(self, what):
        return [line for line in self.events('refused')
                if f'what={what} ' in line]


class Connections(Rated):
    listener = {'max_connections_per_minute': 3}

    def test_connections(self):
        for _ in range(3):
            with self.connect() as client:
                client.ask('QUIT', '221')
        client = self.connect()
        self.assertEqual(client.greeting, '421 4.7.0 Too many connections '
                         'from you in a minute')
        self.assertEqual(client.reply(), '')
        self.assertIn(OTHER, self.refused('connection')[0])
        self.greeted(desk.net.own_host()).ask('NOOP', '250')
        # A reload of other limits counts on.
        self.relay.listener['max_connections_per_minute'] = 4
        self.relay.reload(desk.route('out', hosts=[self.hop.address],
                                     tls='off'))
        self.greeted().ask('NOOP', '250')
        self.assertEqual(self.connect().greeting[:9], '421 4.7.0')
        self.end()


class Messages(Rated):
    listener = {'max_messages_per_minute': 3,
                'max_recipients_per_minute': 5}

    def test_messages(self):
        """The rate holds over connections; the session goes on."""
        for _ in range(2):
            self.queued(self.greeted().deliver('alice@example.com',
                                               [desk.TO], desk.BODY))
        client = self.greeted()
        client.ask('MAIL FROM:<alice@example.com>', '250')
        client.ask('RSET', '250')
        self.assertEqual(client.ask('MAIL FROM:<alice@example.com>'),
                         '451 4.7.1 Too many messages from you in a minute')
        client.ask(f'RCPT TO:<{desk.TO}>', '503')
        client.ask('NOOP', '250')
        self.assertIn(OTHER, self.refused('MAIL')[0])
        other = self.greeted(desk.net.own_host())
        self.queued(other.deliver('alice@example.com', [desk.TO],
                                  desk.BODY))
        self.end()

    def test_recipients(self):
        """Those that were taken get the message."""
        client = self.greeted()
        client.ask('MAIL FROM:<alice@example.com>', '250')
        for n in range(5):
            client.ask(f'RCPT TO:<bob{n}@example.net>', '250')
        self.assertEqual(client.ask('RCPT TO:<bob5@example.net>'),
                         '451 4.7.1 Too many recipients from you in a minute')
        client.ask('DATA', '354')
        client.send(desk.BODY + b'.\r\n')
        self.queued(client.reply())
        client.ask('MAIL FROM:<alice@example.com>', '250')
        client.ask('RCPT TO:<bob6@example.net>', '451 4.7.1')
        client.ask('DATA', '554 5.5.1')
        self.hop.wait(1)
        self.assertEqual(len(self.hop.arrivals[0].recipients), 5)
        self.assertIn(OTHER, self.refused('RCPT')[0])
        self.end()


class MailMax(Rated):
    listener = {'max_messages_per_connection': 2}

    def test_mailmax(self):
        """RFC 9422: announced, and kept to by those who read it."""
        client = self.connect()
        self.assertIn('LIMITS RCPTMAX=1000 MAILMAX=2',
                      client.ask('EHLO x', '250'))
        for _ in range(2):
            self.queued(client.deliver('alice@example.com', [desk.TO],
                                       desk.BODY))
        self.assertEqual(client.ask('MAIL FROM:<alice@example.com>'),
                         '421 4.7.0 Too many messages in a session')
        self.assertEqual(client.reply(), '')
        self.end()


if __name__ == '__main__':
    unittest.main()
