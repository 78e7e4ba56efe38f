# SPDX-License-Identifier: ISC
"""What a next hop can't take is failed with the right code before anything is
said of it, and the connection goes on serving what it can take."""

import unittest

from scene import ASCII, Scene, sender

PLAIN = ['PIPELINING', 'ENHANCEDSTATUSCODES']
EIGHT_BIT = ASCII + b'\xe4\xf6\xfc\r\n'
LARGE = ASCII + b'x' * 70 + b'\r\n' + b'y' * 900 + b'\r\n'


class Needs(Scene):

    def check_failed(self, data, ehlo, status, cause):
        """The message fails; one of no demands behind it goes, over the same
        connection."""
        sink = self.sink(ehlo=ehlo)
        relay = self.relay(sink, max_connections=1)
        event = self.last(relay, self.send(relay, data), 'failed')
        self.assertEqual((event['status'], event['cause']), (status, cause))
        self.assertTrue(event['attempted'])
        self.assertIn(sink.host, event['reply'])
        self.last(relay, self.send(relay), 'delivered')
        self.assertEqual([a.data.endswith(ASCII) for a in self.arrivals(sink)],
                         [True])
        commands = [c for connection in sink.connections
                    for c in connection.commands]
        self.assertEqual(sum(c.startswith('MAIL FROM:<alice')
                             for c in commands), 1)
        relay.stop()
        return event

    def check_delivered(self, data, ehlo, said):
        sink = self.sink(ehlo=ehlo)
        relay = self.relay(sink)
        self.last(relay, self.send(relay, data), 'delivered')
        self.assertTrue(sink.arrivals[0].data.endswith(data))
        mail, = [c for c in sink.connections[0].commands
                 if c.startswith('MAIL')]
        self.assertEqual(said in mail, True, mail)
        relay.stop()

    def test_too_large(self):
        """RFC 1870 6.2."""
        event = self.check_failed(LARGE, PLAIN + ['SIZE 1000'], '5.3.4',
                                  'too-large')
        self.assertIn('takes at most 1000 bytes', event['reply'])

    def test_large_enough(self):
        self.check_delivered(LARGE, PLAIN + ['SIZE 10000'], ' SIZE=')

    def test_size_without_limit(self):
        """RFC 1870 4: 0, or no number, is no limit."""
        self.check_delivered(LARGE, PLAIN + ['SIZE 0'], ' SIZE=')

    def test_8bit_not_taken(self):
        """RFC 6152 section 3."""
        event = self.check_failed(EIGHT_BIT, PLAIN, '5.6.3', 'peer-rejected')
        self.assertIn('8BITMIME', event['reply'])

    def test_8bit_taken(self):
        self.check_delivered(EIGHT_BIT, PLAIN + ['8BITMIME'],
                             ' BODY=8BITMIME')

    # ------- what is asked for by the client that hands it in

    def hand_in(self, relay, mail, rcpt, body):
        """By BDAT, with parameters; returns the message's id."""
        with sender.Client(relay.host, relay.port) as client:
            client.hello()
            client.ask(f'MAIL FROM:<alice@example.com>{mail}', '250')
            client.ask(f'RCPT TO:<bob@example.net>{rcpt}', '250')
            client.send(f'BDAT {len(body)} LAST\r\n'.encode() + body)
            match = sender.QUEUED.match(client.reply())
            client.ask('QUIT')
        return match.group(1)

    def relay_that_takes_all(self, sink):
        return self.relay(sink, listener={'chunking': 'passthrough'})

    def check_unable(self, ehlo, mail, body, status, cause):
        sink = self.sink(ehlo=ehlo)
        relay = self.relay_that_takes_all(sink)
        message = self.hand_in(relay, mail, '', body)
        event = self.last(relay, message, 'failed')
        self.assertEqual((event['status'], event['cause']), (status, cause))
        self.assertEqual(self.arrivals(sink), [])
        relay.stop()

    def check_able(self, ehlo, mail, rcpt, body):
        """Returns what was said: MAIL, RCPT, and how the body went."""
        sink = self.sink(ehlo=ehlo)
        relay = self.relay_that_takes_all(sink)
        self.last(relay, self.hand_in(relay, mail, rcpt, body), 'delivered')
        arrival, = self.arrivals(sink)
        self.assertTrue(arrival.data.endswith(body))
        relay.stop()
        return sink.connections[0].commands[1:4]

    def test_utf8_not_taken(self):
        """RFC 6531 3.4: never downgraded, though every byte is ASCII."""
        self.check_unable(PLAIN + ['8BITMIME'], ' SMTPUTF8', ASCII, '5.6.7',
                          'no-utf8')

    def test_utf8_taken(self):
        mail, _, _ = self.check_able(PLAIN + ['8BITMIME', 'SMTPUTF8'],
                                     ' SMTPUTF8', '', ASCII)
        self.assertIn(' SMTPUTF8', mail)

    def test_bare_newlines_not_taken(self):
        """RFC 5321 2.3.8: they can't be sent by DATA."""
        self.check_unable(PLAIN, '', ASCII + b'a\nb\rc\r\n', '5.6.11',
                          'peer-rejected')

    def test_bare_newlines_taken(self):
        """RFC 3030: byte by byte."""
        *_, body = self.check_able(PLAIN + ['CHUNKING'], '', '',
                                   ASCII + b'a\nb\rc\r\n.\r\n')
        self.assertTrue(body.startswith('BDAT'), body)

    def test_dsn_is_passed_on(self):
        """RFC 3461 4, 5.2."""
        mail, rcpt, _ = self.check_able(
            PLAIN + ['DSN'], ' RET=HDRS ENVID=id+2B1',
            ' NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bc@example.org', ASCII)
        for word in ('RET=HDRS', 'ENVID=id+2B1'):
            self.assertIn(word, mail)
        for word in ('NOTIFY=SUCCESS,DELAY', 'ORCPT=rfc822;b+2Bc@example.org'):
            self.assertIn(word, rcpt)

    def test_dsn_is_not_said_where_not_offered(self):
        mail, rcpt, _ = self.check_able(PLAIN, ' RET=HDRS ENVID=x',
                                        ' NOTIFY=FAILURE', ASCII)
        self.assertNotIn('RET=', mail)
        self.assertTrue(rcpt.endswith('>'), rcpt)


if __name__ == '__main__':
    unittest.main()
