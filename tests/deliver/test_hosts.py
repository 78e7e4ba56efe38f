# SPDX-License-Identifier: ISC
"""Which host and which of its addresses is used: the next one when one is
down, the first one again when it is back; from which address of ours."""

import os
import unittest

from scene import Dns, Scene, Sink, net



class Hosts(Scene):
    queue = {**Scene.queue, 'probe': '1s', 'retry': ['1s']}

    def put_sink(self, port, host):
        sink = Sink(host=host, port=port)
        self.addCleanup(sink.close)
        return sink

    def test_second_takes_over_and_first_comes_back(self):
        second = self.sink()
        port = net.free_port(second.host)
        relay = self.relay(f'[{second.host}]:{port}', second)
        self.last(relay, self.send(relay), 'delivered')
        self.assertEqual(len(second.arrivals), 1)
        states = {row['destination']: (row['state'], row['cause'])
                  for row in relay.ctl_json('destination', 'list')}
        self.assertEqual(states[f'out/{second.host}:{port}'],
                         ('failing', 'connect-refused'))
        self.assertEqual(states[f'out/{second.host}:{second.port}'][0], 'up')

        first = self.put_sink(port, second.host)
        relay.ctl('destination', 'probe', f'out/{second.host}:{port}')
        net.wait_for('the first is up', lambda: all(
            row['state'] == 'up'
            for row in relay.ctl_json('destination', 'list')), 30)
        self.last(relay, self.send(relay), 'delivered')
        self.assertEqual(len(first.arrivals), 1)
        self.assertEqual(len(second.arrivals), 1)
        relay.stop()

    def test_all_down(self):
        host = net.own_host()
        relay = self.relay(f'[{host}]:{net.free_port(host)}',
                           f'[{host}]:{net.free_port(host)}')
        event = self.last(relay, self.send(relay), 'deferred')
        self.assertEqual(event['cause'], 'connect-refused')
        relay.stop()


class Named(Scene):
    """Next hops by name."""

    def setUp(self):
        self.dns = Dns()
        self.addCleanup(self.dns.close)
        os.environ['RELAYD_RESOLVER'] = self.dns.address
        self.addCleanup(os.environ.pop, 'RELAYD_RESOLVER')

    def check_delivered(self, sink, name='mx.example.net', **options):
        relay = self.relay(f'{name}:{sink.port}', **options)
        event = self.last(relay, self.send(relay), 'delivered')
        self.assertIn(str(sink.port), event['address'])
        self.assertEqual(len(sink.arrivals), 1)
        relay.stop()
        return event

    def check_deferred(self, cause, name='mx.example.net'):
        relay = self.relay(f'{name}:{net.free_port()}')
        event = self.last(relay, self.send(relay), 'deferred')
        self.assertEqual(event['cause'], cause)
        relay.stop()


class Addresses(Named):
    """Hosts with several addresses, or none."""

    def test_a_and_aaaa(self):
        """The IPv6 address has nobody, the IPv4 one has."""
        sink = self.sink()
        self.dns.add('mx.example.net', 'A', sink.host)
        self.dns.add('mx.example.net', 'AAAA', '::1')
        self.check_delivered(sink)
        self.assertEqual(self.dns.asked('mx.example.net', 'AAAA'), 1)

    def test_ipv6_only(self):
        sink = Sink(host='::1')
        self.addCleanup(sink.close)
        self.dns.add('mx.example.net', 'AAAA', '::1')
        event = self.check_delivered(sink)
        self.assertEqual(event['address'], sink.address)

    def test_every_address_is_tried(self):
        """RFC 5321 5.1: whatever the order, the one that answers is found."""
        sink = self.sink()
        self.dns.add('mx.example.net', 'A', '127.0.0.1', sink.host,
                     '127.0.0.3')
        self.dns.add('mx.example.net', 'AAAA', '::1')
        self.check_delivered(sink)

    def test_alias(self):
        sink = self.sink()
        self.dns.add('alias.example.net', 'CNAME', 'mx.example.net')
        self.dns.add('mx.example.net', 'A', sink.host)
        self.check_delivered(sink, 'alias.example.net')

    def test_second_name_takes_over(self):
        sink = self.sink()
        self.dns.add('b.example.net', 'A', sink.host)
        relay = self.relay('a.example.net', f'b.example.net:{sink.port}')
        self.last(relay, self.send(relay), 'delivered')
        self.assertEqual(len(sink.arrivals), 1)
        relay.stop()

    def test_nxdomain(self):
        self.check_deferred('dns-nxdomain')

    def test_no_address(self):
        self.dns.add('mx.example.net', 'TXT', 'nothing here')
        self.check_deferred('dns-nomx')

    def test_servfail(self):
        self.dns.fail('mx.example.net', 'SERVFAIL')
        self.check_deferred('dns-servfail')

    def test_mended_by_resubmit(self):
        sink = self.sink()
        relay = self.relay(f'mx.example.net:{sink.port}')
        message = self.send(relay)
        self.last(relay, message, 'deferred')
        self.dns.add('mx.example.net', 'A', sink.host)
        self.resubmit(relay)
        self.last(relay, message, 'delivered')
        relay.stop()


class Source(Named):

    def test_bound(self):
        sink = self.sink()
        relay = self.relay(sink, source_address='127.1.2.3')
        self.last(relay, self.send(relay), 'delivered')
        self.assertEqual([c.peer for c in sink.connections], ['127.1.2.3'])
        relay.stop()

    def test_family_decides(self):
        sink = self.sink()
        self.dns.add('mx.example.net', 'A', sink.host)
        self.dns.add('mx.example.net', 'AAAA', '::1')
        self.check_delivered(sink, source_address='127.1.2.3')

    def test_not_ours(self):
        sink = self.sink()
        relay = self.relay(sink, source_address='192.0.2.1')
        event = self.last(relay, self.send(relay), 'deferred')
        self.assertEqual(event['cause'], 'self-config')
        self.assertIn('source_address 192.0.2.1', event['reply'])
        relay.stop()

    def test_other_family(self):
        sink = self.sink()
        relay = self.relay(sink, source_address='::1')
        event = self.last(relay, self.send(relay), 'deferred')
        self.assertEqual(event['cause'], 'connect-unreachable')
        relay.stop()


if __name__ == '__main__':
    unittest.main()
