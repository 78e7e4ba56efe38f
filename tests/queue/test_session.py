# SPDX-License-Identifier: ISC
"""What a client may say to relayd, and what not: over a real socket."""

import unittest

import scene
from harness import net, sender
from harness.relay import section

BODY = b'Subject: x\r\n\r\nbody\r\n'
TO = 'bob@example.net'


class Session(scene.Scene):
    listener = {'max_message_size': '64K', 'max_recipients': 3,
                'max_connections_per_client': 5}

    def begin(self, client):
        client.ask('MAIL FROM:<alice@example.com>', '250')
        client.ask(f'RCPT TO:<{TO}>', '250')
        client.ask('DATA', '354')

    def test_pipelined_messages(self):
        """The end of a message, the whole next envelope and its DATA come
        in one packet, and QUIT with the last."""
        envelope = (b'MAIL FROM:<a@example.com>\r\n'
                    b'RCPT TO:<b@example.net>\r\nDATA\r\n')
        with self.client() as client:
            client.send(envelope)
            for last in (False, False, True):
                self.assertEqual([client.reply()[:3] for _ in range(3)],
                                 ['250', '250', '354'])
                client.send(BODY + b'.\r\n'
                            + (b'QUIT\r\n' if last else envelope))
                self.assertTrue(client.reply().startswith('250 2.0.0 '))
            self.assertTrue(client.reply().startswith('221 '))
            self.assertEqual(client.reply(), '')
        self.hop.wait(3)
        self.relay.wait_empty()
        self.end()

    def smuggle(self, ending):
        """A second message hidden behind an ending that is none."""
        with self.client() as client:
            self.begin(client)
            client.send(b'Subject: x\r\n\r\nfirst' + ending
                        + b'MAIL FROM:<evil@example.com>\r\n'
                          b'RCPT TO:<b@example.net>\r\nDATA\r\n'
                          b'Subject: smuggled\r\n\r\nsecond\r\n.\r\n')
            reply = client.reply()
            self.assertTrue(reply.startswith('554 5.6.11 '), reply)
        self.assertEqual(self.relay.waiting(), 0)
        self.assertFalse(self.hop.arrivals)

    def test_smuggling(self):
        for ending in (b'\n.\n', b'\n.\r\n', b'\r\n.\n', b'\r.\r', b'\r.\r\n',
                       b'\r\n.\r', b'\n.\r', b'\r\n\x00.\r\n', b'\n\n.\r\n'):
            with self.subTest(ending=ending):
                self.smuggle(ending)
        self.end()

    def test_dots_pass(self):
        data = b'X-Dots: 1\r\n\r\n.\r\n..\r\n...\r\n.x\r\n'
        with self.client() as client:
            reply = client.deliver('a@example.com', [TO], data)
            self.assertTrue(reply.startswith('250 '), reply)
        self.hop.wait(1)
        self.assertTrue(self.hop.arrivals[0].data.endswith(b'\r\n' + data))
        self.end()

    def test_too_large(self):
        with self.client() as client:
            self.assertTrue(client.ask(
                'MAIL FROM:<a@example.com> SIZE=65537').startswith('552 '))
            # Who does not declare it is stopped all the same.
            _, data = sender.message(70000)
            reply = client.deliver('a@example.com', [TO], data)
            self.assertTrue(reply.startswith('552 '), reply)
            client.ask('NOOP', '250')
        self.assertFalse(self.hop.arrivals)
        self.assertEqual(self.relay.waiting(), 0)
        self.end()

    def test_too_many_recipients(self):
        with self.client() as client:
            client.ask('MAIL FROM:<a@example.com>', '250')
            for n in range(3):
                client.ask(f'RCPT TO:<b{n}@example.net>', '250')
            reply = client.ask('RCPT TO:<b3@example.net>')
            self.assertTrue(reply.startswith('452 '), reply)
            client.ask('DATA', '354')
            client.send(BODY + b'.\r\n')
            self.assertTrue(client.reply().startswith('250 '))
        self.relay.wait_empty()
        self.assertEqual(sum(len(a.recipients) for a in self.hop.arrivals),
                         3)
        self.end()

    def test_too_many_connections(self):
        clients = [self.client() for _ in range(5)]
        extra = self.client(hello=False)
        self.assertTrue(extra.greeting.startswith('421 '), extra.greeting)
        clients[0].close()

        def free():
            with sender.Client(self.relay.host, self.relay.port) as client:
                return client.greeting.startswith('220 ')
        net.wait_for('a connection is free again', free, 10)
        for client in clients:
            client.close()
        self.end()

    def test_too_many_errors(self):
        with self.client() as client:
            replies = []
            for _ in range(1000):
                try:
                    replies.append(client.ask('NONSENSE'))
                except OSError:
                    break
                if not replies[-1] or replies[-1].startswith('421'):
                    break
            self.assertTrue(replies[-1].startswith('421'), replies[-1])
            self.assertLess(len(replies), 100)
        self.end()

    def test_busy_client_gone(self):
        """A client that goes away in the middle leaves nothing behind."""
        for part in (b'', b'Subject: x\r\n', b'x' * 30000, BODY + b'.'):
            with self.client() as client:
                self.begin(client)
                client.send(part)
        with self.client() as client:
            client.ask('NOOP', '250')
        self.assertEqual(self.relay.waiting(), 0)
        self.end()


class Source(scene.Scene):
    """Whoever no source names may not relay."""

    def test_stranger(self):
        self.relay.stop()
        self.relay.sources = section('source', 'elsewhere',
                                     {'networks': ['192.0.2.0/24']})
        self.relay.configure(*self.sections())
        self.relay.start()
        with self.client() as client:
            client.ask('MAIL FROM:<a@example.com>', '250')
            reply = client.ask(f'RCPT TO:<{TO}>')
            self.assertTrue(reply.startswith('550 5.7.1 '), reply)
        self.end()


class Full(scene.Scene):
    queue = {'max_size': '16M', 'retry': ['1h']}

    def test_full_and_drained(self):
        """A full queue says 452, loses nothing, and takes mail again when
        there is room."""
        self.refuse_all()
        with self.assertRaises(sender.Refused) as refused:
            for _ in range(1000):
                self.send(1, size=100000, connections=1)
        self.assertTrue(refused.exception.reply.startswith('452 4.3.1 '),
                        refused.exception.reply)
        self.assertGreater(len(self.ledger.sent), 20)
        self.accept_all()
        self.relay.ctl('resubmit', '--all', '--yes')
        self.relay.wait_empty()
        self.send(5, size=100000)
        self.check_books()
        self.end()


if __name__ == '__main__':
    unittest.main()
