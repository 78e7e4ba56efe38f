# SPDX-License-Identifier: ISC
"""scene - relayd with one or more sinks as next hops, for tests of what is
said to them and what becomes of a message."""

import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

from harness import certs, net, sender                  # noqa: E402
from harness.dns import Dns                             # noqa: E402
from harness.relay import Relay, route, trust           # noqa: E402
from harness.sink import Sink                           # noqa: E402

NAME = 'mx.example.net'
ASCII = (b'From: <alice@example.com>\r\nTo: <bob@example.net>\r\n'
         b'Subject: plain\r\n\r\nHello.\r\n')


class Scene(unittest.TestCase):
    """Nothing is probed or retried by itself while a test runs, unless it
    says otherwise."""

    queue = {'retry': ['1h'], 'probe': '1h', 'keep_delivered': '1h'}

    @classmethod
    def setUpClass(cls):
        cls.dir = net.temp_dir('deliver')
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.ca = certs.Authority(cls.dir)
        cls.certificate = cls.ca.issue('good', NAME)

    def sink(self, certificate=None, **behaviour):
        sink = Sink(certificate)
        self.addCleanup(sink.close)
        for key, value in behaviour.items():
            setattr(sink.behaviour, key, value)
        return sink

    def relay(self, *hosts, queue=None, listener=None, **options):
        """A relayd that sends everything to these hosts, in clear text
        unless options say otherwise."""
        self.options = {'hosts': [getattr(h, 'address', h) for h in hosts],
                        'tls': 'off', **options}
        relay = Relay(*self.sections(), queue={**self.queue, **(queue or {})},
                      listener=listener)
        self.addCleanup(relay.close)
        return relay

    def sections(self, **changes):
        return (trust('ours', self.ca.pem),
                route('out', **{**self.options, **changes}))

    def secure(self):
        """Options of a route to a sink that has our certificate."""
        return {'tls': 'forced', 'names': [NAME], 'trust': 'ours'}

    def send(self, relay, data=ASCII, recipients=('bob@example.net',)):
        """Hands one message to relayd; returns its id."""
        with sender.Client(relay.host, relay.port) as client:
            client.hello()
            reply = client.deliver('alice@example.com', recipients, data)
            client.ask('QUIT')
        match = sender.QUEUED.match(reply)
        self.assertTrue(match, reply)
        return match.group(1)

    def last(self, relay, message, event):
        """Waits for an event in a message's history and returns the last of
        this kind."""
        def there():
            found = [e for e in relay.ctl_json('trace', message)
                     if e['event'] == event]
            return found and found[-1]
        try:
            return net.wait_for(f'{event}', there, 30, 0.1)
        except net.TimedOut as e:
            raise net.TimedOut(f'{e}: {relay.ctl_json("trace", message)}\n'
                               f'{relay.log()[-3000:]}') from None

    def arrivals(self, sink):
        """What arrived, without reports of relayd's own."""
        with sink.lock:
            return [a for a in sink.arrivals if a.sender]

    def resubmit(self, relay):
        relay.ctl('resubmit', '--deferred', '--yes')
