# SPDX-License-Identifier: ISC
"""A smart host that refuses our mail because of us: time to mend it, and
somebody is told at once."""

import json
import os
import unittest

from scene import Dns, Relay, Scene, net, route

DENIED = '550 5.7.1 <bob@example.net>: Relay access denied'
ATTRIBUTION = '550 5.7.64 TenantAttribution; Relay Access Denied [ATTR36]'


class Grace(Scene):

    def refusing(self, reply, **options):
        sink = self.sink(rcpt=lambda recipient: reply)
        return sink, self.relay(sink, **options)

    def test_mended_in_time(self):
        for reply in (DENIED, ATTRIBUTION):
            with self.subTest(reply):
                sink, relay = self.refusing(reply)
                message = self.send(relay)
                event = self.last(relay, message, 'deferred')
                self.assertEqual((event['cause'], event['status'][0]),
                                 ('self-config', '4'))
                self.assertIn('denied', event['reply'].lower())
                self.assertIn('event=alarm alarm=self-config subject=out/',
                              relay.log())
                sink.behaviour.rcpt = lambda recipient: '250 2.1.5 Ok'
                self.resubmit(relay)
                self.last(relay, message, 'delivered')
                relay.stop()

    def test_fails_after_the_grace(self):
        """Counted from the first refusal, and anew when resubmitted."""
        sink, relay = self.refusing(DENIED, queue={
            'retry': ['100ms'], 'self_grace': '2s'})
        message = self.send(relay)
        event = self.last(relay, message, 'failed')
        self.assertEqual(event['cause'], 'self-config')
        deferred = [e for e in relay.ctl_json('trace', message)
                    if e['event'] == 'deferred']
        self.assertGreater(len(deferred), 1)
        relay.ctl('resubmit', '--failed', '--yes')
        net.wait_for('a second grace', lambda: len(
            [e for e in relay.ctl_json('trace', message)
             if e['event'] == 'failed']) == 2)
        again = [e['event'] for e in relay.ctl_json('trace', message)]
        again = again[again.index('resubmitted'):]
        self.assertIn('deferred', again)
        relay.stop()
        self.assertGreater(len(sink.connections), 0)

    def test_no_grace(self):
        _, relay = self.refusing(DENIED, queue={'self_grace': '0s'})
        event = self.last(relay, self.send(relay), 'failed')
        self.assertEqual(event['cause'], 'self-config')
        relay.stop()

    def test_other_refusals_have_none(self):
        _, relay = self.refusing('550 5.1.1 No such user')
        event = self.last(relay, self.send(relay), 'failed')
        self.assertEqual(event['cause'], 'peer-rejected')
        relay.stop()

    def test_mx_has_none(self):
        """A stranger's refusal is about the mail."""
        sink = self.sink(rcpt=lambda recipient: DENIED)
        dns = Dns()
        self.addCleanup(dns.close)
        dns.add('example.net', 'MX', (10, 'mx.example.net'))
        dns.add('mx.example.net', 'A', sink.host)
        relay = Relay(route('out', mx=True, tls='off'), queue=self.queue,
                      environment={'RELAYD_RESOLVER': dns.address,
                                   'RELAYD_MX_PORT': str(sink.port)})
        self.addCleanup(relay.close)
        event = self.last(relay, self.send(relay), 'failed')
        self.assertEqual(event['cause'], 'peer-rejected')
        relay.stop()


class AlarmCommand(Scene):
    """It is run as relayd's user, with the alarm in its arguments and as
    JSON on its standard input."""

    def command(self, text):
        path = os.path.join(self.dir, 'alarm')
        with open(path, 'w', encoding='ascii') as f:
            f.write('#!/bin/sh\n' + text)
        os.chmod(path, 0o755)
        return path

    def start(self, command):
        os.chmod(self.dir, 0o777)
        sink = self.sink(rcpt=lambda recipient: DENIED)
        relay = Relay(route('out', hosts=[sink.address], tls='off'),
                      queue=self.queue, top={'alarm_command': command})
        self.addCleanup(relay.close)
        return relay

    def test_told_once(self):
        out = os.path.join(self.dir, 'told')
        relay = self.start(self.command(
            f'printf "%s|" "$@" >>{out}\ncat >>{out}\necho >>{out}\n'
            'echo noise\n') + ' first word')
        for _ in range(3):
            self.last(relay, self.send(relay), 'deferred')
        net.wait_for('told', lambda: os.path.exists(out)
                     and open(out, encoding='utf-8').read().endswith('}\n'))
        relay.stop()
        lines = open(out, encoding='utf-8').read().splitlines()
        self.assertEqual(len(lines), 1, lines)
        *words, rest = lines[0].split('|')
        told = json.loads(rest)
        self.assertEqual(words[:3], ['first', 'word', 'self-config'])
        self.assertEqual(words[3:], [told['subject'], told['text']])
        self.assertEqual((told['alarm'], told['hostname']),
                         ('self-config', 'relay.example.com'))
        self.assertIn(DENIED, told['text'])
        self.assertNotIn('alarm-command-failed', relay.log())

    def test_that_fails(self):
        relay = self.start(self.command('echo no pager >&2\nexit 3\n'))
        self.last(relay, self.send(relay), 'deferred')
        net.wait_for('its failure', lambda:
                     'alarm-command-failed' in relay.log())
        self.assertIn('text="ended with status 3" stderr="no pager"',
                      relay.log())
        relay.stop()

    def test_that_hangs(self):
        """A stop does not wait for it."""
        out = os.path.join(self.dir, 'hangs')
        relay = self.start(self.command(f'echo >{out}\nexec sleep 600\n'))
        self.last(relay, self.send(relay), 'deferred')
        net.wait_for('it runs', lambda: os.path.exists(out))
        relay.stop()
        self.assertIn('did not end in time', relay.log())


if __name__ == '__main__':
    unittest.main()
