# SPDX-License-Identifier: ISC
"""mx = true: which hosts get the mail of a domain, in which order, and what
is said when there are none.  RFC 5321 section 5.1, RFC 7505."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

from harness import net, sender                  # noqa: E402
from harness.dns import Dns                      # noqa: E402
from harness.relay import Relay, route           # noqa: E402
from harness.sink import Sink                    # noqa: E402

OWN = 'relay.example.com'       # what relayd calls itself


def neighbours(n):
    """Loopback addresses beside our own."""
    a, b, c, d = net.own_host().split('.')
    return [f'{a}.{128 + int(b) // 2 - 32 + i}.{c}.{d}' for i in range(n)]


class Mx(unittest.TestCase):
    queue = {'probe': '500ms', 'retry': ['1s']}

    def setUp(self):
        self.dns = Dns()
        self.addCleanup(self.dns.close)
        self.port = net.free_port()
        self.addresses = neighbours(3)
        self.sinks = []
        for address in self.addresses:
            sink = Sink(host=address, port=self.port)
            self.sinks.append(sink)
        self.up = set(self.sinks)
        self.addCleanup(lambda: [sink.close() for sink in self.up])
        for i, address in enumerate(self.addresses):
            self.dns.add(f'mx{i}.hosts.example', 'A', address)
        os.environ['RELAYD_RESOLVER'] = self.dns.address
        os.environ['RELAYD_MX_PORT'] = str(self.port)
        self.relay = Relay(route('out', mx=True, tls='off'),
                           queue=self.queue)
        self.addCleanup(self.relay.close)

    def send(self, domain):
        client = sender.Client(self.relay.host, self.relay.port)
        self.addCleanup(client.close)
        client.hello()
        reply = client.deliver('', [f'bob@{domain}'],
                               b'Subject: x\r\n\r\nx\r\n')
        self.assertTrue(reply.startswith('250'), reply)
        return reply.split()[-1]

    def mx(self, domain, *records, ttl=60):
        self.dns.add(domain, 'MX', *records, ttl=ttl)

    def down(self, which):
        self.up.remove(self.sinks[which])
        self.sinks[which].close()

    def goes_to(self, which, domain):
        """The mail of domain arrives at this one of the sinks."""
        before = [len(s.arrivals) for s in self.sinks]
        self.send(domain)
        self.relay.wait_empty()
        after = [len(s.arrivals) for s in self.sinks]
        got = [i for i in range(len(after)) if after[i] > before[i]]
        self.assertEqual(got, [which])

    def ends(self, domain, state, cause, status=None):
        """The mail of domain ends up in this state for this cause."""
        msg = self.send(domain)

        def there():
            rows = self.relay.ctl_json('queue', 'list')
            return any(r['id'] == msg and (r['state'], r['cause'])
                       == (state, cause) for r in rows)
        try:
            net.wait_for(f'{domain} is {state} {cause}', there, 40, 0.05)
        except net.TimedOut as e:
            raise AssertionError(
                f'{e}: {self.relay.ctl_json("queue", "list")}') from None
        if status:
            last = self.relay.ctl_json('trace', msg)[-1]
            self.assertEqual(last['status'], status)

    # ------- hosts and their order

    def test_best_preference_first(self):
        self.mx('a.example', (20, 'mx1.hosts.example'),
                (10, 'mx0.hosts.example'), (30, 'mx2.hosts.example'))
        self.goes_to(0, 'a.example')

    def test_next_when_the_best_is_down(self):
        self.mx('b.example', (10, 'mx0.hosts.example'),
                (20, 'mx1.hosts.example'))
        self.down(0)
        self.goes_to(1, 'b.example')

    def test_host_without_address_is_passed_over(self):
        self.mx('c.example', (10, 'nowhere.hosts.example'),
                (20, 'mx1.hosts.example'))
        self.goes_to(1, 'c.example')

    def test_every_address_of_a_host(self):
        self.dns.add('two.hosts.example', 'A', self.addresses[0],
                     self.addresses[1])
        self.mx('d.example', (10, 'two.hosts.example'))
        self.down(0)
        self.goes_to(1, 'd.example')

    def test_equal_preference_is_shared(self):
        for i in range(12):
            self.mx(f'e{i}.example', (10, 'mx0.hosts.example'),
                    (10, 'mx1.hosts.example'))
            self.send(f'e{i}.example')
        self.relay.wait_empty()
        self.assertTrue(self.sinks[0].arrivals)
        self.assertTrue(self.sinks[1].arrivals)

    def test_no_mx_is_its_own_host(self):
        self.dns.add('f.example', 'A', self.addresses[2])
        self.goes_to(2, 'f.example')

    def test_mx_by_way_of_an_alias(self):
        self.mx('real.example', (10, 'mx0.hosts.example'))
        self.dns.add('g.example', 'CNAME', 'real.example')
        self.goes_to(0, 'g.example')

    def test_mx_that_is_an_alias(self):
        self.dns.add('alias.hosts.example', 'CNAME', 'mx1.hosts.example')
        self.mx('h.example', (10, 'alias.hosts.example'))
        self.goes_to(1, 'h.example')

    def test_hosts_worse_than_ourselves_are_left_out(self):
        self.mx('i.example', (10, 'mx0.hosts.example'), (20, OWN),
                (30, 'mx1.hosts.example'))
        self.goes_to(0, 'i.example')

    def test_null_mx_beside_others_is_ignored(self):
        self.mx('j.example', (0, '.'), (10, 'mx1.hosts.example'))
        self.goes_to(1, 'j.example')

    def test_address_literal(self):
        self.goes_to(1, f'[{self.addresses[1]}]')

    def test_case_does_not_matter(self):
        self.mx('k.example', (10, 'MX0.Hosts.Example'))
        self.goes_to(0, 'K.Example')

    # ------- none

    def test_null_mx(self):
        self.mx('l.example', (0, '.'))
        self.ends('l.example', 'failed', 'dns-null-mx', '5.1.10')

    def test_no_such_domain(self):
        self.ends('nothing.example', 'failed', 'dns-nxdomain', '5.1.2')

    def test_neither_mx_nor_address(self):
        self.dns.add('m.example', 'TXT', 'text')
        self.ends('m.example', 'failed', 'dns-nomx')

    def test_loop(self):
        self.mx('n.example', (10, OWN), (20, 'mx0.hosts.example'))
        self.ends('n.example', 'failed', 'loop', '5.4.6')

    def test_servfail(self):
        self.dns.fail('o.example', 'SERVFAIL')
        self.ends('o.example', 'deferred', 'dns-servfail')

    def test_silence(self):
        self.dns.mute('p.example')
        self.ends('p.example', 'deferred', 'dns-timeout')

    # ------- change

    def test_goes_by_itself_when_dns_is_mended(self):
        self.dns.fail('q.example', 'SERVFAIL')
        self.ends('q.example', 'deferred', 'dns-servfail')
        self.dns.forget('q.example')
        self.mx('q.example', (10, 'mx0.hosts.example'))
        self.relay.wait_empty()
        self.assertEqual(len(self.sinks[0].arrivals), 1)

    def test_an_answer_holds_for_its_time(self):
        self.mx('r.example', (10, 'mx0.hosts.example'), ttl=2)
        self.goes_to(0, 'r.example')
        self.dns.forget('r.example')
        self.mx('r.example', (10, 'mx1.hosts.example'), ttl=2)
        net.wait_for('the new host is used', self.arrived_at_second, 20, 0.5)

    def arrived_at_second(self):
        self.send('r.example')
        self.relay.wait_empty()
        return bool(self.sinks[1].arrivals)

    def test_resubmit_forgets_what_dns_said(self):
        self.ends('s.example', 'failed', 'dns-nxdomain')
        self.mx('s.example', (10, 'mx0.hosts.example'))
        self.relay.ctl('resubmit', '--failed', '--yes')
        self.relay.wait_empty()
        self.assertEqual(len(self.sinks[0].arrivals), 1)

    def test_one_failing_domain_delays_no_other(self):
        self.mx('dead.example', (10, 'mx0.hosts.example'))
        self.mx('t.example', (10, 'mx1.hosts.example'))
        self.down(0)
        self.ends('dead.example', 'deferred', 'connect-refused')
        self.send('t.example')
        self.sinks[1].wait(1)


if __name__ == '__main__':
    unittest.main(verbosity=2)
