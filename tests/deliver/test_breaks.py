# SPDX-License-Identifier: ISC
"""Connections that end or answer out of turn while a message is on its way."""

import unittest

from scene import ASCII, Scene

LARGE = ASCII + (b'x' * 76 + b'\r\n') * 40000


class Breaks(Scene):

    def test_uncertain(self):
        """RFC 5321 4.5.4.1, 6.1: after the final dot nobody knows; it is
        marked and sent again."""
        sink = self.sink(drop_at_dot=1)
        relay = self.relay(sink)
        message = self.send(relay)
        event = self.last(relay, message, 'deferred')
        self.assertTrue(event['uncertain'])
        self.assertEqual(event['cause'], 'connection-lost')
        listed, = relay.ctl_json('queue', 'list', '--uncertain')
        self.assertEqual((listed['id'], listed['uncertain']),
                         (message, True))
        self.resubmit(relay)
        event = self.last(relay, message, 'delivered')
        self.assertFalse(event['uncertain'])
        self.assertEqual(len(sink.arrivals), 2)
        relay.stop()

    def test_break_condemns_only_the_message(self):
        sink = self.sink(drop_at_dot=1)
        relay = self.relay(sink)
        self.last(relay, self.send(relay), 'deferred')
        self.last(relay, self.send(relay), 'delivered')
        relay.stop()

    def early(self, reply, kind):
        sink = self.sink(early=(50000, reply))
        relay = self.relay(sink)
        event = self.last(relay, self.send(relay, LARGE), kind)
        self.assertFalse(event['uncertain'])
        self.assertEqual(len(self.arrivals(sink)), 0)
        sink.behaviour.early = None
        self.last(relay, self.send(relay), 'delivered')
        relay.stop()
        return event['cause']

    def test_refused_while_it_is_sent(self):
        """It closes its half of the connection then, and reads on."""
        self.assertEqual(self.early('552 5.3.4 Too big', 'failed'),
                         'too-large')

    def test_deferred_while_it_is_sent(self):
        self.assertEqual(self.early('452 4.3.1 No room', 'deferred'),
                         'peer-deferred')


if __name__ == '__main__':
    unittest.main()
