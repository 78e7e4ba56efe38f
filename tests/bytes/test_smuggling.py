# SPDX-License-Identifier: ISC
"""No end of data but CRLF.CRLF: a second message that hides behind anything
else is refused with the first, however the bytes are cut into segments or
chunks."""

import itertools
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

from harness import passage          # noqa: E402

HEAD = b'Subject: first\r\n\r\n'
EVIL = (b'MAIL FROM:<evil@example.com>\r\nRCPT TO:<evil@example.net>\r\n'
        b'DATA\r\nSubject: second\r\n\r\nsmuggled\r\n')
ENDS = (b'\r\n', b'\n', b'\r', b'\n\r', b'\r\r\n', b'\n\n', b'\r\n\0',
        b'\0\r\n')
# Every line end but the right one, twice, around the dot.
CORPUS = [before + b'.' + after
          for before, after in itertools.product(ENDS, repeat=2)
          if (before, after) != (b'\r\n', b'\r\n')
          and b'\r\n.\r\n' not in before + b'.' + after]
# Where the first message is when it pretends to end.
PLACES = (b'', b'Subject: first', HEAD, HEAD + b'text', HEAD + b'x' * 70000)


class ByData(passage.Passage):

    def check_refused(self, client, data, cuts=()):
        to, reply = self.raw(client, data + EVIL + b'.\r\n', cuts)
        self.assertTrue(reply.startswith(passage.REFUSED),
                        (reply, data[-20:], cuts))
        self.assertFalse(self.came_to(to))

    def check_end(self, client):
        """Nothing came of all that, and the session is in step."""
        client.ask('NOOP', '250')
        self.assertEqual(self.relay.waiting(), 0)
        to, reply = self.data(client, HEAD)
        self.assertTrue(reply.startswith('250 '), reply)
        self.relay.wait_empty()
        self.assert_passed(to, HEAD)
        self.assertFalse(self.came_to('evil@example.net'))
        self.assert_clean()

    def test_corpus(self):
        client = self.client()
        for place, ending in itertools.product(PLACES, CORPUS):
            with self.subTest(place=place[:20], ending=ending):
                self.check_refused(client, place + ending)
        self.check_end(client)

    def test_segments(self):
        """The segments end at every place of the ending."""
        client = self.client()
        for ending in CORPUS:
            data = HEAD + b'text' + ending
            for cut in range(len(data) - len(ending), len(data) + 1):
                with self.subTest(ending=ending, cut=cut):
                    self.check_refused(client, data, (cut,))
            at = len(data) - len(ending)
            self.check_refused(client, data, range(at, len(data) + 1))
        self.check_end(client)

    def test_before_354(self):
        """The same, sent before DATA was answered."""
        client = self.client()
        for ending in CORPUS:
            to = self.recipient()
            client.send(f'MAIL FROM:<{passage.SENDER}>\r\nRCPT TO:<{to}>\r\n'
                        'DATA\r\n'.encode() + HEAD + b'text' + ending + EVIL
                        + b'.\r\n')
            replies = [client.reply() for _ in range(4)]
            self.assertEqual([r[:3] for r in replies],
                             ['250', '250', '354', '554'])
            self.assertTrue(replies[3].startswith(passage.REFUSED))
            self.assertFalse(self.came_to(to))
        self.check_end(client)

    def test_true_end(self):
        """What stands behind a true end is a transaction of its own, not a
        part of the first; in all segments."""
        client = self.client()
        data = HEAD + b'text\r\n.\r\n'
        first, reply = self.raw(client, data)
        for cut in range(len(data) - 6, len(data)):
            to, reply = self.raw(client, data, (cut,))
            self.assertTrue(reply.startswith('250 '), reply)
            self.relay.wait_empty()
            self.assert_passed(to, HEAD + b'text\r\n')
        self.relay.wait_empty()
        self.assert_passed(first, HEAD + b'text\r\n')
        self.assert_clean()


class ByChunks(passage.Passage):
    """BDAT under chunking = "strict" is as strict as DATA."""

    listener = {'chunking': 'strict'}

    def setUp(self):
        self.reader = self.client()

    def chunked(self, data):
        """The ways to cut it: whole, and at every place of its middle."""
        at = len(HEAD) + 4
        yield (data,)
        for cut in range(at, min(at + 8, len(data))):
            yield data[:cut], data[cut:]
        yield data, b''

    def test_corpus(self):
        for ending in CORPUS:
            for chunks in self.chunked(HEAD + b'text' + ending + EVIL):
                to, reply = self.bdat(self.reader, *chunks)
                self.assertTrue(reply.startswith(passage.REFUSED),
                                (reply, ending))
                self.assertFalse(self.came_to(to))
        self.assertEqual(self.relay.waiting(), 0)

    def test_dots_are_not_stuffed(self):
        """In BDAT CRLF.CRLF is text, and goes out stuffed."""
        body = HEAD + b'.\r\n..\r\n.x\r\n' + EVIL + b'.\r\n'
        sent = [self.bdat(self.reader, *chunks)
                for chunks in self.chunked(body)]
        for _, reply in sent:
            self.assertTrue(reply.startswith('250 '), reply)
        self.relay.wait_empty()
        for to, _ in sent:
            self.assert_passed(to, body)
        self.assertFalse(self.came_to('evil@example.net'))
        self.assert_clean()

    def test_no_final_line_end(self):
        """It comes out as it is or not at all."""
        for tail in (b'x', b'.', b'\r\n.', b''):
            body = HEAD[:-2] * (tail == b'') + HEAD + tail
            self.unchanged_or_not_at_all(body)
        self.unchanged_or_not_at_all(b'Subject: x')

    def unchanged_or_not_at_all(self, body):
        to, reply = self.bdat(self.reader, body)
        if not reply.startswith('250 '):
            self.assertEqual(reply[:1], '5', reply)
            self.assertFalse(self.came_to(to))
            return
        self.relay.wait_empty()
        if self.came_to(to):
            self.assert_passed(to, body)
        else:
            self.assertEqual(self.outcome(to)[0], 'failed')


class Passthrough(ByChunks):
    """chunking = "passthrough" to a next hop that takes BDAT: as it came."""

    listener = {'chunking': 'passthrough'}
    sink = passage.ChunkSink

    def test_corpus(self):
        sent = []
        for ending in CORPUS:
            body = HEAD + b'text' + ending + EVIL
            sent += [(*self.bdat(self.reader, *chunks), body)
                     for chunks in self.chunked(body)]
        self.relay.wait_empty()
        for to, reply, body in sent:
            if reply.startswith('250 '):
                self.assert_passed(to, body)
            else:
                # NUL is no text, whatever is passed through.
                self.assertIn(b'\0', body)
                self.assertFalse(self.came_to(to))
        self.assertFalse(self.came_to('evil@example.net'))

    def assert_clean(self):
        """Chunks may hold anything."""

    def test_data_is_strict(self):
        """Passed through is what comes by BDAT only."""
        for ending in CORPUS:
            _, reply = self.raw(self.reader, HEAD + ending + EVIL + b'.\r\n')
            self.assertTrue(reply.startswith(passage.REFUSED), reply)


class NoWayOut(ByChunks):
    """chunking = "passthrough" to a next hop without BDAT: such mail fails
    with 5.6.11, and nothing of it goes out by DATA."""

    listener = {'chunking': 'passthrough'}

    def test_corpus(self):
        sent = [self.bdat(self.reader, HEAD + b'text' + ending + EVIL)
                for ending in CORPUS]
        self.relay.wait_empty()
        taken = [to for to, reply in sent if reply.startswith('250 ')]
        self.assertGreater(len(taken), len(CORPUS) // 2)
        for to in taken:
            self.assertFalse(self.came_to(to))
            self.assertEqual(self.outcome(to), ('failed', '5.6.11'))
        self.assertFalse(self.came_to('evil@example.net'))
        self.assert_clean()


if __name__ == '__main__':
    unittest.main()
