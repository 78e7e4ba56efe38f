# SPDX-License-Identifier: ISC
"""scene - relayd between the tests' own client and sinks on several loopback
addresses with the same port, which it finds through the DNS."""

import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

from harness import net, sender                         # noqa: E402
from harness.relay import Relay, route                  # noqa: E402
from harness.sink import Sink                           # noqa: E402

OWN_NAME = 'relay.dns.test'


def neighbour(n):
    """Another loopback address that no other test process uses."""
    first, second, rest = net.own_host().split('.', 2)
    return f'{first}.{(int(second) + 64 * n) % 256}.{rest}'


A, B, C, DEAD = (neighbour(n) for n in range(4))
FAILING = re.compile(r'event=destination-failing destination=(\S+)')
# Who listens at an address, by its name in the zones.
NAMES = {A: 'a', B: 'b', C: 'c', '::1': 'six'}


class Scene(unittest.TestCase):
    """One relayd and the same sinks for all tests of a class: each test has a
    domain of its own."""

    queue = {'retry': ['1h'], 'probe': '1h', 'keep_delivered': '1h'}
    dns = None              # set by the subclass
    dns_timeout_ms = 20000
    sections = route('out', mx=True, tls='off'),

    @classmethod
    def setUpClass(cls):
        cls.sinks = {}
        cls.put_sinks()
        os.environ['RELAYD_RESOLVER'] = cls.dns.address
        os.environ['RELAYD_MX_PORT'] = str(cls.port)
        os.environ['RELAYD_DNS_TIMEOUT_MS'] = str(cls.dns_timeout_ms)
        cls.relay = Relay(*cls.sections, queue=cls.queue,
                          top={'hostname': OWN_NAME, 'workers': 1})
        cls.addClassCleanup(cls.relay.close)

    @classmethod
    def tearDownClass(cls):
        cls.relay.stop()

    @classmethod
    def put_sinks(cls):
        """All on one port, which nobody has at any of the addresses."""
        while True:
            cls.port = net.free_port()
            try:
                for host in (A, B, C, '::1'):
                    cls.sinks[NAMES[host]] = Sink(host=host, port=cls.port)
                    cls.addClassCleanup(cls.sinks[NAMES[host]].close)
                return
            except OSError:
                continue

    def send(self, domain):
        """Hands one message to relayd; returns its id.  It has the null
        sender: no reports that would be in the way."""
        with sender.Client(self.relay.host, self.relay.port) as client:
            client.hello()
            reply = client.deliver('', [f'bob@{domain}'],
                                   b'Subject: dns\r\n\r\nHello.\r\n')
            client.ask('QUIT')
        match = sender.QUEUED.match(reply)
        self.assertTrue(match, reply)
        return match.group(1)

    def last(self, message, event):
        """Waits until a message's history ends with this event."""
        def settled():
            events = self.relay.ctl_json('trace', message)
            return events[-1] if events[-1]['event'] != 'received' else None
        found = net.wait_for(event, settled, 90, 0.05)
        self.assertEqual(found['event'], event,
                         f'{found}\n{self.relay.log()[-2000:]}')
        return found

    def name(self, destination):
        """'a' of 'out/a.dns.test:2525'."""
        host = destination.split('/')[1].rsplit(':', 1)[0]
        return host.removesuffix('.dns.test')

    def tried(self, log):
        """The hosts that failed while the log had not gone further."""
        return [self.name(d) for d in FAILING.findall(
            self.relay.log()[log:])]

    # ------- what becomes of a message to a domain

    def check_delivered(self, domain, *hosts):
        """These hosts are tried in this order, and the last one takes it.
        Returns the event."""
        log = len(self.relay.log())
        event = self.last(self.send(domain), 'delivered')
        self.assertEqual([*self.tried(log), self.name(event['destination'])],
                         list(hosts))
        return event

    def check_deferred(self, domain, cause, *hosts):
        """These hosts, if any, are tried in this order."""
        log = len(self.relay.log())
        message = self.send(domain)
        event = self.last(message, 'deferred')
        self.assertEqual(event['cause'], cause, event)
        self.assertEqual(self.tried(log), list(hosts))
        return message

    def check_failed(self, domain, cause, status):
        log = len(self.relay.log())
        event = self.last(self.send(domain), 'failed')
        self.assertEqual((event['cause'], event['status']), (cause, status),
                         event)
        self.assertEqual(self.tried(log), [])

    def last_of(self, message, event):
        """Waits for an event of a message that had others before."""
        def there():
            found = self.relay.ctl_json('trace', message)[-1]
            return found['event'] == event and found
        try:
            return net.wait_for(event, there, 60, 0.05)
        except net.TimedOut as e:
            raise net.TimedOut(
                f'{e}: {self.relay.ctl_json("trace", message)}\n'
                f'{self.relay.log()[-2000:]}') from None

    def check_mended(self, message, host):
        """What was resubmitted goes to this host, without further ado."""
        event = self.last_of(message, 'delivered')
        self.assertEqual(self.name(event['destination']), host)
        words = [e['event'] for e in self.relay.ctl_json('trace', message)]
        self.assertEqual(words[words.index('resubmitted'):],
                         ['resubmitted', 'delivered'])
