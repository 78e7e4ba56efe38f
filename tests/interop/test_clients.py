# SPDX-License-Identifier: ISC
"""What other people's programs hand to relayd arrives behind it, byte for
byte, in clear text, over STARTTLS and over implicit TLS; with a certificate
that they do not trust they hand over nothing."""

import email
import hashlib
import os
import re
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

from harness import certs, clients, net, sender         # noqa: E402
from harness.ledger import Ledger                       # noqa: E402
from harness.relay import Relay, identity, route, section   # noqa: E402
from harness.sink import Sink                           # noqa: E402

# What a program that writes the header itself is given to send.
BODY = (b'.\r\n..\r\n.leading\r\nFrom the beginning\r\n\r\n'
        + b'x' * 70 + b'\r\n. \r\n.\r\n')


class Interop:
    """What each of the programs is put through."""

    client = None           # class of the program

    @classmethod
    def setUpClass(cls):
        cls.dir = net.temp_dir('interop')
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        authority = certs.Authority(cls.dir)
        cls.trusted = authority.pem
        cls.stranger = certs.Authority(cls.dir, 'stranger').pem
        ours = clients.certificate(authority, net.own_host())
        cls.hop = Sink()
        cls.addClassCleanup(cls.hop.close)
        cls.ports = {'implicit': net.free_port()}
        cls.relay = Relay(
            identity('relay', ours),
            section('listener', 'smtps', {
                'address': [f'{net.own_host()}:{cls.ports["implicit"]}'],
                'tls': 'implicit', 'identity': ['relay']}),
            route('out', hosts=[cls.hop.address], tls='off'),
            listener={'tls': 'opportunistic', 'identity': ['relay']})
        cls.addClassCleanup(cls.relay.close)
        cls.ports['plain'] = cls.ports['starttls'] = cls.relay.port

    @classmethod
    def tearDownClass(cls):
        cls.relay.stop()

    def setUp(self):
        self.program = self.client()
        self.addCleanup(self.program.close)
        self.hop.arrivals.clear()

    def target(self, security, ca=None):
        return clients.Target(self.relay.host, self.ports[security],
                              security, ca or self.trusted)

    def arrival(self):
        """The one that came, checked but for its data."""
        self.relay.wait_empty()
        arrived, = self.hop.arrivals
        self.assertEqual((arrived.sender, arrived.recipients),
                         (clients.FROM, (clients.TO,)))
        return arrived.data

    def check_bytes(self, security):
        key, data = sender.message(20000)
        self.program.send(self.target(security), data)
        data += self.program.adds
        ledger = Ledger()
        ledger.expect([sender.Sent(
            key, 'it', hashlib.sha256(data).hexdigest(), len(data),
            (clients.TO,))])
        arrived = self.arrival()
        ledger.arrived(arrived)
        ledger.check()
        return arrived

    def check_body(self, security):
        self.program.send(self.target(security), BODY)
        arrived = self.arrival()
        composed = email.message_from_bytes(arrived)
        self.assertEqual(composed.get_payload(decode=True), BODY)
        return arrived

    def check(self, security):
        if self.program.is_composer:
            arrived = self.check_body(security)
        else:
            arrived = self.check_bytes(security)
        spoken = re.search(r'\bwith (\w+)', arrived.decode('latin-1'))[1]
        tls = security != 'plain'
        self.assertEqual(spoken, ('ESMTPS' if tls else 'ESMTP')
                         if self.program.says_ehlo else 'SMTP')
        self.assertEqual(b'TLS1.3' in arrived, tls)

    def check_stranger(self, security):
        with self.assertRaises(clients.Failed):
            self.program.send(self.target(security, self.stranger), BODY)
        self.assertEqual(self.relay.waiting(), 0)
        self.assertFalse(self.hop.arrivals)


def put_through(client):
    """A TestCase with a test for each thing that this program can do."""
    tests = {'client': client}
    for security in client.securities:
        tests[f'test_{security}'] = (
            lambda self, security=security: self.check(security))
        if security != 'plain':
            tests[f'test_{security}_untrusted'] = (
                lambda self, security=security:
                    self.check_stranger(security))
    return type(client.__name__, (Interop, unittest.TestCase), tests)


Swaks = put_through(clients.Swaks)
SmtpSource = put_through(clients.SmtpSource)
Curl = put_through(clients.Curl)
Msmtp = put_through(clients.Msmtp)
SNail = put_through(clients.SNail)
Smtplib = put_through(clients.Smtplib)
OpensslSClient = put_through(clients.OpensslSClient)
GnutlsCli = put_through(clients.GnutlsCli)
# It is no package of Debian's: where there is no Node there is none.
if shutil.which('node') and shutil.which('npm'):
    Nodemailer = put_through(clients.Nodemailer)
else:
    print('nodemailer is left out: this machine has no node and npm',
          file=sys.stderr)


if __name__ == '__main__':
    unittest.main()
