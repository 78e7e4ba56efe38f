# SPDX-License-Identifier: ISC
"""Many recipients are split into as many transactions as the next hop wants,
and every one of them gets the message exactly once."""

import unittest

from scene import ASCII, Scene, net

EHLO = ['PIPELINING', 'SIZE 0', '8BITMIME', 'ENHANCEDSTATUSCODES']


class Split(Scene):

    def deliver(self, n, **behaviour):
        """One message to n recipients; returns the sink and the sizes of the
        transactions that arrived, the largest first."""
        sink = self.sink(**behaviour)
        relay = self.relay(sink, queue={'keep_delivered': '0s'})
        names = [f'user{i}@example.net' for i in range(n)]
        message = self.send(relay, ASCII, names)
        relay.wait_empty()
        got = sorted(r for a in sink.arrivals for r in a.recipients)
        self.assertEqual(got, sorted(names))
        events = [e['event'] for e in relay.ctl_json('trace', message)]
        self.assertNotIn('deferred', events)
        relay.stop()
        return sink, sorted((len(a.recipients) for a in sink.arrivals),
                            reverse=True)

    def test_default(self):
        """RFC 5321 4.5.3.1.8: any server takes 100."""
        _, sizes = self.deliver(250, ehlo=EHLO)
        self.assertEqual(sum(sizes), 250)
        self.assertEqual(sizes[0], 100)

    def test_rcptmax(self):
        """RFC 9422: nothing is refused, for nothing over the limit is
        said."""
        sink, sizes = self.deliver(25, ehlo=EHLO + ['LIMITS RCPTMAX=10'],
                                   rcpt_limit=10)
        self.assertEqual(sizes, [10, 10, 5])
        said = sum(command.startswith('RCPT') for c in sink.connections
                   for command in c.commands)
        self.assertEqual(said, 25)

    def test_too_many(self):
        """RFC 5321 4.5.3.1.10: those refused as too many go at once, and the
        limit is learned."""
        sink, sizes = self.deliver(25, ehlo=EHLO, rcpt_limit=10)
        self.assertEqual(sizes, [10, 10, 5])

    def test_552_is_452(self):
        """RFC 5321 4.5.3.1.10: 552 at RCPT is a 452."""
        count = []

        def rcpt(_):
            count.append(1)
            return '250 Ok' if len(count) != 3 else '552 Too many'
        _, sizes = self.deliver(3, ehlo=EHLO, rcpt=rcpt)
        self.assertEqual(sizes, [2, 1])

    def test_one_alone_is_deferred(self):
        """Too many of one is no reason to try again at once."""
        sink = self.sink(rcpt=lambda _: '452 4.5.3 Too many recipients')
        relay = self.relay(sink)
        event = self.last(relay, self.send(relay), 'deferred')
        self.assertEqual((event['cause'], event['status']),
                         ('peer-deferred', '4.5.3'))
        self.assertEqual(len(sink.connections), 1)
        relay.stop()

    def test_mailmax(self):
        """RFC 9422: after so many transactions a new connection is made."""
        sink = self.sink(ehlo=EHLO + ['LIMITS MAILMAX=2 RCPTMAX=1'])
        relay = self.relay(sink, max_connections=1)
        message = self.send(relay, ASCII,
                            [f'u{i}@example.net' for i in range(6)])
        self.last(relay, message, 'delivered')
        sink.wait(6)
        per_connection = [sum(c.startswith('MAIL') for c in s.commands)
                          for s in sink.connections]
        self.assertEqual(per_connection, [2, 2, 2])
        # It is said, and nobody waits for the answer.
        net.wait_for('every connection ends with QUIT', lambda: all(
            s.commands[-1] == 'QUIT' for s in sink.connections), 30, 0.05)
        relay.stop()


if __name__ == '__main__':
    unittest.main()
