# SPDX-License-Identifier: ISC
"""A service that says it is busy: we pause, whatever its hosts are called,
and mail waits with its words; it goes by itself afterwards, slowly."""

import os
import unittest

from scene import Dns, Relay, Scene, net, route

BUSY = '451 4.7.500 Server busy. Please try again later'
MANY = 20


class Pace(Scene):
    """A pause is as long as queue.probe: it lasts longer than a test, unless
    that says otherwise."""

    def mails(self, *sinks):
        """How often somebody tried."""
        return sum(command.upper().startswith('MAIL')
                   for sink in sinks for c in sink.connections
                   for command in c.commands)

    def names(self, **addresses):
        """A name server that knows these."""
        dns = Dns()
        self.addCleanup(dns.close)
        os.environ['RELAYD_RESOLVER'] = dns.address
        self.addCleanup(os.environ.pop, 'RELAYD_RESOLVER')
        for name, address in addresses.items():
            dns.add(f'{name}.mx.microsoft', 'A', address)

    def two_hosts(self):
        """Two next hops that are known to be one service."""
        self.first, self.second = self.sink(), self.sink()
        self.first.behaviour.mail = lambda sender: BUSY
        self.names(a=self.first.host, b=self.second.host)
        return self.relay(f'a.mx.microsoft:{self.first.port}',
                          f'b.mx.microsoft:{self.second.port}')

    def send_many(self, relay):
        return [self.send(relay) for _ in range(MANY)]

    def test_is_left_alone(self):
        relay = self.two_hosts()
        ids = self.send_many(relay)
        row = relay.wait_deferred(MANY, 'peer-throttled')
        self.assertIn('Server busy', row['reply'])
        # The first contact was one message; the others did not try, and not
        # another host of the service either.
        self.assertEqual(self.mails(self.first), 1)
        self.assertEqual(self.second.connections, [])
        self.assertEqual({d['state']
                          for d in relay.ctl_json('destination', 'list')},
                         {'up'})
        said = [relay.ctl('queue', 'explain', i).stdout for i in ids]
        self.assertTrue(any('asked to slow down' in text for text in said), said)
        self.assertIn('event=service-busy', relay.log())

        # An operator knows better.
        self.first.behaviour.mail = lambda sender: '250 2.1.0 Ok'
        self.resubmit(relay)
        self.first.wait(MANY)
        relay.wait_empty()
        relay.stop()

    def test_goes_by_itself_when_the_pause_is_over(self):
        self.first = self.sink()
        relay = self.relay(self.first, queue={'probe': '1s', 'retry': ['1s']})
        refused = []

        def thrice(_):
            refused.append(BUSY)
            return BUSY if len(refused) <= 3 else '250 2.1.0 Ok'
        self.first.behaviour.mail = thrice
        self.send_many(relay)
        self.first.wait(MANY)
        relay.wait_empty()
        relay.stop()

    def test_refused_connections(self):
        relay = self.two_hosts()
        self.first.behaviour.banner = '421 4.7.0 Too busy, try again later'
        self.send_many(relay)
        relay.wait_deferred(MANY, 'peer-throttled')
        self.assertEqual(self.second.connections, [])
        self.assertEqual(len(self.first.connections), 1)
        relay.stop()

    def test_another_service_takes_over(self):
        first, second = self.sink(), self.sink()
        first.behaviour.mail = lambda sender: BUSY
        # The same machine by another name.
        dns = Dns()
        self.addCleanup(dns.close)
        os.environ['RELAYD_RESOLVER'] = dns.address
        self.addCleanup(os.environ.pop, 'RELAYD_RESOLVER')
        dns.add('other.example.net', 'A', second.host)
        relay = self.relay(first, f'other.example.net:{second.port}',
                           queue={'retry': ['1s']})
        self.send_many(relay)
        second.wait(MANY)
        relay.wait_empty()
        self.assertEqual(self.mails(first), 1)
        relay.stop()


class Provider(Scene):
    """All hosts of a provider are one service."""

    def test_hosts_of_one_provider(self):
        dns = Dns()
        self.addCleanup(dns.close)
        os.environ['RELAYD_RESOLVER'] = dns.address
        self.addCleanup(os.environ.pop, 'RELAYD_RESOLVER')
        busy, other = self.sink(), self.sink()
        busy.behaviour.mail = lambda sender: BUSY
        names = ('contoso-com.mail.protection.outlook.com',
                 'fabrikam-com.o-v1.mx.microsoft')
        routes = []
        for name, sink in zip(names, (busy, other)):
            dns.add(name, 'A', sink.host)
            routes.append(route(name.split('-')[0],
                                [f'{name.split("-")[0]}.example'],
                                hosts=[f'{name}:{sink.port}'], tls='off'))
        relay = Relay(*routes, queue=self.queue)
        self.addCleanup(relay.close)
        self.send(relay, recipients=['a@contoso.example'])
        net.wait_for('the service is busy', lambda: 'event=service-busy'
                     in relay.log(), 30)
        event = self.last(relay, self.send(
            relay, recipients=['b@fabrikam.example']), 'deferred')
        self.assertEqual((event['cause'], event['attempted']),
                         ('peer-throttled', False))
        self.assertEqual(other.connections, [])
        relay.stop()


if __name__ == '__main__':
    unittest.main()
