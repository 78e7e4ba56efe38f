# SPDX-License-Identifier: ISC
"""Logging in at the next hop: what is said, only inside TLS; secrets from
files and programs; whatever is wrong with them defers, and is mended without
a restart."""

import base64
import os
import time
import unittest

from scene import Scene, net

SECRET = 'open sesame'


class Auth(Scene):

    def setUp(self):
        self.files = net.temp_dir('auth')
        self.addCleanup(self.forget_files)

    def forget_files(self):
        for name in os.listdir(self.files):
            os.unlink(f'{self.files}/{name}')
        os.rmdir(self.files)

    def write(self, name, text, mode=0o644):
        """Replaces the file in one step, as who renews a secret should."""
        path = f'{self.files}/{name}'
        with open(path + '.new', 'w', encoding='ascii') as f:
            f.write(text)
        os.chmod(path + '.new', mode)
        os.rename(path + '.new', path)
        return path

    def program(self, lines):
        return self.write('program', f'#!/bin/sh\n{lines}\n', 0o755)

    def hop(self, *mechanisms, secret=SECRET):
        """A sink that knows one secret, `expected`."""
        sink = self.sink(self.certificate, auth_offer=mechanisms)
        sink.expected = secret
        sink.behaviour.auth = lambda mechanism, user, given: (
            '235 2.7.0 Ok' if (user, given) == ('relay@x', sink.expected)
            else '535 5.7.8 Bad credentials')
        return sink

    def scene(self, sink, auth, **options):
        return self.relay(sink, **{**self.secure(), 'auth': auth,
                                   'auth_user': 'relay@x', **options})

    def check_nothing_leaked(self, sink):
        said = b'\n'.join(sink.clear_text())
        for word in (b'AUTH', b'MAIL'):
            self.assertNotIn(word, said)

    def mechanism(self, name):
        path = self.write('secret', SECRET + '\n')
        sink = self.hop(name)
        relay = self.scene(sink, name.lower(), auth_secret_file=path)
        self.last(relay, self.send(relay), 'delivered')
        logins = [l for c in sink.connections for l in c.logins]
        self.assertEqual(logins, [(name, 'relay@x', SECRET)])
        self.check_nothing_leaked(sink)
        relay.stop()
        self.assertNotIn(SECRET, relay.log())

    def test_plain(self):
        """RFC 4616."""
        self.mechanism('PLAIN')

    def test_login(self):
        self.mechanism('LOGIN')

    def test_xoauth2(self):
        self.mechanism('XOAUTH2')

    def deferred(self, relay, sink, message, *words):
        event = self.last(relay, message, 'deferred')
        self.assertEqual((event['cause'], event['status'][:2]),
                         ('auth-failed', '4.'))
        for word in words:
            self.assertIn(word, event['reply'])
        self.assertEqual(len(sink.arrivals), 0)
        self.check_nothing_leaked(sink)
        return event

    def mended(self, relay, message):
        self.resubmit(relay)
        self.last(relay, message, 'delivered')
        relay.stop()
        for word in (SECRET, 'wrong'):
            self.assertNotIn(word, relay.log())

    def test_wrong_password_then_file_changes(self):
        path = self.write('secret', 'wrong')
        sink = self.hop('PLAIN')
        relay = self.scene(sink, 'plain', auth_secret_file=path)
        message = self.send(relay)
        self.deferred(relay, sink, message, '535 5.7.8 Bad credentials')
        row, = relay.ctl_json('destination', 'list')
        self.assertEqual((row['state'], row['cause']),
                         ('failing', 'auth-failed'))
        text = relay.ctl('trace', message, '--transcript').stdout
        self.assertIn('> AUTH PLAIN [hidden]\n', text)
        self.assertIn('< 535 5.7.8 Bad credentials\n', text)
        self.assertNotIn(base64.b64encode(b'\0relay@x\0wrong').decode(), text)
        self.write('secret', SECRET)
        self.mended(relay, message)

    def test_no_file(self):
        sink = self.hop('PLAIN')
        relay = self.scene(sink, 'plain',
                           auth_secret_file=f'{self.files}/secret')
        message = self.send(relay)
        self.deferred(relay, sink, message, 'auth_secret_file',
                      'No such file')
        self.assertEqual(len(sink.connections), 0)
        self.write('secret', SECRET)
        self.mended(relay, message)

    def test_program_fails(self):
        sink = self.hop('XOAUTH2')
        path = self.program('echo "token server is down" >&2\n'
                            'echo more >&2\nexit 1')
        relay = self.scene(sink, 'xoauth2', auth_command=path)
        message = self.send(relay)
        event = self.deferred(relay, sink, message,
                              'auth_command: token server is down')
        self.assertNotIn('more', event['reply'])
        self.program(f'echo {SECRET}')
        self.mended(relay, message)

    def test_program_is_run_again_only_when_refused(self):
        sink = self.hop('XOAUTH2', secret='token-1')
        counter = self.write('runs', '', 0o666)
        path = self.program(f'echo x >>{counter}\n'
                            f'echo token-$(wc -l <{counter})')
        relay = self.scene(sink, 'xoauth2', auth_command=path + ' arg',
                           max_messages_per_connection=1)
        for _ in range(3):
            self.last(relay, self.send(relay), 'delivered')
        self.assertEqual(len(sink.connections), 3)
        sink.expected = 'token-2'
        message = self.send(relay)
        self.deferred_after(relay, message)
        self.resubmit(relay)
        self.last(relay, message, 'delivered')
        self.assertEqual([l[2] for c in sink.connections for l in c.logins],
                         ['token-1'] * 4 + ['token-2'])
        relay.stop()

    def deferred_after(self, relay, message):
        event = self.last(relay, message, 'deferred')
        self.assertEqual(event['cause'], 'auth-failed')

    def test_program_hangs_while_relayd_stops(self):
        """It is killed: a stop does not wait for it."""
        sink = self.hop('PLAIN')
        path = self.program('sleep 1000')
        relay = self.scene(sink, 'plain', auth_command=path)
        message = self.send(relay)
        net.wait_for('it is active', lambda: relay.ctl_json(
            'queue', 'list')[0]['state'] == 'active', 20)
        began = time.monotonic()
        relay.stop()
        self.assertLess(time.monotonic() - began, 25)
        self.program(f'echo "{SECRET}"')
        relay.start()
        self.last(relay, message, 'delivered')
        relay.stop()

    def test_not_offered(self):
        path = self.write('secret', SECRET)
        sink = self.hop('GSSAPI')
        relay = self.scene(sink, 'plain', auth_secret_file=path)
        self.deferred(relay, sink, self.send(relay), 'AUTH PLAIN')
        relay.stop()

    def test_hop_wants_it(self):
        """The route has no auth: 530 5.7.57."""
        sink = self.hop('PLAIN')
        relay = self.relay(sink, **self.secure())
        event = self.last(relay, self.send(relay), 'deferred')
        self.assertEqual(event['cause'], 'auth-required')
        relay.stop()


if __name__ == '__main__':
    unittest.main()
