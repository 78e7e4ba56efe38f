# SPDX-License-Identifier: ISC
"""Shapes of MX and address records at a real name server: the hosts that are
tried, in their order, or why there are none."""

import time
import unittest

# It knows where the harness is.
from scene import A, B, C, DEAD, OWN_NAME, Scene, net
from nsd import Nsd
from harness.relay import route

# Names without a dot at the end are within the zone.
HOSTS = f'''\
$TTL 60
a A {A}
b A {B}
c A {C}
six AAAA ::1
down1 A {DEAD}
down2 A {DEAD}
down3 A {DEAD}
nowhere-to-go TXT "no address"
alias-of-a CNAME a
two A {DEAD}
two A {A}
both A {DEAD}
both AAAA ::1
relay A {DEAD}
under_score A {A}
1and1 A {A}
'''

LONG_LABEL = 'l' * 63
LONG_NAME = '.'.join(['l' * 63, 'm' * 63, 'n' * 63, 'o' * 52])

ZONE = HOSTS + f'''\
one MX 10 a
three MX 30 c
three MX 10 down1
three MX 20 down2
numbers MX 100 a
numbers MX 9 down2
numbers MX 0 down1
extremes MX 65535 a
extremes MX 32768 down1
*.equal MX 10 a
*.equal MX 10 b
*.equal MX 10 c
sets MX 20 a
sets MX 10 down1
sets MX 10 down2
sets MX 10 down3
twice MX 10 down1
twice MX 20 down1
twice MX 30 b
all-down MX 10 down1
all-down MX 20 down2
addresses MX 10 two
families MX 10 both
ipv6 MX 10 six
then-ipv6 MX 10 down1
then-ipv6 MX 20 six
no-mx A {B}
no-mx-ipv6 AAAA ::1
nothing TXT "neither MX nor address"
null MX 0 .
null-with-address MX 0 .
null-with-address A {A}
null-and-others MX 0 .
null-and-others MX 10 b
null-by-10 MX 10 .
to-alias MX 10 alias-of-a
alias CNAME one
alias-of-alias CNAME alias
alias-of-host CNAME b
alias-of-nobody CNAME nobody
round-1 CNAME round-2
round-2 CNAME round-1
alias-of-null CNAME null
missing-first MX 10 missing
missing-first MX 20 b
all-missing MX 10 missing
all-missing MX 20 missing-too
bare-first MX 10 nowhere-to-go
bare-first MX 20 c
number MX 10 {A}.
number-first MX 10 {A}.
number-first MX 20 b
own-first MX 10 relay
own-first MX 20 a
own-alone MX 10 RELAY
own-last MX 10 b
own-last MX 20 relay
own-between MX 10 down1
own-between MX 20 Relay
own-between MX 30 a
own-equal MX 10 down1
own-equal MX 20 relay
own-equal MX 20 a
own-equal-first MX 10 relay
own-equal-first MX 10 a
own-twice MX 10 a
own-twice MX 20 relay
own-twice MX 5 down1
own-twice MX 30 relay
under MX 10 under_score
digits MX 10 1and1
_srv._tcp MX 10 b
{LONG_LABEL} MX 10 b
{LONG_NAME} MX 10 c
xn--mnchen-3ya MX 10 a
deep.er.and.deeper MX 10 a
upper MX 10 B
upper-a MX 10 A
parent MX 10 a
child.parent A {B}
''' + ''.join(f'crowd MX {n + 10} {"x" * 40}{n}\n' for n in range(120)
              ) + 'crowd MX 1 a\n'


class Shapes(Scene):

    @classmethod
    def setUpClass(cls):
        cls.dns = Nsd('dns.test', ZONE)
        cls.addClassCleanup(cls.dns.close)
        super().setUpClass()

    def delivered(self, label, *hosts):
        return self.check_delivered(f'{label}.dns.test', *hosts)

    def failed(self, label, cause, status):
        self.check_failed(f'{label}.dns.test', cause, status)

    def deferred(self, label, cause, *hosts):
        self.check_deferred(f'{label}.dns.test', cause, *hosts)


class Order(Shapes):
    """RFC 5321 5.1."""

    def test_one(self):
        self.delivered('one', 'a')

    def test_by_preference(self):
        self.delivered('three', 'down1', 'down2', 'c')

    def test_preferences_are_numbers(self):
        self.delivered('numbers', 'down1', 'down2', 'a')

    def test_largest_preferences(self):
        self.delivered('extremes', 'down1', 'a')

    def test_equal_are_shuffled(self):
        """All of 40 domains choosing among two hosts has a chance of one in
        a million."""
        chosen = {self.name(self.last(self.send(f'{n}.equal.dns.test'),
                                      'delivered')['destination'])
                  for n in range(40)}
        self.assertEqual(chosen, {'a', 'b', 'c'})

    def test_equal_come_before_worse(self):
        log = len(self.relay.log())
        event = self.last(self.send('sets.dns.test'), 'delivered')
        self.assertEqual(self.name(event['destination']), 'a')
        self.assertEqual(sorted(self.tried(log)), ['down1', 'down2', 'down3'])

    def test_named_twice(self):
        self.delivered('twice', 'down1', 'b')

    def test_all_down(self):
        self.deferred('all-down', 'connect-refused', 'down1', 'down2')

    def test_missing_host(self):
        self.delivered('missing-first', 'missing', 'b')

    def test_all_missing(self):
        self.deferred('all-missing', 'dns-nxdomain', 'missing', 'missing-too')

    def test_host_without_address(self):
        self.delivered('bare-first', 'nowhere-to-go', 'c')

    def test_crowd(self):
        """More than fits into a datagram: the answer comes over TCP."""
        self.delivered('crowd', 'a')


class Addresses(Shapes):

    def test_several(self):
        event = self.delivered('addresses', 'two')
        self.assertEqual(event['address'], self.sinks['a'].address.replace(
            '[', '').replace(']', ''))

    def test_both_families(self):
        event = self.delivered('families', 'both')
        self.assertEqual(event['address'], self.sinks['six'].address)

    def test_ipv6_only(self):
        event = self.delivered('ipv6', 'six')
        self.assertEqual(event['address'], self.sinks['six'].address)

    def test_ipv6_when_the_first_is_down(self):
        self.delivered('then-ipv6', 'down1', 'six')

    def test_literal(self):
        event = self.last(self.send(f'[{B}]'), 'delivered')
        self.assertIn(B, event['address'])

    def test_ipv6_literal(self):
        event = self.last(self.send('[IPv6:::1]'), 'delivered')
        self.assertEqual(event['address'], self.sinks['six'].address)


class WithoutMx(Shapes):

    def test_own_address(self):
        self.delivered('no-mx', 'no-mx')

    def test_own_ipv6_address(self):
        self.delivered('no-mx-ipv6', 'no-mx-ipv6')

    def test_mx_of_parent_is_not_used(self):
        self.delivered('child.parent', 'child.parent')

    def test_no_address_either(self):
        self.failed('nothing', 'dns-nomx', '5.1.2')

    def test_nxdomain(self):
        self.failed('nobody', 'dns-nxdomain', '5.1.2')

    def test_empty_non_terminal(self):
        """and.deeper exists, as deep.er.and.deeper does."""
        self.failed('and.deeper', 'dns-nomx', '5.1.2')


class NullMx(Shapes):
    """RFC 7505."""

    def test_null(self):
        self.failed('null', 'dns-null-mx', '5.1.10')

    def test_address_is_not_used(self):
        self.failed('null-with-address', 'dns-null-mx', '5.1.10')

    def test_beside_others(self):
        self.delivered('null-and-others', 'b')

    def test_any_preference(self):
        self.failed('null-by-10', 'dns-null-mx', '5.1.10')

    def test_through_alias(self):
        self.failed('alias-of-null', 'dns-null-mx', '5.1.10')


class Aliases(Shapes):

    def test_domain(self):
        self.delivered('alias', 'a')

    def test_chain(self):
        self.delivered('alias-of-alias', 'a')

    def test_of_host(self):
        self.delivered('alias-of-host', 'alias-of-host')

    def test_mx_host(self):
        """Forbidden by RFC 5321, and common."""
        self.delivered('to-alias', 'alias-of-a')

    def test_of_nobody(self):
        self.failed('alias-of-nobody', 'dns-nxdomain', '5.1.2')

    def test_circle(self):
        self.deferred('round-1', 'dns-servfail')


class Ourselves(Shapes):
    """The mail must not come back."""

    def test_best(self):
        self.failed('own-first', 'loop', '5.4.6')

    def test_alone(self):
        self.failed('own-alone', 'loop', '5.4.6')

    def test_last(self):
        self.delivered('own-last', 'b')

    def test_worse_are_not_tried(self):
        self.deferred('own-between', 'connect-refused', 'down1')

    def test_equal_are_not_tried(self):
        self.deferred('own-equal', 'connect-refused', 'down1')

    def test_equal_to_best(self):
        self.failed('own-equal-first', 'loop', '5.4.6')

    def test_twice(self):
        self.delivered('own-twice', 'down1', 'a')

    def test_own_name_as_domain(self):
        self.check_failed(OWN_NAME, 'loop', '5.4.6')


class Names(Shapes):

    def test_number_is_no_host(self):
        self.failed('number', 'dns-nomx', '5.1.2')

    def test_number_beside_others(self):
        self.delivered('number-first', 'b')

    def test_underscore(self):
        self.delivered('under', 'under_score')

    def test_digits(self):
        self.delivered('digits', '1and1')

    def test_long_label(self):
        self.delivered(LONG_LABEL, 'b')

    def test_long_name(self):
        self.delivered(LONG_NAME, 'c')

    def test_a_label(self):
        self.delivered('xn--mnchen-3ya', 'a')

    def test_case(self):
        self.delivered('ONE', 'a')
        self.delivered('upper', 'b')


class Hosts(Shapes):
    """The same shapes as next hops of a route: LABEL.to goes to LABEL."""

    labels = ('one', 'three', 'extremes', 'addresses', 'families', 'alias',
              'to-alias', 'missing-first', 'own-last', 'crowd', 'no-mx',
              'null', 'alias-of-nobody', 'round-1', 'own-first')
    sections = tuple(
        route(label, domains=[f'{label}.to'], hosts=[f'{label}.dns.test'],
              tls='off') for label in labels)

    def test_delivered(self):
        for label, where in (
                ('one', 'a'), ('three', 'c'), ('extremes', 'a'),
                ('addresses', 'a'), ('families', 'six'), ('alias', 'a'),
                ('to-alias', 'a'), ('missing-first', 'b'), ('own-last', 'b'),
                ('crowd', 'a')):
            with self.subTest(label):
                before = len(self.sinks[where].arrivals)
                self.check_delivered(f'{label}.to', label)
                self.assertEqual(len(self.sinks[where].arrivals), before + 1)

    def test_deferred(self):
        for label, cause in (
                ('no-mx', 'connect-refused'), ('null', 'dns-null-mx'),
                ('alias-of-nobody', 'dns-nxdomain'),
                ('round-1', 'dns-servfail'), ('own-first', 'loop')):
            with self.subTest(label):
                self.check_deferred(f'{label}.to', cause, label)


class Suspended(Shapes):
    """A suspension belongs to the host, whichever domain leads there, and
    is not forgotten while no mail does."""

    def suspend(self, *options):
        self.delivered('one', 'a')
        self.host = f'out/a.dns.test:{self.port}'
        self.relay.ctl('destination', 'suspend', self.host, *options)

    def shown(self):
        """The rows of the host in the list of destinations."""
        return [row for row in self.relay.ctl_json('destination', 'list')
                if row['destination'] == self.host]

    def restart(self):
        self.relay.kill()
        self.relay.start()

    def test_outlives_a_restart(self):
        self.suspend('--reason', 'Kabel 7')
        messages = [self.check_deferred('one.dns.test', 'suspended'),
                    self.check_deferred('deep.er.and.deeper.dns.test',
                                        'suspended')]
        self.restart()
        messages += [self.check_deferred('one.dns.test', 'suspended'),
                     self.check_deferred('upper-a.dns.test', 'suspended')]
        self.delivered('own-last', 'b')
        self.relay.ctl('destination', 'resume', self.host)
        for message in messages:
            self.last_of(message, 'delivered')
        self.restart()
        self.assertEqual(self.shown(), [])
        self.delivered('one', 'a')

    def test_is_shown_and_ended_without_mail(self):
        self.suspend('--reason', 'Kabel 8')
        self.restart()
        row, = self.shown()
        self.assertEqual((row['state'], row['reason']),
                         ('suspended', 'Kabel 8'))
        self.relay.ctl('destination', 'suspend', self.host, '--reason', 'x')
        self.restart()
        row, = self.shown()
        self.assertEqual((row['state'], row['reason']), ('suspended', 'x'))
        row, = self.relay.ctl_json('destination', 'resume', self.host)
        self.assertEqual((row['destination'], row['state']),
                         (self.host, 'up'))
        self.assertEqual(self.shown(), [])
        self.restart()
        self.delivered('one', 'a')

    def test_ends_without_mail(self):
        self.suspend('--for', '1s')
        self.restart()
        net.wait_for('its end', lambda: not self.shown(), 30)
        self.delivered('one', 'a')


class Changes(Scene):
    """A zone that changes under way."""

    @classmethod
    def setUpClass(cls):
        cls.changing = {}               # label: its line
        cls.dns = Nsd('dns.test', HOSTS)
        cls.addClassCleanup(cls.dns.close)
        super().setUpClass()

    def change(self, **lines):
        """What is to be said of some labels."""
        self.changing.update(lines)
        self.dns.change(HOSTS + ''.join(
            f'{label} {line}\n' for label, line in self.changing.items()))

    def test_ttl(self):
        self.change(short='1 MX 10 a', long='300 MX 10 a')
        self.check_delivered('short.dns.test', 'a')
        self.check_delivered('long.dns.test', 'a')
        self.change(short='1 MX 10 b', long='300 MX 10 b')
        # The TTL of the one is over, that of the other is not.  Resolvers
        # count whole seconds.
        time.sleep(2.5)
        self.check_delivered('short.dns.test', 'b')
        self.check_delivered('long.dns.test', 'a')

    def test_resubmit_forgets(self):
        self.change(mended='300 MX 10 down1')
        message = self.check_deferred('mended.dns.test', 'connect-refused',
                                      'down1')
        self.change(mended='300 MX 10 c')
        self.relay.ctl('resubmit', message)
        self.check_mended(message, 'c')

    def test_failed_is_resubmitted(self):
        """A domain that appears after its mail has failed."""
        message = self.send('new.dns.test')
        self.assertEqual(self.last(message, 'failed')['cause'],
                         'dns-nxdomain')
        self.change(new='60 MX 10 b')
        self.relay.ctl('resubmit', message)
        self.check_mended(message, 'b')


if __name__ == '__main__':
    unittest.main()
