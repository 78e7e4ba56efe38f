# SPDX-License-Identifier: ISC
"""passage - a relayd with a sink behind it, and what became of messages that
were sent through: each out byte for byte, or refused at the door."""

import re
import time
import unittest

from . import relay, sender, sink

SENDER = 'alice@example.com'
# The one field that relayd puts on top.
TRACE = re.compile(rb'Received: [^\r\n]+\r\n(?:[ \t][^\r\n]+\r\n)*')
BARE = re.compile(rb'(?<!\r)\n|\r(?!\n)|\0')
REFUSED = '554 5.6.11 '


class ChunkSink(sink.Sink):
    """A sink that offers CHUNKING."""

    def __init__(self, **options):
        super().__init__(**options)
        self.behaviour.ehlo = [*self.behaviour.ehlo, 'CHUNKING']


class Passage(unittest.TestCase):
    """One relayd and one sink for all tests of a class; each message goes to
    a recipient of its own."""

    listener = {}
    sink = sink.Sink

    @classmethod
    def setUpClass(cls):
        cls.hop = cls.sink()
        cls.addClassCleanup(cls.hop.close)
        cls.relay = relay.Relay(
            relay.route('out', hosts=[cls.hop.address], tls='off'),
            listener=cls.listener)
        cls.addClassCleanup(cls.relay.close)
        cls.number = 0

    @classmethod
    def tearDownClass(cls):
        cls.relay.stop()

    def client(self):
        client = sender.Client(self.relay.host, self.relay.port)
        self.addCleanup(client.close)
        client.hello()
        return client

    def recipient(self):
        type(self).number += 1
        return f'r{self.number}@example.net'

    def begin(self, client, command='DATA'):
        """An envelope; returns its recipient."""
        to = self.recipient()
        client.send(f'MAIL FROM:<{SENDER}>\r\nRCPT TO:<{to}>\r\n'
                    + f'{command}\r\n' * (command == 'DATA'))
        wanted = ['250', '250'] + ['354'] * (command == 'DATA')
        self.assertEqual([client.reply()[:3] for _ in wanted], wanted)
        return to

    def data(self, client, body, cuts=()):
        """Sends body by DATA, stuffed, in segments that end at the cuts;
        returns recipient and reply."""
        return self.raw(client, sender.stuffed(body) + b'.\r\n', cuts)

    def raw(self, client, data, cuts=()):
        """Sends what is between 354 and the answer."""
        to = self.begin(client)
        at = 0
        for cut in (*cuts, len(data)):
            client.send(data[at:cut])
            if cut < len(data):
                # It need not, but will be read before the next comes.
                time.sleep(0.001)
            at = cut
        return to, client.reply()

    def bdat(self, client, *chunks):
        """Sends a body in chunks; returns recipient and the first reply that
        is no 250, or else the last."""
        to = self.begin(client, 'BDAT')
        for n, chunk in enumerate(chunks, 1):
            last = ' LAST' * (n == len(chunks))
            client.send(b'BDAT %d%s\r\n' % (len(chunk), last.encode())
                        + chunk)
        replies = [client.reply() for _ in chunks]
        return to, next((r for r in replies if not r.startswith('250 ')),
                        replies[-1])

    def came_to(self, to):
        """What arrived for this recipient."""
        return [a.data for a in self.hop.arrivals if to in a.recipients]

    def outcome(self, to):
        """How this recipient ended: the event and its enhanced code."""
        row, = self.relay.ctl_json('queue', 'list', '--recipient', to)
        last = [e for e in self.relay.ctl_json('trace', row['id'])
                if e['event'] in ('delivered', 'failed', 'deferred')][-1]
        return last['event'], last['status']

    def assert_passed(self, to, body):
        """Once, and nothing but the trace field was added."""
        came = self.came_to(to)
        self.assertEqual(len(came), 1, f'{to}: came {len(came)} times')
        data, = came
        top = data[:len(data) - len(body)]
        if not data.endswith(body) or not TRACE.fullmatch(top):
            raise AssertionError(f'{to}: changed: {len(body)} bytes '
                                 f'{body[:200]!r} came as {len(data)} '
                                 f'{data[:600]!r}')

    def assert_clean(self):
        """What went out by DATA has proper line ends only, and no end of
        data but those of the messages that arrived."""
        with self.hop.lock:
            wires = [bytes(c.clear) for c in self.hop.connections]
            arrived = len(self.hop.arrivals)
        for wire in wires:
            bare = BARE.search(wire)
            self.assertIsNone(bare, bare and
                              wire[max(0, bare.start() - 80):bare.end()])
        self.assertEqual(sum(w.count(b'\r\n.\r\n') for w in wires), arrived)
