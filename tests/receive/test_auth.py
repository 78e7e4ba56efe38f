#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""test_auth - AUTH PLAIN and LOGIN against a password file, inside TLS only."""

import base64
import os
import threading
import time
import unittest

import desk
from harness.relay import section

# As mkpasswd prints them: yescrypt, SHA-512, bcrypt.
USERS = '''# who may send through us
alice:$y$j9T$penggQFxkwVO6jW/ZigwM1$y8jqabYu7VrRlDWtfCrSNqTWkY.CbK9R6q6rl351476
bob@example.com:$6$5CM8WB06mRvTaCpJ$LipdrZgYBtt/AuKI88ylP0hlzLzGE9maB1Q4T1GDv.\
f0chykjB7HQEPLBzsjDXkMIWcW6Dd5AK.dlKDm8d6t7/

carol:$2b$05$xM6p08iNebfMRMLEeq0G/OT7gTlOH/G6aRLaNlcR84gpyPf55CjtG
'''
PASSWORDS = {'alice': 'open sesame', 'bob@example.com': 'tr\xe4umerei',
             'carol': 'x' * 40}


def b64(text):
    return base64.b64encode(text.encode()).decode()


def plain(user, password):
    return 'AUTH PLAIN ' + b64(f'\0{user}\0{password}')


class Auth(desk.Desk):
    tls = True
    sources = section('source', 'users', {'authenticated': True})

    def prepare(self):
        self.file = f'{self.dir}/users'
        self.write(USERS)
        self.listener = {'auth_file': self.file}

    def write(self, text):
        with open(self.file + '.new', 'w', encoding='ascii') as f:
            f.write(text)
        os.chmod(self.file + '.new', 0o644)
        os.rename(self.file + '.new', self.file)

    def secure(self):
        client = self.client()
        client.start_tls()
        self.offers = client.ask('EHLO client.example.com', '250')
        return client

    def check_secrets(self):
        """No password is in the log, in no form."""
        for user, password in PASSWORDS.items():
            for secret in (password, b64(password),
                           b64(f'\0{user}\0{password}')):
                self.assertNotIn(secret, self.relay.log())

    def test_good(self):
        for user, password in PASSWORDS.items():
            with self.secure() as client:
                self.assertRegex(self.offers, r'\n250.AUTH (PLAIN LOGIN|LOGIN '
                                 r'PLAIN)\b')
                client.ask(plain(user, password), '235 2.7.0')
                client.begin()
                field = self.received(self.queued(client.data()))
                self.assertIn(' with ESMTPSA ', field)
        self.assertIn('user=bob@example.com', ' '.join(self.events('login')))
        self.check_secrets()
        self.end()

    def test_login(self):
        with self.secure() as client:
            client.ask('AUTH LOGIN', '334')
            client.ask(b64('alice'), '334')
            client.ask(b64(PASSWORDS['alice']), '235')
        with self.secure() as client:
            client.ask('AUTH LOGIN ' + b64('alice'), '334')
            client.ask(b64('open'), '535 5.7.8')
        self.check_secrets()
        self.end()

    def test_bad(self):
        for user, password in (('alice', 'open sesam'), ('alice', ''),
                               ('nobody', 'open sesame'), ('', 'x'),
                               ('# who may send through us', 'x'),
                               ('alice', PASSWORDS['carol']),
                               ('alice', USERS.split(':')[1].split()[0])):
            with self.subTest(user=user), self.secure() as client:
                reply = client.ask(plain(user, password))
                self.assertRegex(reply, '^5(35 5.7.8|01 5.5.2) ')
                reply = client.ask('MAIL FROM:<a@example.com>')
                self.assertTrue(reply.startswith('530 5.7.0 Auth'), reply)
                # The right one may follow.
                client.ask(plain('alice', PASSWORDS['alice']), '235')
                client.ask('MAIL FROM:<a@example.com>', '250')
        self.check_secrets()
        self.end()

    def test_unknown_users_take_as_long(self):
        """They must not be told by the time; nor is it measured here: that
        both are judged at all shows in the processor time."""
        def ticks():
            with open(f'/proc/{self.relay.process.pid}/stat',
                      encoding='ascii') as f:
                return int(f.read().split()[13])

        def spent(user):
            before = ticks()
            for _ in range(10):
                with self.secure() as client:
                    client.ask(plain(user, 'wrong'), '535')
            return ticks() - before
        self.assertGreater(3 * spent('nobody') + 4, spent('alice'))
        self.end()

    def test_without_tls(self):
        with self.client(hello=False) as client:
            offers = client.ask('EHLO x', '250')
            self.assertNotIn('AUTH', offers)
            reply = client.ask(plain('alice', PASSWORDS['alice']))
            self.assertRegex(reply, '^5(30 5.7.0|38 5.7.11|0[234] 5.5.[14]) ')
            client.ask('MAIL FROM:<a@example.com>', '530 5.7.0')
        self.assertFalse(self.events('login'))
        self.check_secrets()
        self.end()

    def test_the_file_changes(self):
        right = plain('alice', PASSWORDS['alice'])
        with self.secure() as client:
            os.unlink(self.file)
            client.ask(right, '454 4.7.0')
            self.assertTrue(self.events('auth-file'))
            self.write('alice:*\n')
            client.ask(right, '535')
            self.write(USERS)
            client.ask(right, '235')
        self.end()

    def test_others_go_on_meanwhile(self):
        """Many passwords are judged one by one; no session waits for them
        but those who sent them."""
        def guess():
            with self.secure() as client:
                for _ in range(5):
                    if not client.ask(plain('alice', 'x')).startswith('5'):
                        break
        threads = [threading.Thread(target=guess) for _ in range(10)]
        for t in threads:
            t.start()
        with self.client() as client:
            worst = 0
            for _ in range(50):
                began = time.monotonic()
                client.ask('RSET', '250')
                worst = max(worst, time.monotonic() - began)
        for t in threads:
            t.join()
        # 50 hashes of 30 ms or more, had they stood in the way.
        self.assertLess(worst, 10)
        self.end()

    def test_gone_while_judged(self):
        for _ in range(20):
            client = self.secure()
            client.send(plain('alice', 'x') + '\r\n')
            client.close()
        client = self.secure()
        client.send(plain('alice', 'x') + '\r\n')
        self.relay.stop()


if __name__ == '__main__':
    unittest.main()
