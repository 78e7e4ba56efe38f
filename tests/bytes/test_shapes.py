# SPDX-License-Identifier: ISC
"""Messages of every odd shape come out as they went in, behind one trace
field, or are refused at the door."""

import itertools
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

from harness import passage                     # noqa: E402

HEAD = b'Subject: x\r\nMessage-ID: <1@example.com>\r\n\r\n'
EVERY_BYTE = bytes(b for b in range(1, 256) if b not in b'\r\n')


def line(size, of=b'x'):
    """A line of so many bytes without its end."""
    return (of * size)[:size] + b'\r\n'


SHAPES = {
    'line of 998': HEAD + line(998),
    'line of 999': HEAD + line(999),
    'line of 10,000': HEAD + line(10000),
    'line of 1 MiB': HEAD + line(1 << 20),
    'line of 1 MiB in dots': HEAD + line(1 << 20, b'.'),
    'header line of 10,000': b'X-Long: ' + line(10000) + HEAD,
    '8-bit': HEAD + EVERY_BYTE + b'\r\n' + EVERY_BYTE[::-1] + b'\r\n',
    '8-bit header': b'Subject: \xe4\xf6\xfc\r\n' + HEAD,
    'UTF-8 header': 'Subject: \u00e4\u4e2d\U0001f600\r\n'.encode() + HEAD,
    'not UTF-8': HEAD + b'\xc3\x28\xff\xfe\xed\xa0\x80\r\n',
    'spaces at ends': HEAD + b'a \r\nb\t\r\n \r\n\t\r\n',
    'From': HEAD + b'From x\r\n>From y\r\nFrom: z\r\n',
    'empty': b'',
    'only a blank line': b'\r\n',
    'only blank lines': b'\r\n' * 1000,
    'only a dot': b'.\r\n',
    'only headers': b'Subject: x\r\nFrom: <a@example.com>\r\n',
    'header and blank line': b'Subject: x\r\n\r\n',
    'no header section': b'this is no field\r\nnor this\r\n',
    'body without blank line': b'Subject: x\r\nthis is no field\r\n\r\nx\r\n',
    'begins folded': b' folded\r\n\tmore\r\n' + HEAD,
    'begins with a blank line': b'\r\n' + HEAD,
    'begins with a colon': b': x\r\n' + HEAD,
    '50,000 header lines': b''.join(b'X-%d: y\r\n' % n
                                    for n in range(50000)) + HEAD,
    'header folded to 100 KiB': b'X-Folded: a\r\n' + (
        b' ' + line(78)) * (100 * 1024 // 81) + HEAD,
    'header folded in blanks': b'X-Folded:\r\n' + b' \r\n' * 3000 + HEAD,
    'no Message-ID': b'Subject: x\r\n\r\nx\r\n',
    'two Message-IDs': b'Message-ID: <1@a>\r\nMessage-ID: <2@a>\r\n\r\n',
    'Message-ID empty': b'Message-ID:\r\n\r\n',
    'Message-ID without end': b'Message-ID: <1@example.com\r\n\r\n',
    'Message-ID bare': b'Message-ID: 1\r\n\r\n',
    'Message-ID folded': b'Message-ID:\r\n <1@example.com>\r\n\r\n',
    'Message-ID long': b'Message-ID: <' + b'1' * 5000 + b'@a>\r\n\r\n',
    'Message-ID 8-bit': b'Message-ID: <\xff"\\<>@\xe4>\r\n\r\n',
    'Message-ID in commas': b'MESSAGE-id : (x) <1@a>, <2@b>\r\n\r\n',
    'Received odd': b'Received: \r\nReceived:\r\n\t;\r\n' + HEAD,
    'Return-Path': b'Return-Path: <x@example.com>\r\nBcc: y@z\r\n' + HEAD,
    'SMTP inside': HEAD + b'QUIT\r\nRSET\r\nDATA\r\nBDAT 3 LAST\r\n354 x\r\n',
    'broken MIME': b'Content-Type: multipart/mixed; boundary=\r\n' + HEAD,
}
DOTS = (b'.', b'..', b'.x', b'x.', b'')


class Shapes(passage.Passage):
    listener = {'max_message_size': '32M'}

    def through(self, bodies):
        """All of them come out equal."""
        client = self.client()
        sent = []
        for body in bodies:
            to, reply = self.data(client, body)
            self.assertTrue(reply.startswith('250 '), (reply, body[:100]))
            sent.append((to, body))
        client.ask('QUIT', '221')
        self.relay.wait_empty()
        for to, body in sent:
            self.assert_passed(to, body)
        self.assert_clean()

    def test_shapes(self):
        self.through(SHAPES.values())

    def test_dots_everywhere(self):
        """Dot lines at every place, in a body and in place of a header."""
        bodies = [b''.join(b + b'\r\n' for b in lines)
                  for n in (1, 2, 3)
                  for lines in itertools.product(DOTS, repeat=n)]
        self.through(bodies)
        self.through(HEAD + body for body in bodies[:30])

    def test_lines_around_the_buffers(self):
        """Dots and line ends at every place around powers of two."""
        self.through(HEAD + line(size) + b'.\r\n..\r\n' + line(size, b'.')
                     for power in (10, 12, 16, 20)
                     for size in range((1 << power) - len(HEAD) - 3,
                                       (1 << power) - len(HEAD) + 3))

    def test_segments(self):
        """Cut into segments at every place."""
        client = self.client()
        body = b'A: b\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\n'
        sent = [self.data(client, body, (cut, cut + 1))
                for cut in range(1, len(body) + 9)]
        for _, reply in sent:
            self.assertTrue(reply.startswith('250 '), reply)
        self.relay.wait_empty()
        for to, _ in sent:
            self.assert_passed(to, body)
        self.assert_clean()

    def test_refused(self):
        """Bare CR, bare LF and NUL, wherever they are."""
        client = self.client()
        for bad in (b'\r', b'\n', b'\0', b'\n\r', b'\r\r\n', b'\r\n\n'):
            for data in (bad + HEAD, b'Sub' + bad + b'ject: x\r\n\r\n',
                         HEAD + b'x' + bad + b'y\r\n', HEAD + bad + b'\r\n',
                         HEAD + line(70000) + bad + b'x\r\n',
                         HEAD + b'.' + bad + b'x\r\n'):
                to, reply = self.data(client, data)
                self.assertTrue(reply.startswith(passage.REFUSED),
                                (reply, bad, data[:80]))
                self.assertFalse(self.came_to(to))
        self.assertEqual(self.relay.waiting(), 0)
        self.through([HEAD])


if __name__ == '__main__':
    unittest.main()
