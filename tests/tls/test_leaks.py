# SPDX-License-Identifier: ISC
"""Nothing leaks from clear text into TLS, from one policy into another, or
from a peer's words into ours; and who stalls holds nothing up for long."""

import re
import shutil
import ssl
import threading
import unittest

import table
from harness import certs, net, sender
from harness.relay import Relay, identity, route, section, trust
from harness.sink import RECORD, Session, Sink
from harness.tap import Tap

PEER, OTHER = table.PEER, 'other.example.org'
BODY = table.BODY
LATER = {'probe': '1h', 'retry': ['1h']}
SOON = {'probe': '200ms', 'retry': ['200ms']}
LINE = re.compile(rb'\d{3}[ -][\x20-\x7e]*\r\n\Z')
# RFC 8446 4.2
SESSION_TICKET, PRE_SHARED_KEY, SUPPORTED_VERSIONS = 35, 41, 43


def extensions(hello):
    """The types of the extensions of a ClientHello, from its record on."""
    at = 5 + 4 + 2 + 32
    at += 1 + hello[at]                                     # session id
    at += 2 + int.from_bytes(hello[at:at + 2], 'big')       # cipher suites
    at += 1 + hello[at]                                     # compression
    end = at + 2 + int.from_bytes(hello[at:at + 2], 'big')
    at += 2
    while at < end:
        yield int.from_bytes(hello[at:at + 2], 'big')
        at += 4 + int.from_bytes(hello[at + 2:at + 4], 'big')


class Scene(unittest.TestCase):
    """relayd, with certificates for everybody; a test adds next hops."""

    queue = LATER
    listener = {}

    @classmethod
    def setUpClass(cls):
        cls.dir = net.temp_dir('leaks')
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.ca = certs.Authority(cls.dir)
        cls.good = cls.ca.issue('good', PEER)
        cls.wrong = cls.ca.issue('wrong', OTHER)
        cls.own = cls.ca.issue('own', 'relay.example.com')

    def hop(self, certificate, kind=Sink):
        sink = kind(certificate)
        self.addCleanup(sink.close)
        self.addCleanup(sink.behaviour.hung.set)
        return sink

    def tapped(self, sink):
        tap = Tap(sink.host, sink.port)
        self.addCleanup(tap.close)
        return tap

    def sections(self, *routes):
        return (trust('ours', self.ca.pem), identity('own', self.own),
                *routes)

    def begin(self, *routes, **options):
        self.relay = Relay(*self.sections(*routes), queue=self.queue,
                           listener=self.listener, **options)
        self.addCleanup(self.relay.close)

    def client(self, port=None):
        client = sender.Client(self.relay.host, port or self.relay.port)
        self.addCleanup(client.close)
        return client

    def send(self, *recipients):
        with self.client() as client:
            client.hello()
            for rcpt in recipients:
                reply = client.deliver('alice@example.com', [rcpt], BODY)
                self.assertRegex(reply, sender.QUEUED)

    def row(self, recipient):
        return next((row for row in self.relay.ctl_json('queue', 'list')
                     if row['recipients'] == [recipient]), None)

    def wait_cause(self, recipient, cause):
        def there():
            row = self.row(recipient)
            return row and row.get('cause') == cause
        net.wait_for(f'{recipient} waits with {cause}', there)

    def wait_unparked(self):
        net.wait_for('connections are closed', lambda: not any(
            row['connections']
            for row in self.relay.ctl_json('destination', 'list')))

    def wait_log(self, text):
        net.wait_for(f'"{text}" in the log',
                     lambda: text in self.relay.log())


def forced(name, hop, **options):
    return route(name, [f'{name}.test'],
                 **{'hosts': [hop.address], 'tls': 'forced', 'names': [PEER],
                    'trust': 'ours', **options})


# ------- injection

class Injection(Scene):
    listener = {'tls': 'opportunistic', 'identity': ['own']}

    def test_behind_220(self):
        """Offers, and answers to what we say next, that came in clear."""
        hop = self.hop(self.good)
        hop.behaviour.behind_220 = (b'250-mx.example.net\r\n'
                                    b'250-CHUNKING\r\n250 DSN\r\n'
                                    b'250 2.1.0 Ok\r\n' * 3)
        self.begin(forced('a', hop))
        self.send('x@a.test')
        hop.wait(1)
        self.wait_log('event=starttls-injection')
        self.assertTrue(hop.arrivals[0].tls)
        connection, = hop.connections
        self.assertEqual([c.split()[0] for c in connection.commands[:5]],
                         ['EHLO', 'STARTTLS', 'EHLO', 'MAIL', 'RCPT'])
        self.assertIn('DATA', connection.commands)
        self.assertNotIn('RET=', ' '.join(connection.commands))
        self.relay.stop()

    def test_behind_starttls(self):
        hop = self.hop(self.good)
        self.begin(forced('a', hop))
        for behind in ('MAIL FROM:<evil@example.com>\r\n'
                       'RCPT TO:<x@a.test>\r\nDATA\r\nx\r\n.\r\n',
                       'EHLO evil.example.com\r\n', 'NOOP', '\x16\x03\x01'):
            with self.subTest(behind=behind), self.client() as client:
                client.hello()
                client.send('STARTTLS\r\n' + behind)
                rest = b''
                while data := self.read(client):
                    rest += data
                # Not an answer more than the one to STARTTLS, if any.
                self.assertLessEqual(rest.count(b'\r\n'), 1)
        net.wait_for('the log has them', lambda: self.relay.log().count(
            'event=starttls-injection') == 4)
        self.assertEqual(self.relay.summary(), [])
        self.relay.stop()

    @staticmethod
    def read(client):
        try:
            return client.file.read1(4096)
        except ConnectionResetError:
            return b''

    def test_starttls_in_a_group(self):
        """Commands before it are obeyed, what they did is forgotten."""
        hop = self.hop(self.good)
        self.begin(forced('a', hop))
        client = self.client()
        client.hello()
        client.ask('MAIL FROM:<evil@example.com>', '250')
        self.assertRegex(client.ask('STARTTLS'), r'^503 5\.5\.1')
        client.ask('RSET', '250')
        client.start_tls()
        self.assertRegex(client.ask('MAIL FROM:<a@b.test>'), '^503|^250')
        self.assertRegex(client.ask('DATA'), '^503')
        self.relay.stop()


# ------- splitting

class Splitting(Scene):

    def test_our_replies(self):
        """Whatever a client says, no line of ours has its words at the
        beginning, or its control characters."""
        hop = self.hop(self.good)
        self.begin(forced('a', hop))
        odd = (b'EHLO a\rb.example', b'EHLO a\nRSET', b'HELO \x7f\x80\xff',
               b'EHLO [\r250 ok]', b'NOOP \n250 2.0.0 Ok', b'HELP \rx',
               b'VRFY a\nb', b'MAIL FROM:<"a\n250 ok"@example.com>',
               b'MAIL FROM:<a\r@example.com>', b'RCPT TO:<b\n@a.test>',
               b'\x00\x01', b'\n', b'XYZZY\r',
               b'MAIL FROM:<a@example.com> X=\n1')
        for command in odd:
            with self.subTest(command=command), self.client() as client:
                client.send(command + b'\r\nQUIT\r\n')
                lines = client.file.readlines()
                self.assertGreaterEqual(len(lines), 2)
                for line in lines:
                    self.assertRegex(line, LINE)
                    self.assertNotRegex(line, b'^250[ -]ok')
                self.assertRegex(lines[-1], b'^221 ')
        self.relay.stop()

    def test_their_replies(self):
        """A line end that is none does not end a reply; neither bounce,
        trace nor log is split by it."""
        hop = self.hop(self.good)
        said = {'cr': '550 5.1.1 no\rBcc: evil@example.com',
                'lf': '550 5.1.1 no\n250 2.1.5 Ok',
                'nul': '550 5.1.1 no\0\x1b[2J\x07'}
        hop.behaviour.rcpt = lambda rcpt: said.get(
            rcpt.partition('@')[0], '250 2.1.5 Ok')
        back = self.hop(self.good)
        self.begin(forced('a', hop),
                   route('back', ['example.com'], hosts=[back.address],
                         tls='off'))
        for name in said:
            self.send(f'{name}@a.test')
        self.send('fine@a.test')
        net.wait_for('everything is settled', lambda: not any(
            row['state'] in ('queued', 'active')
            for row in self.relay.summary()))
        hop.wait(1)
        self.assertEqual([a.recipients for a in hop.arrivals],
                         [('fine@a.test',)])
        log = self.relay.log()
        for line in log.splitlines():
            self.assertTrue(line.startswith('time='), line)
        self.assertNotRegex(log, '[\0-\x09\x0b-\x1f\x7f]')
        for arrival in back.arrivals:
            text = arrival.data
            self.assertNotRegex(text, rb'(?i)\nbcc:')
            self.assertNotRegex(text, rb'(?<!\r)\n|\r(?!\n)|[\0\x07\x1b]')
        for row in self.relay.ctl_json('queue', 'list'):
            trace = self.relay.ctl('trace', row['id']).stdout
            self.assertNotRegex(trace, '[\0-\x09\x0b-\x1f\x7f]')
        self.assertEqual({a.recipients for a in back.arrivals},
                         {('alice@example.com',)})
        self.relay.stop()


# ------- downgrade

class Downgrade(Scene):
    queue = SOON

    def test_what_was_secure_stays_so(self):
        """A next hop that had TLS stops offering it, then refuses it."""
        hop = self.hop(self.good)
        tap = self.tapped(hop)
        self.begin(forced('a', tap, max_messages_per_connection=1))
        for how, cause in (('hide', 'tls-not-offered'),
                           ('refuse', 'tls-refused'), ('mask', 'tls-masked'),
                           ('reset', 'tls-handshake')):
            n = len(hop.arrivals)
            self.send('x@a.test')
            hop.wait(n + 1)
            hop.behaviour.starttls = how
            self.send('y@a.test')
            self.wait_cause('y@a.test', cause)
            hop.behaviour.starttls = 'offer'
            hop.wait(n + 2)
        self.relay.wait_empty()
        self.assertTrue(all(a.tls for a in hop.arrivals))
        tap.assert_nothing_leaked()
        self.relay.stop()

    def test_opportunistic_goes_back_to_tls(self):
        """In clear text only while TLS can't be had, each time with its
        cause; a certificate is no reason."""
        hop = self.hop(self.good)
        self.begin(forced('a', hop, tls='opportunistic', verify='name',
                          max_messages_per_connection=1))
        wanted = []
        for how, cause in (('offer', None), ('hide', 'tls-not-offered'),
                           ('offer', None), ('refuse', 'tls-refused'),
                           ('garbage', 'tls-handshake'), ('offer', None)):
            hop.behaviour.starttls = how
            self.send('x@a.test')
            wanted.append(cause)
            hop.wait(len(wanted))
        hop.behaviour.certificate = self.wrong
        self.send('y@a.test')
        self.wait_cause('y@a.test', 'tls-cert-name')
        self.assertEqual([a.tls is None for a in hop.arrivals],
                         [cause is not None for cause in wanted])
        told = [re.search(r' cause=(\S+)', line)
                for line in self.relay.log().splitlines()
                if 'event=delivered' in line]
        self.assertEqual([m and m.group(1) for m in told], wanted)
        self.relay.stop()


# ------- resumption

class Remembering(Sink):
    """Takes sessions up again, if it may."""

    def __init__(self, certificate):
        self.kept = None
        self.reused = []
        super().__init__(certificate)
        sink = self

        class Serve(Session):
            def context(self):
                sink.kept = sink.kept or super().context()
                return sink.kept

            def start_tls(self):
                super().start_tls()
                sink.reused.append(self.socket.session_reused)

        self.session = Serve


class Resumption(Scene):
    listener = {'tls': 'opportunistic', 'identity': ['own']}

    def check_none(self, **behaviour):
        """What A was given under verify = none is of no use to B."""
        hop = self.hop(self.wrong, Remembering)
        for key, value in behaviour.items():
            setattr(hop.behaviour, key, value)
        tap = self.tapped(hop)
        self.begin(forced('a', tap, verify='none', names=[],
                          max_messages_per_connection=1), forced('b', tap))
        for n in range(4):
            self.send('x@a.test')
            hop.wait(n + 1)
        self.send('x@b.test')
        self.wait_cause('x@b.test', 'tls-cert-name')
        self.assertEqual(hop.reused[:4], [False] * 4)
        self.assertNotIn(True, hop.reused)
        self.assertEqual(len(hop.arrivals), 4)
        hellos = 0
        for wire in tap.wires:
            hello = bytes(wire.sent).partition(b'STARTTLS\r\n')[2]
            types = list(extensions(hello))
            self.assertIn(SUPPORTED_VERSIONS, types)    # it was read right
            self.assertNotIn(SESSION_TICKET, types)
            self.assertNotIn(PRE_SHARED_KEY, types)
            hellos += 1
        self.assertGreaterEqual(hellos, 5)
        self.relay.stop()

    def test_none_as_client(self):
        self.check_none()

    def test_none_as_client_12(self):
        self.check_none(maximum_tls=ssl.TLSVersion.TLSv1_2)

    def test_none_as_server(self):
        hop = self.hop(self.good)
        self.begin(forced('a', hop))
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.maximum_version = context.minimum_version = version
            first = self.secured(context, None)
            again = self.secured(context, first.session)
            for s in (first, again):
                self.assertFalse(s.session_reused)
                self.assertFalse(s.session.has_ticket)
        self.relay.stop()

    def secured(self, context, session):
        client = self.client()
        client.hello()
        client.ask('STARTTLS', '220')
        client.socket = context.wrap_socket(client.socket, session=session)
        client.file = client.socket.makefile('rb')
        client.hello()          # what follows the handshake has come, too
        return client.socket


# ------- reuse

class Reuse(Scene):

    def connection_of(self, hop, recipient):
        return [a.connection for a in hop.arrivals
                if recipient in a.recipients]

    def test_never_shared(self):
        """Routes to one host that differ in policy, identity, or name have
        connections of their own, whichever was first; only its own mail
        takes a connection that rests."""
        hop = self.hop(self.good)
        variants = {'none': {'verify': 'none', 'names': []},
                    'name': {}, 'ca': {'verify': 'ca', 'names': []},
                    'pin': {'pins': [certs.pin(self.good.pem)]},
                    'own': {'identity': 'own'}, 'twin': {}}
        self.begin(*(forced(name, hop, **options)
                     for name, options in variants.items()))
        everybody = [f'x@{name}.test' for name in variants]
        for n in range(1, 4):
            self.send(*everybody)
            hop.wait(n * len(everybody))
        users = {}
        for a in hop.arrivals:
            users.setdefault(a.connection, set()).add(
                a.recipients[0].partition('@')[2])
        for names in users.values():
            self.assertEqual(len(names), 1)
        # They do rest: the test would see it if one were shared.
        self.assertLess(len(users), 3 * len(everybody))
        self.relay.stop()

    def test_reload_closes_what_rests(self):
        hop = self.hop(self.wrong)
        self.begin(forced('a', hop, verify='none', names=[]))
        self.send('x@a.test')
        hop.wait(1)
        self.relay.reload(*self.sections(forced('a', hop)))
        self.send('y@a.test')
        self.wait_cause('y@a.test', 'tls-cert-name')
        self.assertEqual(len(hop.arrivals), 1)
        net.wait_for('all connections are closed', lambda: hop.open == 0)
        self.relay.stop()

    def test_reload_stops_what_is_under_way(self):
        """A connection that was given many messages under the old policy
        finishes the one in hand."""
        hop = self.hop(self.wrong)
        at_dot, go_on = threading.Semaphore(0), threading.Semaphore(0)

        def dot(_):
            at_dot.release()
            go_on.acquire(timeout=60)
            return '250 2.0.0 Ok'

        hop.behaviour.dot = dot
        self.begin(forced('a', hop, verify='none', names=[],
                          max_connections=1))
        self.send('first@a.test')
        self.assertTrue(at_dot.acquire(timeout=60))
        self.send(*[f'{n}@a.test' for n in range(9)])
        go_on.release()
        # The others were given in one go, and the first of them is in hand.
        self.assertTrue(at_dot.acquire(timeout=60))
        self.relay.reload(*self.sections(forced('a', hop,
                                                max_connections=1)))
        for _ in range(10):
            go_on.release()
        self.relay.wait_deferred(8, 'tls-cert-name')
        self.assertEqual(len(hop.arrivals), 2)
        self.relay.stop()


# ------- stalling

class Stalling(Scene):
    listener = {'tls': 'opportunistic', 'identity': ['own'], 'timeout': '3s',
                'max_connections': 3}

    def test_next_hop(self):
        """One connection is allowed; neither silence nor a handshake that
        drips holds it, and the mail goes to the other host."""
        self.listener = {}
        for how in ('mute', 'stall', 'drip'):
            with self.subTest(how=how):
                slow, good = self.hop(self.good), self.hop(self.good)
                slow.behaviour.starttls = how
                self.begin(forced('a', slow, max_connections=1,
                                  hosts=[slow.address, good.address],
                                  starttls_timeout='1s'))
                self.send(*[f'{n}@a.test' for n in range(5)])
                good.wait(5)
                net.wait_for('the slow one is let go',
                             lambda s=slow: s.open == 0)
                self.assertEqual(slow.peak, 1)
                row, = [r for r in self.relay.ctl_json('destination', 'list')
                        if slow.address in r['destination']
                        or str(slow.port) in r['destination']]
                self.assertEqual(row['cause'], 'tls-timeout')
                self.relay.stop()

    def test_clients(self):
        """All slots are taken by clients that do not finish: one silent
        behind STARTTLS, one dripping, one that never speaks on a port with
        implicit TLS.  They are free again after the deadline, and not held
        by bytes that drip."""
        hop = self.hop(self.good)
        port = net.free_port()
        self.begin(
            section('listener', 'implicit', {
                'address': [f'{net.own_host()}:{port}'], 'tls': 'implicit',
                'identity': ['own'], 'timeout': '2s', 'max_connections': 1}),
            forced('a', hop))
        over = threading.Event()
        self.addCleanup(over.set)
        for drips in (False, True, True):
            client = self.client()
            client.hello()
            client.ask('STARTTLS', '220')
            if drips:
                threading.Thread(target=self.drip, daemon=True,
                                 args=(client.socket, over)).start()
        silent = sender.socket.create_connection((self.relay.host, port))
        self.addCleanup(silent.close)
        self.assertRegex(self.client().greeting, '^421')
        net.wait_for('a slot is free', lambda: self.client().greeting
                     .startswith('220'))
        silent.settimeout(60)
        self.assertEqual(silent.recv(1), b'')
        net.wait_for('the implicit slot is free',
                     lambda: self.greeted_in_tls(port))
        self.relay.stop()

    @staticmethod
    def drip(s, over):
        for byte in RECORD:
            if over.wait(0.3):
                break
            try:
                s.send(bytes([byte]))
            except OSError:
                break

    def greeted_in_tls(self, port):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with sender.socket.create_connection(
                    (self.relay.host, port), 60) as s, \
                    context.wrap_socket(s) as secure:
                return secure.recv(3) == b'220'
        except OSError:
            return False


if __name__ == '__main__':
    unittest.main()
