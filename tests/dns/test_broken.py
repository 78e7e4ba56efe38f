# SPDX-License-Identifier: ISC
"""Name servers that fail, say nothing, or say nonsense: mail waits with the
right cause and goes to nobody who was not named, or takes the next host."""

import unittest

# It knows where the harness is.
from scene import A, B, C, DEAD, Scene
from broken import SPOILERS, Broken


class Failing(Scene):

    @classmethod
    def setUpClass(cls):
        cls.dns = Broken()
        cls.addClassCleanup(cls.dns.close)
        for name, host in (('a', A), ('b', B), ('c', C), ('down1', DEAD)):
            cls.dns.add(f'{name}.dns.test', 'A', host)
        super().setUpClass()

    def domain(self, label, *hosts):
        """A domain with these hosts, the best first."""
        name = f'{label}.dns.test'
        self.dns.add(name, 'MX', *[(10 * (n + 1), f'{host}.dns.test')
                                   for n, host in enumerate(hosts)])
        return name

    def mended(self, message, host):
        """It goes to this host now, once it is resubmitted."""
        self.relay.ctl('resubmit', message)
        self.check_mended(message, host)


class Rcodes(Failing):

    def rcode(self, rcode):
        name = self.domain(rcode.lower(), 'a')
        self.dns.fail(name, rcode)
        message = self.check_deferred(name, 'dns-servfail')
        self.domain(rcode.lower(), 'a')
        self.mended(message, 'a')

    def test_servfail(self):
        self.rcode('SERVFAIL')

    def test_refused(self):
        self.rcode('REFUSED')

    def test_formerr(self):
        self.rcode('FORMERR')

    def test_notimp(self):
        self.rcode('NOTIMP')

    def test_nxdomain_to_addresses_only(self):
        """The name was there when its MX was asked for."""
        self.dns.add('half.dns.test', 'TXT', 'x')
        for kind in ('A', 'AAAA'):
            self.dns.fail_type('half.dns.test', kind, 'NXDOMAIN')
        self.check_failed('half.dns.test', 'dns-nomx', '5.1.2')


class Partly(Failing):
    """Some questions are answered."""

    def test_address_is_no_way_round_mx(self):
        """Who knows where the MX records would have led?"""
        self.dns.add('unknown-mx.dns.test', 'A', B)
        self.dns.fail_type('unknown-mx.dns.test', 'MX', 'SERVFAIL')
        self.check_deferred('unknown-mx.dns.test', 'dns-servfail')

    def test_no_mx_and_address_fails(self):
        self.dns.add('unknown-a.dns.test', 'TXT', 'x')
        for kind in ('A', 'AAAA'):
            self.dns.fail_type('unknown-a.dns.test', kind, 'SERVFAIL')
        self.check_deferred('unknown-a.dns.test', 'dns-servfail')

    def test_no_mx_and_one_family_fails(self):
        """No A, and AAAA cannot be known: it may have an address."""
        self.dns.add('one-family.dns.test', 'TXT', 'x')
        self.dns.fail_type('one-family.dns.test', 'AAAA', 'SERVFAIL')
        self.check_deferred('one-family.dns.test', 'dns-servfail')

    def test_host_fails(self):
        self.dns.fail('bad.dns.test', 'SERVFAIL')
        self.check_deferred(self.domain('bad-host', 'bad'), 'dns-servfail',
                            'bad')

    def test_first_host_fails(self):
        self.dns.fail('bad.dns.test', 'SERVFAIL')
        self.check_delivered(self.domain('bad-first', 'bad', 'b'),
                             'bad', 'b')

    def test_aaaa_fails(self):
        self.dns.add('four.dns.test', 'A', C)
        self.dns.fail_type('four.dns.test', 'AAAA', 'SERVFAIL')
        self.check_delivered(self.domain('no-aaaa', 'four'), 'four')

    def test_aaaa_is_never_answered(self):
        self.dns.add('slow.dns.test', 'A', C)
        self.dns.mute_type('slow.dns.test', 'AAAA')
        self.check_delivered(self.domain('slow-aaaa', 'slow'), 'slow')

    def test_aaaa_is_denied_with_nxdomain(self):
        self.dns.add('denied.dns.test', 'A', C)
        self.dns.fail_type('denied.dns.test', 'AAAA', 'NXDOMAIN')
        self.check_delivered(self.domain('denied-aaaa', 'denied'), 'denied')

    def test_no_data_without_authority(self):
        self.dns.add('bare.dns.test', 'A', B)
        self.dns.without_soa.add('bare.dns.test')
        self.check_delivered('bare.dns.test', 'bare')

    def test_more_hosts_than_are_tried(self):
        name = 'many.dns.test'
        self.dns.add(name, 'MX', (5, 'a.dns.test'), *[
            (10, f'h{n}.dns.test') for n in range(20)])
        self.check_delivered(name, 'a')

    def test_circle_of_aliases(self):
        self.dns.add('x.dns.test', 'CNAME', 'y.dns.test')
        self.dns.add('y.dns.test', 'CNAME', 'x.dns.test')
        self.check_deferred('x.dns.test', 'dns-servfail')

    def test_alias_of_a_failure(self):
        self.dns.add('to-failure.dns.test', 'CNAME', 'failure.dns.test')
        self.dns.fail('failure.dns.test', 'SERVFAIL')
        self.check_deferred('to-failure.dns.test', 'dns-servfail')


class Suspended(Failing):

    def test_domain(self):
        """Whose hosts nobody knows: it stays suspended when they are known,
        and after a restart."""
        name = self.domain('unknown', 'a')
        self.dns.fail(name, 'SERVFAIL')
        messages = [self.check_deferred(name, 'dns-servfail')]
        self.relay.ctl('destination', 'suspend', f'out/{name}')
        self.domain('unknown', 'a')
        self.relay.ctl('resubmit', messages[0])
        messages.append(self.check_deferred(name, 'suspended'))
        self.relay.kill()
        self.relay.start()
        messages.append(self.check_deferred(name, 'suspended'))
        self.relay.ctl('destination', 'resume', f'out/{name}')
        for message in messages:
            event = self.last_of(message, 'delivered')
            self.assertEqual(self.name(event['destination']), 'a')


class Nonsense(Failing):
    """Answers that are none.  Whether that is silence or failure is up to the
    resolver; that it says nothing of the domain is not."""

    dns_timeout_ms = 1000

    def test_nonsense(self):
        """All at once: the resolver asks again and again each time."""
        messages = {}
        for how in SPOILERS:
            name = self.domain(how, 'a')
            self.dns.spoil(name, how)
            messages[how] = self.send(name)
        for how, message in messages.items():
            with self.subTest(how):
                event = self.last(message, 'deferred')
                self.assertIn(event['cause'], ('dns-servfail', 'dns-timeout'))
        for how in messages:
            self.dns.spoil(f'{how}.dns.test', None)
        self.relay.ctl('resubmit', '--deferred', '--yes')
        for how, message in messages.items():
            with self.subTest(how):
                self.check_mended(message, 'a')


class Silence(Failing):
    dns_timeout_ms = 1000

    def test_silence(self):
        """All at once: each lasts as long as we wait for an answer."""
        for host in ('mute', 'mute-too'):
            self.dns.add(f'{host}.dns.test', 'A', A)
            self.dns.mute(f'{host}.dns.test')
        whole = self.domain('silent', 'a')
        self.dns.mute(whole)
        self.dns.add('silent-a.dns.test', 'TXT', 'x')
        for kind in ('A', 'AAAA'):
            self.dns.mute_type('silent-a.dns.test', kind)
        first = self.domain('silent-first', 'mute', 'b')
        only = self.domain('silent-only', 'mute-too')
        messages = {name: self.send(name) for name in (
            whole, 'silent-a.dns.test', first, only)}
        for name in (whole, 'silent-a.dns.test', only):
            with self.subTest(name):
                event = self.last(messages[name], 'deferred')
                self.assertEqual(event['cause'], 'dns-timeout')
        event = self.last(messages[first], 'delivered')
        self.assertEqual(self.name(event['destination']), 'b')
        self.dns.forget(whole)
        self.domain('silent', 'c')
        self.mended(messages[whole], 'c')


class Recovery(Failing):
    """After silence: a SERVFAIL is kept by libunbound for some seconds, see
    test_mx."""

    queue = {**Scene.queue, 'probe': '1s', 'retry': ['1s']}
    dns_timeout_ms = 1000

    def test_domain_comes_back(self):
        name = self.domain('comes-back', 'a')
        self.dns.mute(name)
        message = self.check_deferred(name, 'dns-timeout')
        self.dns.forget(name)
        self.domain('comes-back', 'a')
        event = self.last_of(message, 'delivered')
        self.assertEqual(self.name(event['destination']), 'a')

    def test_host_comes_back(self):
        self.dns.mute('lost.dns.test')
        message = self.check_deferred(self.domain('host-back', 'lost'),
                                      'dns-timeout', 'lost')
        self.dns.forget('lost.dns.test')
        self.dns.add('lost.dns.test', 'A', B)
        event = self.last_of(message, 'delivered')
        self.assertEqual(self.name(event['destination']), 'lost')


if __name__ == '__main__':
    unittest.main()
