# SPDX-License-Identifier: ISC
"""What an operator does with waiting mail, and what relayctl answers."""

import hashlib
import json
import subprocess
import unittest

import scene
from harness.relay import RELAYCTL

N = 12


class Operator(scene.Scene):
    queue = {'retry': ['1h'], 'keep_expired': '1d'}

    def setUp(self):
        super().setUp()
        self.refuse_all()

    def defer(self, n=N):
        sent = self.send(n)
        self.relay.wait_deferred(n, 'peer-deferred')
        return sent

    def changed(self, *args):
        """A verb that changes mail: (verb, messages, recipients)."""
        row, = self.relay.ctl_json(*args)
        return row['verb'], row['messages'], row['recipients']

    def test_hold_and_release(self):
        sent = self.defer()
        self.assertEqual(self.changed('hold', sent[0].id), ('hold', 1, 1))
        self.wait_states(deferred=N - 1, held=1)
        self.accept_all()
        self.relay.ctl('resubmit', '--deferred', '--yes')
        self.wait_states(held=1)
        # It stays where it is, over a restart as well.
        self.relay.kill()
        self.relay.start()
        self.assertEqual(self.states(), {'held': 1})
        row, = self.relay.ctl_json('queue', 'list', '--state', 'held')
        self.assertEqual(row['id'], sent[0].id)
        self.assertEqual(self.changed('release', '--state', 'held'),
                         ('release', 1, 1))
        self.check_books()
        self.end()

    def test_hold_before_it_is_tried(self):
        sent = self.defer()
        self.relay.ctl('hold', '--all', '--yes')
        self.wait_states(held=N)
        self.accept_all()
        self.assertEqual(self.changed('resubmit', '--held', '--yes'),
                         ('resubmit', N, N))
        self.check_books()
        self.assertEqual(len(sent), N)
        self.end()

    def test_remove(self):
        sent = self.defer()
        keep, gone = sent[1:], sent[0]
        self.assertEqual(self.changed('remove', gone.id), ('remove', 1, 1))
        self.wait_states(deferred=N - 1, failed=1)
        del self.ledger.sent[gone.key]
        self.accept_all()
        self.relay.ctl('resubmit', '--all', '--yes')
        self.check_books()
        events = [e['event'] for e in self.relay.ctl_json('trace', gone.id)]
        self.assertEqual(events[0], 'received')
        self.assertEqual(events[-1], 'removed')
        self.assertEqual(len(keep), N - 1)
        self.end()

    def test_dry_run_changes_nothing(self):
        self.defer()
        row, = self.relay.ctl_json('remove', '--all', '--yes', '--dry-run')
        self.assertEqual((row['messages'], row['dry_run']), (N, True))
        self.assertEqual(self.states(), {'deferred': N})
        self.end()

    def test_filters(self):
        self.send(3, sender='carol@example.org')
        self.send(4, recipients=('dave@example.net', 'erin@example.net'))
        self.relay.wait_deferred(11, 'peer-deferred')

        def count(*filters):
            return len(self.relay.ctl_json('queue', 'list', *filters))
        self.assertEqual(count(), 7)
        self.assertEqual(count('--sender', 'carol@*'), 3)
        self.assertEqual(count('--recipient', 'erin@example.net'), 4)
        self.assertEqual(count('--cause', 'peer-deferred'), 7)
        self.assertEqual(count('--cause', 'peer'), 7)
        self.assertEqual(count('--cause', 'tls'), 0)
        self.assertEqual(count('--route', 'out'), 7)
        self.assertEqual(count('--state', 'deferred', '--older', '1h'), 0)
        self.assertEqual(count('--newer', '1h', '--larger', '1'), 7)
        self.assertEqual(count('--sender', 'carol@*', '--recipient',
                               'erin@*'), 0)
        key = next(iter(self.ledger.sent))
        self.assertEqual(count('--message-id', f'<{key}@example.com>')
                         + count('--message-id', f'{key}@example.com'), 2)
        self.end()

    def test_json_keys(self):
        """What scripts rely on."""
        sent = self.defer(1)
        row, = self.relay.ctl_json('queue', 'list')
        self.assertLessEqual(set(
            'id state received age_s size sender recipients route '
            'destination attempts next_attempt expires cause reply '
            'uncertain'.split()), set(row))
        row, = self.relay.summary()
        self.assertLessEqual(set(
            'state destination cause messages recipients bytes oldest_s '
            'next_expiry reply remedy'.split()), set(row))
        for row in self.relay.ctl_json('trace', sent[0].id):
            self.assertLessEqual({'id', 'time', 'event'}, set(row))
        row, = self.relay.ctl_json('status')
        self.assertLessEqual(set(
            'version pid uptime_s messages recipients destinations '
            'certificates queue'.split()), set(row))
        self.assertEqual(row['pid'], self.relay.process.pid)
        row, = self.relay.ctl_json('destination', 'list')
        self.assertLessEqual(set(
            'destination state cause since next_probe messages recipients '
            'connections reply'.split()), set(row))
        self.end()

    def test_show(self):
        sent = self.defer(1)
        text = self.relay.ctl('queue', 'show', sent[0].id).stdout
        self.assertIn('alice@example.com', text)
        self.assertIn('451 4.3.0 Not now', text)
        raw = self.relay.ctl('queue', 'show', '--raw', sent[0].id).stdout
        raw = raw.encode(errors='surrogateescape')
        self.assertEqual(hashlib.sha256(raw).hexdigest(), sent[0].sha256)
        self.end()

    def test_exit_status(self):
        sent = self.defer(1)
        self.relay.ctl('queue', 'list', '--sender', 'nobody@*', expect=0)
        self.relay.ctl('hold', '--sender', 'nobody@*', expect=4)
        self.relay.ctl('resubmit', expect=2)
        self.relay.ctl('remove', expect=2)
        self.relay.ctl('frobnicate', expect=2)
        self.relay.ctl('queue', 'list', '--state', 'odd', expect=2)
        done = self.relay.ctl('trace', '0000000000000', expect=None)
        self.assertIn(done.returncode, (1, 4))
        self.assertTrue(done.stderr.startswith('relayctl: '), done.stderr)
        self.relay.ctl('check', 'config', expect=0)
        self.relay.ctl('hold', sent[0].id, expect=0)
        self.end()
        done = subprocess.run([RELAYCTL, '-s', self.relay.socket, 'status'],
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (3, ''))
        self.assertTrue(done.stderr.startswith('relayctl: '), done.stderr)

    def test_json_is_a_line_each(self):
        self.defer(3)
        done = self.relay.ctl('--json', 'queue', 'list')
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 3)
        for line in lines:
            self.assertIsInstance(json.loads(line), dict)
        self.end()


class Expiry(scene.Scene):
    queue = {'lifetime': '2s', 'retry': ['1s'], 'keep_expired': '1d',
             'hold_clock': '0s'}
    out = {'domains': ['example.net']}      # no way to tell the sender

    def test_expired_mail_is_not_lost(self):
        """Its lifetime passes; it stays, and a command delivers it."""
        self.refuse_all()
        sent = self.send(5)
        self.wait_states(expired=5)
        events = [e['event'] for e in self.relay.ctl_json('trace',
                                                          sent[0].id)]
        self.assertEqual(events[-1], 'expired')
        self.accept_all()
        row, = self.relay.ctl_json('resubmit', '--expired', '--yes')
        self.assertEqual((row['messages'], row['recipients']), (5, 5))
        self.hop.wait(5)
        self.check_books()
        self.end()


class HeldClock(scene.Scene):
    queue = {'lifetime': '2s', 'retry': ['1s'], 'probe': '1s',
             'hold_clock': '1d'}
    out = {'tls': 'forced', 'verify': 'none'}

    def test_does_not_expire_while_tls_is_to_blame(self):
        self.send(3)                    # the next hop offers no STARTTLS
        self.relay.wait_deferred(3, 'tls-not-offered')
        with self.assertRaises(scene.net.TimedOut):
            scene.net.wait_for('expiry',
                               lambda: 'expired' in self.states(), 5)
        self.assertEqual(self.states(), {'deferred': 3})
        self.end()


if __name__ == '__main__':
    unittest.main()
