# SPDX-License-Identifier: ISC
"""TLS on the receiving side; other people's clients are in tests/interop."""

import shutil
import unittest

import scene
from harness import certs, net, sender
from harness.relay import identity

NAME = 'relay.example.com'
MAIL = 'MAIL FROM:<a@example.com>\r\n'


class Receiving(scene.Scene):
    tls = 'opportunistic'

    def setUp(self):
        self.dir = net.temp_dir('certs')
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.ours = certs.Authority(self.dir).issue('relay', NAME)
        self.listener = {'tls': self.tls, 'identity': ['relay']}
        super().setUp()

    def sections(self):
        return identity('relay', self.ours), *super().sections()


class Opportunistic(Receiving):

    def test_offered_once(self):
        with self.client(hello=False) as client:
            self.assertIn('STARTTLS', client.ask('EHLO a.example', '250'))
            client.start_tls()
            self.assertNotIn('STARTTLS', client.ask('EHLO a.example', '250'))
            self.assertTrue(client.ask('STARTTLS').startswith('5'))
        self.end()

    def test_many_over_tls(self):
        self.send(200, tls=True)
        self.check_books()
        for arrival in self.hop.arrivals:
            trace = arrival.data[:arrival.data.index(b'X-Ledger')]
            self.assertIn(b'ESMTPS', trace)
            self.assertIn(b'TLS1.3', trace.replace(b'TLSv', b'TLS'))
        self.end()

    def test_injection(self):
        """What came in clear text behind STARTTLS is not obeyed in TLS."""
        with self.client() as client:
            client.send('STARTTLS\r\n' + MAIL)
            client.reply()
            try:
                client.file.close()
                client.socket = sender.ssl._create_unverified_context(
                    ).wrap_socket(client.socket)
                client.file = client.socket.makefile('rb')
                client.socket.settimeout(5)
                client.send('RSET\r\n')
                first = client.reply()
            except OSError:
                first = ''
            self.assertNotIn('2.1.0', first)
        self.assertEqual(self.relay.waiting(), 0)
        self.end()


class Forced(Receiving):
    tls = 'forced'

    def test_mail_before_starttls(self):
        with self.client() as client:
            self.assertEqual(client.ask(MAIL.strip()),
                             '530 5.7.0 Must issue a STARTTLS command first')
        self.send(10, tls=True)
        self.check_books()
        self.end()


class NewCertificate(Receiving):

    def test_reload_takes_it_and_drops_nobody(self):
        old = self.client()
        old.start_tls()
        old.hello()
        before = old.socket.getpeercert(True)
        self.ours = certs.Authority(self.dir, 'new').issue('relay', NAME)
        self.relay.reload(*self.sections())
        with self.client() as client:
            client.start_tls()
            self.assertNotEqual(client.socket.getpeercert(True), before)
        key, data = sender.message()
        self.assertTrue(old.deliver('a@example.com', ['b@example.net'],
                                    data).startswith('250 '))
        self.hop.wait(1)
        self.assertIn(key.encode(), self.hop.arrivals[0].data)
        old.close()
        self.end()


if __name__ == '__main__':
    unittest.main()
