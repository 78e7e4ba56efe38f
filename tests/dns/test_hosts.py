# SPDX-License-Identifier: ISC
"""`hosts` of a route that are mail domains: their MX hosts stand for them, but
only when it is certain that they have no address, and never with another name
in the certificate.  See test_nsd, too."""

import shutil
import unittest

# It knows where the harness is.
from scene import A, B, C, DEAD, Scene, net
from broken import Broken
from harness import certs
from harness.relay import route, trust

ZONE = {
    'order': [(20, 'b'), (10, 'a')],
    'second': [(10, 'down'), (20, 'b')],
    'missing': [(10, 'nobody'), (20, 'c')],
    'all-down': [(10, 'down'), (20, 'down-too')],
    'addresses': [(10, 'two')],
    'addressed': [(10, 'a')],
    'with-port': [(10, 'a')],
    'doubtful': [(10, 'a')],
    'one-family': [(10, 'a')],
    'null': [(0, '')],
    'ourselves': [(10, 'relay'), (20, 'a')],
    'unknown-mx': [(10, 'a')],
    'forced': [(10, 'a')],
    'named': [(10, 'a')],
    'spoofed': [(10, 'a')],
}


def out(label, *hosts, tls='off', **options):
    """The route of LABEL.to."""
    return route(label, domains=[f'{label}.to'], tls=tls,
                 hosts=hosts or [f'{label}.dns.test'], **options)


class Hosts(Scene):

    @classmethod
    def setUpClass(cls):
        cls.dns = Broken()
        cls.addClassCleanup(cls.dns.close)
        for name, hosts in (('a', [A]), ('b', [B]), ('c', [C]),
                            ('down', [DEAD]), ('down-too', [DEAD]),
                            ('two', [DEAD, A]), ('addressed', [DEAD])):
            cls.dns.add(f'{name}.dns.test', 'A', *hosts)
        for name, records in ZONE.items():
            cls.dns.add(f'{name}.dns.test', 'MX', *[
                (preference, host and f'{host}.dns.test')
                for preference, host in records])
        cls.dns.add('nothing.dns.test', 'TXT', 'neither')
        for kind in ('A', 'AAAA'):
            cls.dns.fail_type('doubtful.dns.test', kind, 'SERVFAIL')
        cls.dns.fail_type('one-family.dns.test', 'AAAA', 'SERVFAIL')
        cls.dns.fail_type('unknown-mx.dns.test', 'MX', 'SERVFAIL')
        cls.dir = net.temp_dir('certs')
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.ca = certs.Authority(cls.dir)
        forced = {'tls': 'forced', 'trust': 'tests'}
        cls.sections = [trust('tests', cls.ca.pem), *[
            out(label) for label in ZONE
            if label not in ('with-port', 'forced', 'named', 'spoofed')],
            out('nothing'), out('nobody'), out('forced', **forced),
            out('spoofed', **forced),
            out('named', names=['a.dns.test'], **forced),
            out('with-port', 'with-port.dns.test:25'),
            out('two-entries', 'nothing.dns.test', 'order.dns.test')]
        super().setUpClass()

    def delivered(self, label, which, host=None):
        """The mail arrives at this one of the sinks."""
        event = self.last(self.send(f'{label}.to'), 'delivered')
        self.assertEqual(event['address'], self.sinks[which].address.replace(
            '[', '').replace(']', ''))
        self.assertEqual(event['destination'],
                         f'{label}/{host or label}.dns.test:25')
        return event

    def deferred(self, label, cause):
        """Nobody gets it."""
        before = [len(sink.connections) for sink in self.sinks.values()]
        message = self.check_deferred(f'{label}.to', cause, label)
        self.assertEqual([len(sink.connections)
                          for sink in self.sinks.values()], before)
        return message

    def present(self, *names):
        """What the hosts show in TLS."""
        certificate = self.ca.issue('-'.join(names), *names)
        self.sinks['a'].behaviour.certificate = certificate
        self.addCleanup(setattr, self.sinks['a'].behaviour, 'certificate',
                        None)

    # ------- MX hosts

    def test_by_preference(self):
        self.delivered('order', 'a')

    def test_next_when_the_best_is_down(self):
        self.delivered('second', 'b')

    def test_next_when_the_best_does_not_exist(self):
        self.delivered('missing', 'c')

    def test_every_address(self):
        self.delivered('addresses', 'a')

    def test_all_down(self):
        self.deferred('all-down', 'connect-refused')

    def test_entry_after_one_that_is_nothing(self):
        self.delivered('two-entries', 'a', host='order')

    # ------- none

    def test_address_comes_first(self):
        """Nobody listens there."""
        self.deferred('addressed', 'connect-refused')

    def test_port_means_host(self):
        self.deferred('with-port', 'dns-nomx')

    def test_address_is_in_doubt(self):
        self.deferred('doubtful', 'dns-servfail')

    def test_one_family_is_in_doubt(self):
        self.deferred('one-family', 'dns-servfail')

    def test_mx_fails(self):
        self.deferred('unknown-mx', 'dns-servfail')

    def test_null_mx(self):
        self.deferred('null', 'dns-null-mx')

    def test_ourselves(self):
        self.deferred('ourselves', 'loop')

    def test_neither(self):
        self.deferred('nothing', 'dns-nomx')

    def test_no_such_name(self):
        self.deferred('nobody', 'dns-nxdomain')

    # ------- certificates

    def test_configured_name_is_verified(self):
        self.present('forced.dns.test')
        event = self.delivered('forced', 'a')
        self.assertEqual(event['verified'], 'name')

    def test_name_of_mx_is_not_enough(self):
        """Who forges an MX has a certificate for the host it names."""
        self.present('a.dns.test')
        before = len(self.sinks['a'].arrivals)
        message = self.check_deferred('spoofed.to', 'tls-cert-name',
                                      'spoofed')
        self.assertEqual(len(self.sinks['a'].arrivals), before)
        self.present('spoofed.dns.test')
        self.relay.ctl('resubmit', message)
        self.last_of(message, 'delivered')

    def test_unless_the_route_names_it(self):
        self.present('a.dns.test')
        event = self.delivered('named', 'a')
        self.assertEqual(event['verified'], 'name')


if __name__ == '__main__':
    unittest.main()
