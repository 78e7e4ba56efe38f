# SPDX-License-Identifier: ISC
"""`relayctl cert list`: our own certificates and those seen last."""

import http.client
import json
import socket
import unittest

import keeper
from harness import certs, net

KEYS = set('kind name subject issuer names serial spki_sha256 not_before '
           'not_after days_left stage crl'.split())


class CertList(keeper.Keeper):

    def setUp(self):
        super().setUp()
        self.send()
        self.check_books()
        self.rows = net.wait_for('all are listed', self.listed)

    def listed(self):
        rows = self.relay.ctl_json('cert', 'list')
        return len(rows) == 3 and rows

    def test_json(self):
        own, listener, peer = self.rows
        self.assertEqual(KEYS - set(listener), set())
        self.assertEqual((listener['kind'], listener['outcome']),
                         ('listener', 'private'))
        self.assertEqual(KEYS - set(own), set())
        self.assertEqual(KEYS - set(peer), set())
        self.assertEqual((own['kind'], own['name'], own['file'],
                          own['refused']),
                         ('own', 'relay', self.files.pem, ''))
        self.assertEqual(own['names'], keeper.NAME)
        self.assertEqual(own['days_left'], 29)
        self.assertEqual((peer['kind'], peer['name'], peer['address']),
                         ('peer', f'out/{self.hop.host}:{self.hop.port}',
                          f'{self.hop.host}:{self.hop.port}'))
        self.assertEqual(peer['names'], keeper.PEER)
        self.assertEqual(peer['issuer'], 'CN=ca of the tests')
        self.assertEqual(peer['serial'].lstrip('0'),
                         certs.serial(self.hop.behaviour.certificate.pem))
        self.assertTrue(peer['watched'] and peer['named'])
        self.end()

    def test_table(self):
        said = self.relay.ctl('cert', 'list').stdout
        lines = said.splitlines()
        self.assertEqual(len(lines), 5, said)
        self.assertTrue(lines[0].startswith('KIND'))
        for word in ('own', 'relay', '29', keeper.NAME):
            self.assertIn(word, lines[1])
        for word in ('peer', 'out/', keeper.PEER, 'CN=ca of the tests'):
            self.assertIn(word, lines[4])
        self.end()

    def test_kept_over_a_restart(self):
        self.relay.stop()
        self.relay.start()
        again = net.wait_for('all are listed', self.listed)
        self.assertEqual([r for r in again if r['kind'] != 'listener'],
                         [r for r in self.rows if r['kind'] != 'listener'])
        self.end()

    def test_api(self):
        connection = http.client.HTTPConnection('x')
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.relay.socket)
        connection.request('GET', '/v1/certificates')
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        self.assertEqual([json.loads(line)['kind'] for line in answer],
                         ['own', 'listener', 'peer'])
        connection.close()
        self.end()


if __name__ == '__main__':
    unittest.main()
