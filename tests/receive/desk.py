# SPDX-License-Identifier: ISC
"""desk - relayd as its clients see it: what the tests of receiving have in
common.  What is taken goes to their own next hop, and is kept, so that it can
be looked at on both sides."""

import os
import re
import socket
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

# The path comes first.
from harness import certs, net, sender           # noqa: E402
from harness.relay import Relay, identity, route         # noqa: E402
from harness.sink import Sink                            # noqa: E402

BODY = b'Subject: x\r\n\r\nbody\r\n'
TO = 'bob@example.net'
NAME = 'relay.example.com'


class Raw(sender.Client):
    """A client that need not wait for the greeting."""

    def __init__(self, relay, early=b'', greeted=True):
        self.socket = socket.create_connection((relay.host, relay.port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile('rb')
        self.pipelining = False
        self.greeting = ''
        if early:
            self.send(early)
        if greeted:
            self.greeting = self.reply()

    def begin(self, recipient=TO, sender_='alice@example.com', more=''):
        self.ask(f'MAIL FROM:<{sender_}>{more}', '250')
        self.ask(f'RCPT TO:<{recipient}>', '250')

    def data(self, body=BODY):
        """Returns the reply to the final dot."""
        self.ask('DATA', '354')
        self.send(sender.stuffed(body) + b'.\r\n')
        return self.reply()

    def bdat(self, chunk, last=False):
        self.send(b'BDAT %d%s\r\n' % (len(chunk), b' LAST' * last) + chunk)
        return self.reply()


class Desk(unittest.TestCase):
    """Options of relayd.conf are class attributes."""

    tls = False             # give the listener an identity
    queue = {}
    listener = {}
    sources = ''

    def setUp(self):
        self.dir = net.temp_dir('desk')
        self.addCleanup(self._clear)
        self.prepare()
        self.clients = []
        self.hop = Sink()
        self.addCleanup(self.hop.close)
        sections = [route('out', hosts=[self.hop.address], tls='off')]
        listener = dict(self.listener)
        if self.tls:
            self.certificate = certs.self_signed(self.dir, NAME)
            sections.append(identity('own', self.certificate))
            listener = {'tls': 'opportunistic', 'identity': ['own'],
                        **listener}
        self.listener_options = listener
        self.relay = Relay(*sections,
                           queue={'keep_delivered': '1h', **self.queue},
                           listener=listener, sources=self.sources)
        self.addCleanup(self.relay.close)

    def prepare(self):
        """Before relayd is started; self.dir is there."""

    def _clear(self):
        for name in os.listdir(self.dir):
            os.unlink(f'{self.dir}/{name}')
        os.rmdir(self.dir)

    def client(self, early=b'', hello=True, greeted=True):
        client = Raw(self.relay, early, greeted)
        self.clients.append(client)
        self.addCleanup(client.close)
        if hello and greeted:
            client.hello()
        return client

    def queued(self, reply):
        """The id in a reply that must be a 250 of the final dot."""
        match = sender.QUEUED.match(reply)
        self.assertTrue(match, reply)
        return match.group(1)

    def raw(self, number):
        """The message as it was received, in bytes."""
        done = self.relay.ctl('queue', 'show', number, '--raw')
        return done.stdout.encode('utf-8', 'surrogateescape')

    def received(self, number):
        """Our Received field of this message, unfolded, as it went out."""
        def found():
            for arrival in self.hop.arrivals:
                field = re.sub(r'\r\n[ \t]+', ' ',
                               arrival.data.decode('latin-1'))
                field = field.split('\r\n')[0]
                if f' id {number}' in field:
                    return field
            return None
        return net.wait_for(f'{number} has arrived', found, 30)

    def events(self, name):
        return [line for line in self.relay.log().splitlines()
                if f'event={name} ' in line]

    def end(self):
        """The end of a test: a graceful stop is part of it."""
        for client in self.clients:
            client.close()
        self.relay.stop()
