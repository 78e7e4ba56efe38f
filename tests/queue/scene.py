# SPDX-License-Identifier: ISC
"""scene - relayd between the tests' own client and their own next hop, both
in clear text: what the tests of the queue have in common."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

# The path comes first.
from harness import net, sender                  # noqa: E402
from harness.ledger import Ledger                # noqa: E402
from harness.relay import Relay, route           # noqa: E402
from harness.sink import Sink                    # noqa: E402


class Scene(unittest.TestCase):
    """Each test has a sink, self.hop, and a relayd, self.relay, that sends
    everything there.  Options of relayd.conf are class attributes."""

    queue = {}
    listener = {}
    out = {}                # of the route
    environment = {}        # of relayd

    def setUp(self):
        self.ledger = Ledger()
        self.hop = Sink()
        self.addCleanup(self.hop.close)
        self.relay = Relay(*self.sections(), queue=self.queue,
                           listener=self.listener,
                           environment=self.environment)
        self.addCleanup(self.relay.close)

    def sections(self):
        return (route('out', **{'hosts': [self.hop.address], 'tls': 'off',
                                **self.out}),)

    def client(self, hello=True):
        """A connection to relayd."""
        client = sender.Client(self.relay.host, self.relay.port)
        self.addCleanup(client.close)
        if hello:
            client.hello()
        return client

    def send(self, n, **options):
        sent = sender.send_many(self.relay.host, self.relay.port, n,
                                **options)
        self.ledger.expect(sent)
        return sent

    def refuse_all(self):
        """The next hop says 451 to every sender."""
        self.hop.behaviour.mail = lambda sender: '451 4.3.0 Not now'

    def accept_all(self):
        self.hop.behaviour.mail = lambda sender: '250 2.1.0 Ok'

    def states(self):
        """Recipients by state."""
        count = {}
        for row in self.relay.summary():
            count[row['state']] = (count.get(row['state'], 0)
                                   + row['recipients'])
        return count

    def wait_states(self, timeout_s=60, **wanted):
        try:
            net.wait_for(f'{wanted}', lambda: self.states() == wanted,
                         timeout_s)
        except net.TimedOut as e:
            raise net.TimedOut(f'{e}; instead {self.relay.summary()}\n'
                               + self.relay.log()[-4000:]) from None

    def check_books(self, may_repeat=()):
        """Everything sent has arrived, once each, byte for byte."""
        self.relay.wait_empty()
        for arrival in self.hop.arrivals:
            self.ledger.arrived(arrival.data, len(arrival.recipients))
        self.ledger.check(may_repeat)

    def end(self):
        """The end of a test: a graceful stop is part of it."""
        self.relay.stop()
