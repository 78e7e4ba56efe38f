# SPDX-License-Identifier: ISC
"""What was said in the last failed attempt: of a peer that refuses at each
stage, of one that repeats our secret, without the message and bounded."""

import base64
import os
import unittest

from scene import ASCII, NAME, Scene, net

SECRET = 'open sesame'


class Transcript(Scene):

    def transcripts(self, relay, message):
        return [e for e in relay.ctl_json('trace', message, '--transcript')
                if e['event'] == 'transcript']

    def one(self, relay, message):
        row, = self.transcripts(relay, message)
        lines = row['transcript'].splitlines()
        self.assertTrue(lines[0].endswith(f'connecting to {row["address"]}'),
                        lines)
        return row, [line[9:] for line in lines[1:]]

    def test_of_a_refusal(self):
        sink = self.sink(rcpt=lambda r: '452 4.2.2 Mailbox full')
        relay = self.relay(sink)
        message = self.send(relay)
        event = self.last(relay, message, 'deferred')
        row, lines = self.one(relay, message)
        self.assertEqual(row['destination'], event['destination'])
        self.assertEqual(lines[:2], ['< 220 mx.example.net ESMTP',
                                     '> EHLO relay.example.com'])
        self.assertEqual(lines[-5:], [
            '> RCPT TO:<bob@example.net>', '> DATA', '< 250 2.1.0 Ok',
            '< 452 4.2.2 Mailbox full', '< 503 5.5.1 No valid recipients'])
        self.assertGreater(event['bytes'], 0)
        # It is asked for, or not shown.
        self.assertNotIn('transcript', [
            e['event'] for e in relay.ctl_json('trace', message)])
        text = relay.ctl('trace', message, '--transcript').stdout
        self.assertIn('transcript of the last failed attempt at '
                      f'{event["destination"]}, {event["address"]}', text)
        self.assertIn('< 452 4.2.2 Mailbox full\n', text)

        # The last one stays, also when all is well.
        sink.behaviour.rcpt = lambda r: '250 2.1.5 Ok'
        self.resubmit(relay)
        event = self.last(relay, message, 'delivered')
        self.assertGreater(event['bytes'], len(ASCII))
        self.assertEqual(self.one(relay, message)[1], lines)
        relay.stop()

    def test_of_each_destination(self):
        """And not a byte of the message."""
        first = self.sink(mail=lambda s: '421 4.3.2 Closing')
        second = self.sink(dot=lambda a: '451 4.3.0 Disk trouble')
        relay = self.relay(first, second)
        message = self.send(relay)
        self.last(relay, message, 'deferred')
        rows = self.transcripts(relay, message)
        self.assertIn(f'out/{second.host}:{second.port}',
                      [r['destination'] for r in rows])
        text = ''.join(r['transcript'] for r in rows)
        self.assertIn('bytes of the message', text)
        self.assertIn('< 451 4.3.0 Disk trouble', text)
        for word in ('Subject', 'Hello', 'From:', 'Received'):
            self.assertNotIn(word, text.replace('MAIL FROM:', ''))
        relay.stop()

    def test_of_no_connection(self):
        port = net.free_port()
        relay = self.relay(f'[127.0.0.1]:{port}')
        message = self.send(relay)
        self.last(relay, message, 'deferred')
        row, lines = self.one(relay, message)
        self.assertEqual(len(lines), 1)
        self.assertTrue(lines[0].startswith('= connect-refused: '), lines)
        relay.stop()

    def test_of_tls(self):
        sink = self.sink(self.ca.issue('other', 'other.example.net'))
        relay = self.relay(sink, **self.secure())
        message = self.send(relay)
        event = self.last(relay, message, 'deferred')
        self.assertEqual(event['bytes'], len(
            'EHLO relay.example.com\r\nSTARTTLS\r\n'))
        lines = self.one(relay, message)[1]
        self.assertIn('> STARTTLS', lines)
        self.assertTrue(lines[-1].startswith('= tls-cert-name: '), lines)
        relay.stop()

    def test_a_peer_that_repeats_the_secret(self):
        path = f'{self.dir}/secret'
        with open(path, 'w', encoding='ascii') as f:
            f.write(SECRET)
        os.chmod(path, 0o644)
        os.chmod(self.dir, 0o755)
        said = base64.b64encode(f'\0relay@x\0{SECRET}'.encode()).decode()
        sink = self.sink(self.certificate, auth_offer=('PLAIN',))
        sink.behaviour.auth = lambda mechanism, user, given: (
            f'535 5.7.8 I know that {given}, it was {said}')
        relay = self.relay(sink, **{**self.secure(), 'auth': 'plain',
                                    'auth_user': 'relay@x',
                                    'auth_secret_file': path})
        message = self.send(relay)
        self.last(relay, message, 'deferred')
        row, lines = self.one(relay, message)
        self.assertNotIn(SECRET, relay.log())
        self.assertIn('> AUTH PLAIN [hidden]', lines)
        self.assertIn('< 535 5.7.8 I know that [hidden], it was [hidden]',
                      lines)
        self.assertIn('TLS1.3, verified: name', row['transcript'])
        for word in (SECRET, said):
            self.assertNotIn(word, row['transcript'])
        relay.stop()

    def test_bytes_of_a_peer_are_escaped_once(self):
        sink = self.sink(mail=lambda s: '451 4.3.0 C:\\\\mail \x1b[31m')
        relay = self.relay(sink)
        message = self.send(relay)
        self.last(relay, message, 'deferred')
        text = relay.ctl('trace', message, '--transcript').stdout
        self.assertIn('< 451 4.3.0 C:\\x5c\\x5cmail \\x1b[31m\n', text)
        relay.stop()

    def test_it_is_bounded(self):
        sink = self.sink(rcpt=lambda r: '452 4.2.2 ' + 'x' * 200)
        relay = self.relay(sink)
        message = self.send(relay, recipients=[
            f'{n}@example.net' for n in range(500)])
        self.last(relay, message, 'deferred')
        row, = self.transcripts(relay, message)
        self.assertLessEqual(len(row['transcript']), 16384)
        self.assertIn('lines left out', row['transcript'])
        self.assertIn('EHLO', row['transcript'])
        relay.stop()


if __name__ == '__main__':
    unittest.main()
