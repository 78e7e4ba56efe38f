#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""test_proxy - the PROXY header: who is believed, and what becomes of it."""

import socket
import ssl
import struct
import time
import unittest

import desk
from harness import net
from harness.relay import section

SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'


def v1(client, port=4711):
    family = 'TCP6' if ':' in client else 'TCP4'
    to = '2001:db8::2' if ':' in client else '192.0.2.2'
    return f'PROXY {family} {client} {to} {port} 25\r\n'.encode()


def v2(client, port=4711, tlvs=b''):
    kind = socket.AF_INET6 if ':' in client else socket.AF_INET
    to = '2001:db8::2' if ':' in client else '192.0.2.2'
    block = (socket.inet_pton(kind, client) + socket.inet_pton(kind, to)
             + struct.pack('!HH', port, 25) + tlvs)
    family = 0x21 if ':' in client else 0x11
    return SIGNATURE + struct.pack('!BBH', 0x21, family, len(block)) + block


class Proxied(desk.Desk):
    listener = {'proxy_protocol': ['127.0.0.0/8'],
                'max_connections_per_client': 2}
    sources = section('source', 'inside', {'networks': ['192.0.2.0/24',
                                                        '2001:db8::/32']})

    def deliver(self, header):
        client = self.client(header)
        self.assertTrue(client.greeting.startswith('220 '), client.greeting)
        client.begin()
        return self.received(self.queued(client.data()))

    def test_the_address_is_the_clients(self):
        for header, literal in (
                (v1('192.0.2.7'), '[192.0.2.7]'),
                (v2('192.0.2.8'), '[192.0.2.8]'),
                (v1('2001:db8::7'), '[IPv6:2001:db8::7]'),
                (v2('2001:db8::8'), '[IPv6:2001:db8::8]'),
                (v2('192.0.2.9', tlvs=b'\x04\0\2xy'), '[192.0.2.9]')):
            with self.subTest(header=header):
                self.assertIn(f'({literal})', self.deliver(header))
        self.assertIn('client=192.0.2.7:4711', self.events('received')[0])
        self.end()

    def test_it_may_come_in_parts(self):
        for header in (v1('192.0.2.7'), v2('192.0.2.7', tlvs=b'x' * 100)):
            with self.client(greeted=False) as client:
                for i in range(len(header)):
                    client.send(header[i:i + 1])
                    time.sleep(0.002)
                self.assertTrue(client.reply().startswith('220 '))
                client.ask('QUIT', '221')
        self.end()

    def test_strangers_behind_the_proxy_may_not_relay(self):
        for header in (v1('198.51.100.1'), v2('198.51.100.1'),
                       b'PROXY UNKNOWN\r\n', SIGNATURE + b'\x20\0\0\0'):
            with self.subTest(header=header), self.client(header) as client:
                client.ask('MAIL FROM:<a@example.com>', '250')
                client.ask(f'RCPT TO:<{desk.TO}>', '550 5.7.1')
        # Without a header of somebody, it is the proxy itself.
        self.assertIn('client=127.0.0.1:', self.events('refused')[-1])
        self.end()

    def test_limits_are_the_clients(self):
        clients = [self.client(v1('192.0.2.7', 4000 + n)) for n in range(2)]
        third = self.client(v1('192.0.2.7', 4002), hello=False)
        self.assertTrue(third.greeting.startswith('421 4.7.0 '),
                        third.greeting)
        self.assertEqual(third.reply(), '')
        clients.append(self.client(v2('192.0.2.8')))
        self.assertTrue(clients[-1].greeting.startswith('220 '))
        clients[0].close()

        def again():
            with self.client(v1('192.0.2.7'), hello=False) as client:
                return client.greeting.startswith('220 ')
        net.wait_for('a connection is free again', again, 10)
        self.end()

    def test_no_header_no_session(self):
        for early in (b'EHLO x\r\n', b'\r\n', b'PROXY TCP4 1.2.3.4\r\n',
                      b'PROXY TCP4 1.2.3.4 1.2.3.4 1 99999\r\n',
                      SIGNATURE + b'\x11', SIGNATURE + b'\x21\x31\0\0',
                      SIGNATURE + b'\x21\x11\xff\xff', b'P' * 600,
                      b'PROXY UNKNOWN ' + b'x' * 200):
            with self.subTest(early=early):
                before = len(self.events('proxy-refused'))
                client = self.client(early, greeted=False)
                self.assertEqual(client.reply(), '')
                self.assertEqual(len(self.events('proxy-refused')),
                                 before + 1)
        self.end()

    def test_nothing_is_said_before_it(self):
        client = self.client(greeted=False)
        client.socket.settimeout(1)
        with self.assertRaises(TimeoutError):
            client.socket.recv(1)
        # It may also go away, or stay when relayd stops.
        client.close()
        net.wait_for('its log line', lambda: self.events('proxy-refused'))
        client = self.client(b'PROXY TC', greeted=False)
        self.relay.stop()
        self.assertEqual(client.reply(), '')

    def test_it_is_waited_for_ten_seconds(self):
        began = time.monotonic()
        client = self.client(b'PROXY TCP4 ', greeted=False)
        self.assertEqual(client.reply(), '')
        self.assertGreater(time.monotonic() - began, 9)
        self.assertIn('in time', self.events('proxy-refused')[0])
        self.end()

    def test_early_talkers_behind_it(self):
        client = self.client(v1('192.0.2.7') + b'EHLO x\r\n', hello=False)
        self.assertTrue(client.greeting.startswith('554 5.5.1 '),
                        client.greeting)
        self.end()


class Unproxied(desk.Desk):
    listener = {'proxy_protocol': ['192.0.2.0/24']}

    def test_others_are_not_believed(self):
        with self.client(hello=False) as client:
            self.assertTrue(client.greeting.startswith('220 '))
            reply = client.ask('PROXY TCP4 192.0.2.1 192.0.2.2 1 25')
            self.assertRegex(reply, '^50[02] 5.5.[12] ')
            client.hello()
            client.begin()
            field = self.received(self.queued(client.data()))
        self.assertIn('([127.0.0.1])', field)
        self.end()


class Encrypted(desk.Desk):
    """The header is in clear text, and the handshake behind it may come in
    the same packet."""

    tls = True
    listener = {'proxy_protocol': ['127.0.0.0/8'], 'tls': 'implicit'}
    sources = Proxied.sources

    def test_implicit_tls(self):
        for header in (v1('192.0.2.7'), v2('192.0.2.7')):
            raw = socket.create_connection((self.relay.host,
                                            self.relay.port), 60)
            self.addCleanup(raw.close)
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(into, out)

            def turn(step):
                while True:
                    try:
                        done = step()
                    except ssl.SSLWantReadError:
                        done = None
                    raw.sendall(self.first + out.read())
                    self.first = b''
                    if done is not None:
                        return done
                    into.write(raw.recv(65536))
            self.first = header
            turn(lambda: tls.do_handshake() or True)
            self.assertTrue(turn(lambda: tls.read(1000)).startswith(b'220 '))
            turn(lambda: tls.write(b'EHLO x\r\n'))
            self.assertIn(b'250', turn(lambda: tls.read(1000)))
        self.end()


if __name__ == '__main__':
    unittest.main()
