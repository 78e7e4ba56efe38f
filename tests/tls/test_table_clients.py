# SPDX-License-Identifier: ISC
"""What clients are, by their TLS and certificate, under every kind of
listener: a certificate that is not good is that of nobody, and where one is
required the handshake fails, and the log says why."""

import concurrent.futures
import shutil
import ssl
import unittest

import table
from harness import certs, net, sender
from harness.relay import Relay, identity, route, section, trust
from harness.sink import Sink

NAMED = {'client_names': ['client.test', '*.partners.test']}
MAY = {'tls': 'opportunistic'}
MUST = {'tls': 'forced'}
IMPLICIT = {'tls': 'implicit'}
REQUIRE = {'client_certificate': 'require'}
STRICT = {'trust': 'strict'}

# Listener: its options, and those of its source.
LISTENERS = {
    'off': ({'tls': 'off'}, {}),
    'may': (MAY, NAMED),
    'deaf': ({**MAY, 'client_certificate': 'none'}, {}),
    'must': (MUST, NAMED),
    'require': ({**MUST, **REQUIRE}, NAMED),
    'implicit': (IMPLICIT, NAMED),
    'impl-req': ({**IMPLICIT, **REQUIRE}, NAMED),
    'strict': ({**MAY, **STRICT}, NAMED),
    'strict-req': ({**MUST, **REQUIRE, **STRICT}, NAMED),
    'open': (MAY, {}),
    'open-req': ({**MAY, **REQUIRE}, {}),
    'tls-only': (MAY, {'tls': 'forced'}),
}

# A cell says what the client hears: `sent` is 250 to its message.
REPLIES = {
    '550': r'550 5\.7\.1 Relaying is not allowed from here',
    '530': r'530 5\.7\.0 Must issue a STARTTLS command first',
    '450': r'450 4\.7\.5 Revocation of your certificate: .*http://',
    'no-tls': r'502 5\.5\.1 STARTTLS is not available',
}
# Or else that the handshake fails; the words of the log.
FAILURES = {
    'absent': 'the client shows no certificate',
    'expired': 'the certificate has expired on 20',
    'early': 'the certificate is not valid yet: not before 20',
    'untrusted': 'the issuer is not trusted',
    'self-signed': 'the certificate is self-signed',
    'revoked': 'the certificate was revoked: on 20',
    'weak': 'a key or signature in the chain is too weak',
    'unknown': 'revocation is not known: http://',
}

TABLE = """
client       off     may   deaf  must  require      implicit  impl-req     strict  strict-req   open  open-req     tls-only
clear        sent    550   sent  530   530          .         .            550     530          sent  sent         530
nobody       no-tls  550   sent  550   absent       550       absent       550     absent       sent  absent       sent
nobody-12    no-tls  550   sent  550   absent       550       absent       550     absent       sent  absent       sent
good         no-tls  sent  sent  sent  sent         sent      sent         sent    sent         sent  sent         sent
good-12      no-tls  sent  sent  sent  sent         sent      sent         sent    sent         sent  sent         sent
partner      .       sent  sent  sent  sent         sent      sent         sent    sent         sent  sent         sent
deep         .       550   sent  550   550          550       550          550     550          sent  sent         sent
by-mid       .       sent  sent  sent  sent         sent      sent         sent    sent         sent  sent         sent
incomplete   .       550   sent  550   untrusted    550       untrusted    550     untrusted    sent  untrusted    sent
other-name   .       550   sent  550   550          550       550          550     550          sent  sent         sent
cn-only      .       550   sent  550   550          550       550          550     550          sent  sent         sent
expired      .       550   sent  550   expired      550       expired      550     expired      sent  expired      sent
early        .       550   sent  550   early        550       early        550     early        sent  early        sent
untrusted    .       550   sent  550   untrusted    550       untrusted    550     untrusted    sent  untrusted    sent
self-signed  .       550   sent  550   self-signed  550       self-signed  550     self-signed  sent  self-signed  sent
weak         .       550   sent  550   weak         550       weak         550     weak         sent  weak         sent
revoked      .       550   sent  550   revoked      550       revoked      550     revoked      sent  revoked      sent
revoked-12   .       550   sent  550   revoked      550       revoked      550     revoked      sent  revoked      sent
for-servers  .       sent  sent  sent  sent         sent      sent         sent    sent         sent  sent         sent
no-list      .       sent  sent  sent  sent         sent      sent         450     unknown      sent  sent         sent
"""


class Clients(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.dir = net.temp_dir('clients')
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.ca = certs.Authority(cls.dir)
        cls.far = certs.Authority(cls.dir, 'far')
        cls.mid = certs.Authority(cls.dir, 'mid', cls.ca)
        cls.clients = cls.make_clients()
        cls.hop = Sink()
        cls.addClassCleanup(cls.hop.close)
        cls.ports = {name: net.free_port() for name in LISTENERS}
        cls.relay = Relay(*cls.sections())
        cls.addClassCleanup(cls.relay.close)

    @classmethod
    def make_clients(cls):
        ca, name = cls.ca, 'client.test'
        nowhere = f'http://{net.own_host()}:{net.free_port()}/x.crl'
        made = {
            'clear': None, 'nobody': None,
            'good': ca.issue('good', name),
            'partner': ca.issue('partner', 'one.partners.test'),
            'deep': ca.issue('deep', 'a.one.partners.test'),
            'by-mid': cls.mid.issue('leaf', name),
            'incomplete': cls.mid.issue('alone', name, alone=True),
            'other-name': ca.issue('other', 'other.test'),
            'cn-only': ca.issue('cn', common_name=name),
            'expired': ca.issue('expired', name, begins=-9, ends=-1),
            'early': ca.issue('early', name, begins=1),
            'untrusted': certs.Authority(cls.dir, 'strange').issue('x', name),
            'self-signed': certs.self_signed(cls.dir, name),
            'weak': ca.issue('weak', name, kind=certs.WEAK_RSA),
            'revoked': ca.issue('revoked', name),
            'for-servers': ca.issue('server', name, uses=['tls_www_server']),
            'no-list': cls.far.issue('far', name, lists=[nowhere]),
        }
        for old in ('nobody', 'good', 'revoked'):
            made[f'{old}-12'] = made[old]
        return made

    @classmethod
    def sections(cls):
        lists = []
        for authority, revoked in ((cls.ca, [cls.clients['revoked']]),
                                   (cls.mid, [])):
            lists.append(f'{cls.dir}/{authority.name}.crl')
            with open(lists[-1], 'wb') as f:
                f.write(authority.revoke(*revoked, form='pem'))
        for name, mode in (('usual', 'warn'), ('strict', 'require')):
            yield trust(name, cls.ca.pem, cls.far.pem, crl=mode,
                        crl_files=lists)
        yield identity('own', cls.ca.issue('own', 'relay.example.com'))
        for name, (options, source) in LISTENERS.items():
            inner = section('source', 'all', {'networks': ['127.0.0.0/8'],
                                              **source})
            if options['tls'] != 'off':
                options = {'identity': ['own'], 'trust': 'usual', **options}
            yield section('listener', name, {
                'address': [f'{net.own_host()}:{cls.ports[name]}'],
                **options}, inner)
        yield route('out', hosts=[cls.hop.address], tls='off')

    # ------- one client

    @staticmethod
    def source(row):
        return f'127.201.{row.number // 200}.{row.number % 200 + 1}'

    def secure(self, client, row):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers('DEFAULT:@SECLEVEL=0')
        if row.fault.endswith('-12'):
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        certificate = self.clients[row.fault]
        if certificate:
            context.load_cert_chain(*certificate)
        client.file.close()
        client.socket = context.wrap_socket(client.socket)
        client.file = client.socket.makefile('rb')

    def talk(self, client, row):
        """What it hears that is not good, or what is said to the message;
        '' when the connection ends instead."""
        if row.policy.startswith('impl'):
            self.secure(client, row)
        commands = ['EHLO client.test', 'MAIL FROM:<a@example.com>',
                    f'RCPT TO:<{row.policy}@{row.fault}.test>', 'DATA']
        client.reply()
        if row.fault != 'clear' and not row.policy.startswith('impl'):
            client.ask(commands[0])
            reply = client.ask('STARTTLS')
            if not reply.startswith('220'):
                return reply
            self.secure(client, row)
        for command in commands:
            reply = client.ask(command)
            if not reply.startswith(('2', '3')):
                return reply
        client.send('Subject: x\r\n\r\nx\r\n.\r\n')
        return client.reply()

    def outcome(self, row):
        client = Raw(net.own_host(), self.ports[row.policy],
                     self.source(row))
        try:
            return self.talk(client, row)
        except OSError:
            return ''
        finally:
            client.close()

    def check_refused(self, row):
        """The line of the log with this client's failed handshake."""
        def find():
            return next((line for line in self.relay.log().splitlines()
                         if 'state="TLS handshake"' in line
                         and f'client={self.source(row)}:' in line), None)
        line = net.wait_for(f'{row} in the log', find, 20)
        self.assertIn('cause=tls-client-cert', line)
        self.assertIn(FAILURES[row.want], line)

    def check(self, row, reply):
        arrived = any(f'{row.policy}@{row.fault}.test' in a.recipients
                      for a in self.hop.arrivals)
        if row.want == 'sent':
            self.assertRegex(reply, sender.QUEUED)
            return
        self.assertFalse(arrived)
        if row.want in REPLIES:
            self.assertRegex(reply, '^' + REPLIES[row.want])
        else:
            self.assertEqual(reply, '')
            self.check_refused(row)

    def test_table(self):
        rows = list(table.rows_of(TABLE))
        self.assertGreaterEqual(len(rows), 200)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(self.outcome, rows))
        for row, reply in zip(rows, replies):
            with self.subTest(client=row.fault, listener=row.policy,
                              want=row.want):
                self.check(row, reply)
        # All that was taken, and nothing else, goes on.
        self.relay.wait_empty()
        self.assertCountEqual(
            [a.recipients[0] for a in self.hop.arrivals],
            [f'{row.policy}@{row.fault}.test' for row in rows
             if row.want == 'sent'])
        self.relay.stop()


class Raw(sender.Client):
    """Has not heard anything yet."""

    def __init__(self, host, port, source):
        self.socket = sender.socket.create_connection((host, port), 30,
                                                      (source, 0))
        self.file = self.socket.makefile('rb')
        self.pipelining = False


if __name__ == '__main__':
    unittest.main()
