#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""test_body - BDAT, and what a message carries besides its bytes."""

import unittest

import desk

ODD = (b'X-Odd: 1\r\n\r\n.\r\n..\nbare LF\rbare CR\n\n.\n\r\n.\r\n\x01\xff'
       + b'x' * 5000 + b'\r\nno line end')


class Passthrough(desk.Desk):
    listener = {'chunking': 'passthrough'}

    def test_every_byte(self):
        big = bytes(range(1, 256)) * 3000
        for chunks in ([ODD], [ODD[:10], ODD[10:13], b'', ODD[13:]],
                       [b'X-Big: 1\r\n\r\n', big, big], [b''],
                       [ODD[n:n + 1] for n in range(64)]):
            with self.client() as client:
                client.begin(more=' BODY=8BITMIME')
                for chunk in chunks[:-1]:
                    reply = client.bdat(chunk)
                    self.assertTrue(reply.startswith('250 '), reply)
                number = self.queued(client.bdat(chunks[-1], last=True))
            self.assertEqual(self.raw(number), b''.join(chunks))
        self.end()

    def test_nul_is_refused(self):
        """It is for BINARYMIME only (RFC 3030 section 3)."""
        with self.client() as client:
            client.begin()
            reply = client.bdat(b'X: 1\r\n\r\na\0b\r\n', last=True)
            self.assertTrue(reply.startswith('554 5.6.11'), reply)
        self.assertEqual(self.relay.waiting(), 0)
        self.end()

    def test_data_is_strict_all_the_same(self):
        with self.client() as client:
            client.begin()
            client.ask('DATA', '354')
            client.send(b'Subject: x\r\n\r\na\nb\r\n.\r\n')
            self.assertTrue(client.reply().startswith('554 5.6.11'))
        self.assertEqual(self.relay.waiting(), 0)
        self.end()

    def test_gone_between_chunks(self):
        client = self.client()
        client.begin()
        client.bdat(ODD * 100)
        client.close()
        with self.client() as client:
            client.begin()
            client.bdat(ODD * 100)
            client.ask('RSET', '250')
            client.begin()
            number = self.queued(client.bdat(desk.BODY, last=True))
        self.assertEqual(self.raw(number), desk.BODY)
        self.relay.wait_empty()
        self.assertEqual(len(self.hop.arrivals), 1)
        self.end()


class Strict(desk.Desk):
    listener = {'chunking': 'strict'}

    def test_bare_bytes_are_refused(self):
        for odd in (b'a\nb', b'a\rb', b'a\0b'):
            with self.client() as client:
                client.begin()
                reply = client.bdat(b'Subject: x\r\n\r\n' + odd + b'\r\n',
                                    last=True)
                self.assertTrue(reply.startswith('554 5.6.11'), reply)
                client.begin()
                number = self.queued(client.bdat(desk.BODY, last=True))
            self.assertEqual(self.raw(number), desk.BODY)
        self.end()


class Off(desk.Desk):
    tls = True

    def test_it_is_not_offered(self):
        with self.client(hello=False) as client:
            self.assertNotIn('CHUNKING', client.ask('EHLO x'))
            client.begin()
            self.assertRegex(client.ask('BDAT 0 LAST'), '^50[0-9] ')
        self.end()

    def test_protocol_words(self):
        for greeting, tls, more, word in (
                ('HELO x', False, '', 'SMTP'),
                ('EHLO x', False, '', 'ESMTP'),
                ('EHLO x', True, '', 'ESMTPS'),
                ('EHLO x', False, ' SMTPUTF8', 'UTF8SMTP'),
                ('EHLO x', True, ' SMTPUTF8', 'UTF8SMTPS')):
            self.hop.behaviour.ehlo = ['PIPELINING', '8BITMIME', 'SMTPUTF8',
                                       'ENHANCEDSTATUSCODES']
            with self.subTest(word=word), self.client(hello=False) as client:
                client.ask(greeting, '250')
                if tls:
                    client.start_tls()
                    client.ask(greeting, '250')
                client.begin(more=more)
                field = self.received(self.queued(client.data()))
                self.assertIn(f' with {word} ', field)
        self.end()

    def test_dsn_parameters_are_kept(self):
        self.hop.behaviour.ehlo = ['PIPELINING', 'DSN', 'ENHANCEDSTATUSCODES']
        with self.client() as client:
            client.ask('MAIL FROM:<a@example.com> RET=HDRS ENVID=Q+2B1', '250')
            client.ask(f'RCPT TO:<{desk.TO}> NOTIFY=SUCCESS,DELAY '
                       'ORCPT=rfc822;Bob@example.net', '250')
            self.queued(client.data())
        self.hop.wait(1)
        commands = b'\n'.join(
            c if isinstance(c, bytes) else c.encode()
            for connection in self.hop.connections
            for c in connection.commands).decode().upper()
        for word in ('RET=HDRS', 'ENVID=Q+2B1', 'NOTIFY=SUCCESS,DELAY',
                     'ORCPT=RFC822;BOB@EXAMPLE.NET'):
            self.assertIn(word, commands)
        self.end()


if __name__ == '__main__':
    unittest.main()
