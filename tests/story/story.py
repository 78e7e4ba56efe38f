# SPDX-License-Identifier: ISC
"""story - the scene of the certificate story: a client, relayd, a wire that
is listened to, and a real mail server as the next hop."""

import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

from harness import certs, net, sender           # noqa: E402
from harness.ledger import Ledger                # noqa: E402
from harness.postfix import Postfix              # noqa: E402
from harness.relay import Relay, route, trust    # noqa: E402
from harness.tap import Tap                      # noqa: E402

NAME = 'mx.example.net'
MANY = 1000
CONNECTIONS = 20


class Story(unittest.TestCase):
    """Each test has a relayd with an empty queue; the next hop is started
    once."""

    next_hop = Postfix
    queue = {}              # options of relayd.conf

    @classmethod
    def setUpClass(cls):
        cls.dir = net.temp_dir('story')
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.certs = certs.Assortment(cls.dir, NAME)
        cls.peer = cls.next_hop(cls.certs.expired)
        cls.addClassCleanup(cls.peer.close)
        cls.tap = Tap(cls.peer.host, cls.peer.port)
        cls.addClassCleanup(cls.tap.close)

    def setUp(self):
        self.peer.empty()
        self.tap.forget()
        self.ledger = Ledger()
        self.relay = Relay(*self.sections(), queue=self.queue)
        self.addCleanup(self.relay.close)

    def sections(self, **options):
        """The configuration: everything goes to the next hop over forced
        TLS, unless options say otherwise."""
        return (trust('ours', self.certs.trusted),
                route('out', **{'hosts': [self.tap.address],
                                'tls': 'forced', 'verify': 'name',
                                'names': [NAME], 'trust': 'ours',
                                'max_connections': CONNECTIONS,
                                **options}))

    def send(self, n):
        sent = sender.send_many(self.relay.host, self.relay.port, n)
        self.ledger.expect(sent)
        return sent

    def defer(self, n, cause):
        """Sends n messages that must all be deferred with this cause, and
        nothing of them travels in clear text."""
        self.send(n)
        row = self.relay.wait_deferred(n, cause)
        self.assertEqual(row['messages'], n)
        self.assertTrue(row['reply'])
        self.assertTrue(row['remedy'])
        for message in self.relay.ctl_json('queue', 'list'):
            self.assertEqual((message['state'], message['cause']),
                             ('deferred', cause))
        self.assertGreater(self.tap.connections(), 0)
        self.tap.assert_nothing_leaked()
        self.assertEqual(self.peer.count(), 0)

    def resubmit(self):
        """Has everything that is deferred tried now, and returns how many
        messages that were."""
        row, = self.relay.ctl_json('resubmit', '--deferred', '--yes')
        self.assertEqual((row['verb'], row['recipients'], row['dry_run']),
                         ('resubmit', row['messages'], False))
        return row['messages']

    def wait_arrived(self, n, timeout_s=60):
        """The next hop answers before it delivers."""
        net.wait_for(f'{n} messages arrived',
                     lambda: self.peer.count() >= n, timeout_s, 0.05)

    def resubmit_uncertain(self):
        """What was under way during a crash has had its attempt, and waits
        for its next, which the schedule has too late for a test."""
        net.wait_for('nothing waits but what was under way',
                     lambda: all(row['cause'] == 'connection-lost'
                                 for row in self.relay.summary()
                                 if row['state'] != 'delivered'), 60)
        self.relay.ctl('resubmit', '--deferred', '--yes', expect=None)

    def check_books(self, crashed=False):
        """Everything sent has arrived, once each, byte for byte.  What was
        under way during a crash may have come twice: a message or two for
        each connection, or its history says so."""
        if crashed:
            self.resubmit_uncertain()
        self.relay.wait_empty()
        self.wait_arrived(len(self.ledger.sent))
        for data in self.peer.arrivals():
            self.ledger.arrived(data)
        may_repeat = set()
        if crashed:
            repeated = [s.id for s in self.ledger.repeated()]
            uncertain = self.relay.uncertain(repeated)
            self.assertLessEqual(len(repeated) - len(uncertain),
                                 2 * CONNECTIONS)
            may_repeat = set(repeated)
        self.ledger.check(may_repeat=may_repeat)

    def crash(self):
        """Kills relayd with SIGKILL once a good part, but not all, has
        arrived, and starts it again."""
        total = len(self.ledger.sent)
        net.wait_for('a part has arrived',
                     lambda: self.peer.count() >= total // 10, 30, 0.02)
        self.relay.kill()
        self.assertLess(self.peer.count(), total, 'the crash came too late')
        self.relay.start()

    def end(self):
        """The end of a test: a graceful stop is part of it."""
        self.relay.stop()
