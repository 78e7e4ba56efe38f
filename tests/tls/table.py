# SPDX-License-Identifier: ISC
"""table - what becomes of mail under every fault of a next hop and every
policy of a route, written as a table.

    fault      may             name/require  pin
    good       tls             tls           tls
    expired    tls             cert-expired  tls
    hidden     clear:not-off.. not-offered   not-offered

A column is a policy, and behind a slash whether revocation lists are asked
(off if nothing is said).  A cell says `tls`: the mail was sent in TLS;
`clear`: it was sent in clear text (behind a colon, why); a cause without its
"tls-": it was deferred with that; `.`: not tried.

Each cell is a route of one relayd, and a message; all of them are under way at
once.  Each fault has a next hop, with a tap before it: a route connects from a
loopback address of its own, so that everything it ever said is told apart.
"""

import collections
import itertools
import re
import resource
import shlex
import shutil
import sys
import os
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

# The path comes first.
from harness import certs, net, sender           # noqa: E402
from harness.relay import Relay, identity, route, trust  # noqa: E402
from harness.sink import Sink                    # noqa: E402
from harness.tap import HARMLESS, Tap            # noqa: E402

PEER = 'mx.example.net'
BODY = b'Subject: x\r\n\r\nseven bits, for next hops that know no more\r\n'
POLICIES = {
    'off': {'tls': 'off'},
    'may': {'tls': 'opportunistic'},
    'may-name': {'tls': 'opportunistic', 'verify': 'name'},
    'none': {'tls': 'forced', 'verify': 'none'},
    'ca': {'tls': 'forced', 'verify': 'ca'},
    'name': {'tls': 'forced', 'verify': 'name'},
    'pin': {'tls': 'forced', 'verify': 'name'},
    'other-pin': {'tls': 'forced', 'verify': 'ca'},
}
# What the trace must say was proved, at least.
PROOF = {'ca': ('ca', 'name'), 'name': ('name',), 'may-name': ('name',),
         'pin': ('pin',)}
WORD = re.compile(r'^[a-z0-9-]+$')

Row = collections.namedtuple('Row', 'number fault policy crl want')
Fault = collections.namedtuple('Fault', 'sink tap options')


def rows_of(text):
    """The rows of a table, one for each cell."""
    head, *lines = [line.split() for line in text.splitlines()
                    if line.strip()]
    numbers = itertools.count(1)
    for fault, *cells in lines:
        if len(cells) != len(head) - 1:
            raise ValueError(f'{fault}: {len(cells)} cells')
        for column, want in zip(head[1:], cells):
            policy, _, crl = column.partition('/')
            if want != '.':
                yield Row(next(numbers), fault, policy, crl or 'off', want)


class Table(unittest.TestCase):
    """A subclass has the table, and stage(), which calls put()."""

    text = None
    relay_options = {}
    trusted = ()            # PEM files besides our CA's
    crl_files = ()

    @classmethod
    def setUpClass(cls):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        cls.addClassCleanup(resource.setrlimit, resource.RLIMIT_NOFILE,
                            (soft, hard))
        cls.dir = net.temp_dir('table')
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.ca = certs.Authority(cls.dir)
        cls.strange = certs.Authority(cls.dir, 'strange')
        cls.ours = cls.ca.issue('ours', 'relay.example.com')
        cls.good = cls.ca.issue('good', PEER)
        cls.faults = {}
        cls.stage()
        cls.rows = list(rows_of(cls.text))
        cls.run_relay()

    @classmethod
    def stage(cls):
        """Puts a next hop for each fault of the table."""
        raise NotImplementedError

    @classmethod
    def put(cls, name, certificate=None, route_options=None, **behaviour):
        """A next hop with a fault, and what its routes have besides their
        policy."""
        sink = Sink(certificate or cls.good)
        cls.addClassCleanup(sink.close)
        for key, value in behaviour.items():
            if not hasattr(sink.behaviour, key):
                raise AttributeError(key)
            setattr(sink.behaviour, key, value)
        tap = Tap(sink.host, sink.port)
        cls.addClassCleanup(tap.close)
        cls.addClassCleanup(sink.behaviour.hung.set)
        cls.faults[name] = Fault(sink, tap, route_options or {})

    # ------- how a row is told from the others

    @staticmethod
    def source(row):
        """A loopback address that nobody listens at."""
        return f'127.200.{row.number // 200}.{row.number % 200 + 1}'

    @staticmethod
    def rcpt(row):
        return f'bob@{row.fault}.{row.policy}.{row.crl}.test'

    @classmethod
    def route(cls, row):
        fault = cls.faults[row.fault]
        options = {'hosts': [fault.tap.address], 'names': [PEER],
                   'trust': row.crl, 'source_address': cls.source(row),
                   **POLICIES[row.policy], **fault.options}
        if row.policy == 'pin':
            options['pins'] = [certs.pin(fault.sink.behaviour.certificate.pem)]
        elif row.policy == 'other-pin':
            options['pins'] = [certs.pin(cls.strange.pem)]
        if options.get('verify', 'none') != 'name':
            options.pop('names')
            options.pop('common_name', None)
        return route(f'{row.fault}.{row.policy}.{row.crl}',
                     [f'{row.fault}.{row.policy}.{row.crl}.test'], **options)

    # ------- one run of everything

    @classmethod
    def sections(cls):
        yield identity('ours', cls.ours)
        for mode in ('off', 'warn', 'require'):
            yield trust(mode, cls.ca.pem, *cls.trusted, crl=mode,
                        crl_files=[] if mode == 'off' else cls.crl_files)
        for row in cls.rows:
            yield cls.route(row)

    @classmethod
    def run_relay(cls):
        cls.relay = Relay(*cls.sections(), queue={'probe': '1h',
                                                  'retry': ['1h']})
        cls.addClassCleanup(cls.relay.close)
        with sender.Client(cls.relay.host, cls.relay.port) as client:
            client.hello()
            for row in cls.rows:
                reply = client.deliver('alice@example.com',
                                       [cls.rcpt(row)], BODY)
                if not reply.startswith('250 '):
                    raise sender.Refused(reply)
        cls.wait_settled()
        cls.waiting = {row['recipients'][0]: row
                       for row in cls.relay.ctl_json('queue', 'list')}
        cls.arrived = {rcpt: arrival for fault in cls.faults.values()
                       for arrival in fault.sink.arrivals
                       for rcpt in arrival.recipients}
        cls.facts = {}
        for line in cls.relay.log().splitlines():
            if 'event=delivered ' in line:
                fact = dict(word.partition('=')[::2]
                            for word in shlex.split(line))
                cls.facts[fact['rcpt'].strip('<>')] = fact
        cls.relay.stop()

    @classmethod
    def wait_settled(cls):
        def open_rows():
            return [row for row in cls.relay.summary()
                    if row['state'] != 'deferred']
        try:
            net.wait_for('everything is delivered or deferred',
                         lambda: not open_rows(), 60, 0.2)
        except net.TimedOut as e:
            raise net.TimedOut(f'{e}: {open_rows()}\n'
                               f'{cls.relay.log()[-4000:]}') from None

    # ------- what came of a row

    def wires(self, row):
        """The connections of its route."""
        return [w for w in self.faults[row.fault].tap.wires
                if w.peer == self.source(row)]

    def check(self, row):
        self.assertTrue(self.wires(row), 'nobody connected')
        how, _, why = row.want.partition(':')
        if how == 'tls':
            self.check_in_tls(row)
        elif how == 'clear':
            self.check_in_clear(row, why)
        else:
            self.check_deferred(row, f'tls-{how}')

    def check_in_tls(self, row):
        self.assertNotIn(self.rcpt(row), self.waiting)
        self.assertTrue(self.arrived[self.rcpt(row)].tls)
        fact = self.facts[self.rcpt(row)]
        self.assertTrue(fact['tls'].startswith('TLS1.'), fact)
        self.assertNotIn('cause', fact)
        if row.policy in PROOF:
            self.assertIn(fact['verified'], PROOF[row.policy])
        self.check_harmless(row)

    def check_in_clear(self, row, why):
        self.assertNotIn(self.rcpt(row), self.waiting)
        self.assertIsNone(self.arrived[self.rcpt(row)].tls)
        fact = self.facts[self.rcpt(row)]
        self.assertFalse(fact.get('tls'), fact)
        self.assertFalse(fact.get('verified'), fact)
        self.assertEqual(fact.get('cause'), f'tls-{why}' if why else None)
        self.assertNotEqual(POLICIES[row.policy]['tls'], 'forced')
        lines = [line for w in self.wires(row) for line in w.clear_lines()]
        self.assertIn(f'RCPT TO:<{self.rcpt(row)}>'.encode(), lines)
        if row.policy == 'off':
            self.assertNotIn(b'STARTTLS', lines)

    def check_deferred(self, row, cause):
        self.assertNotIn(self.rcpt(row), self.arrived)
        waits = self.waiting[self.rcpt(row)]
        self.assertEqual((waits['state'], waits['cause']),
                         ('deferred', cause), waits['reply'])
        self.assertTrue(waits['reply'])
        # That one is the answer to MAIL.
        if (cause != 'tls-peer-requires'
                or POLICIES[row.policy]['tls'] == 'forced'):
            self.check_harmless(row)

    def check_harmless(self, row):
        """Nothing but EHLO, STARTTLS and QUIT in clear text."""
        for wire in self.wires(row):
            for line in wire.clear_lines():
                self.assertIn(line.split(b' ')[0], HARMLESS)
            self.assertNotIn(b'MAIL', bytes(wire.sent))
            self.assertNotIn(self.rcpt(row).encode(), bytes(wire.sent))

    def check_all(self, least):
        """Checks every row; there are so many at least."""
        self.assertGreaterEqual(len(self.rows), least)
        for row in self.rows:
            with self.subTest(fault=row.fault, policy=row.policy,
                              crl=row.crl, want=row.want):
                self.check(row)
