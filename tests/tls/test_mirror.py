# SPDX-License-Identifier: ISC
"""relayd looks at its own listeners as a strict sender would."""

import unittest

import keeper
from harness import net


class Mirror(keeper.Keeper):

    def seen(self):
        return [(f['outcome'], f['level'])
                for f in self.facts('event=listener-seen')]

    def wait_seen(self, *wanted):
        try:
            net.wait_for(f'{wanted}', lambda: self.seen() == list(wanted))
        except net.TimedOut as e:
            raise net.TimedOut(f'{e}; instead {self.seen()}\n'
                               + self.relay.log()[-4000:]) from None

    def listeners(self):
        return self.status()['listeners']

    def end(self):
        """Our own visits are nobody's trouble."""
        for word in ('event=refused', 'connection-lost', 'tls-failed'):
            self.assertNotIn(word, self.relay.log())
        super().end()


class Private(Mirror):
    """A CA of our own is worth a word, no alarm."""

    tls = 'opportunistic'

    def setUp(self):
        self.listener = {'tls': self.tls}
        super().setUp()

    def test_private(self):
        self.wait_seen(('private', 'info'))
        row, = self.listeners()
        self.assertEqual((row['kind'], row['name'], row['address']),
                         ('listener', 'in',
                          f'{self.relay.host}:{self.relay.port}'))
        self.assertEqual(row['names'], keeper.NAME)
        self.assertIn('trusted by trust "ours"', row['text'])
        self.assertIn(row, self.relay.ctl_json('cert', 'list'))
        self.assertIn('trusted by trust', self.relay.ctl('status').stdout)
        self.assertNotIn('strict', self.relay.ctl('status').stdout)
        # The same again is no news.
        before = row['last_seen']
        self.relay.ctl('reload')
        net.wait_for('it is looked at again',
                     lambda: self.listeners()[0]['last_seen'] > before)
        self.assertEqual(len(self.seen()), 1)
        self.end()


class Forced(Private):
    tls = 'forced'


class Implicit(Private):
    tls = 'implicit'


class Faulty(Mirror):
    """What a sender would refuse is found without a sender."""

    def test_renewed(self):
        self.wait_seen(('private', 'info'))
        self.install(self.ca.issue('wrong', 'other.example.com'))
        self.wait_seen(('private', 'info'), ('faulty', 'warn'))
        row, = self.listeners()
        self.assertIn(f'expected {keeper.NAME}', row['text'])
        self.assertIn('a listener that strict senders refuse',
                      self.relay.ctl('status').stdout)
        self.install(self.ca.issue('late', keeper.NAME, begins=-9, ends=-1))
        self.wait_seen(('private', 'info'), ('faulty', 'warn'),
                       ('faulty', 'warn'))
        self.assertIn('expired', self.listeners()[0]['text'])
        self.install(self.other_ca.issue('strange', keeper.NAME))
        net.wait_for('private', lambda: self.listeners()[0]['outcome']
                     == 'private')
        self.assertIn('nor by a trust of ours', self.listeners()[0]['text'])
        self.assertNotIn('strict', self.relay.ctl('status').stdout)
        self.end()


class NoClient(Mirror):
    """It is let in where clients would have to wait, and takes no place from
    them."""

    listener = {'max_connections': 1, 'max_connections_per_client': 1,
                'proxy_protocol': ['127.0.0.0/8']}

    def test_limits(self):
        self.wait_seen(('private', 'info'))
        self.relay.reload(*self.sections())
        before = self.listeners()[0]['last_seen']
        net.wait_for('it is looked at again',
                     lambda: self.listeners()[0]['last_seen'] != before)
        self.end()

    def test_one_client(self):
        self.wait_seen(('private', 'info'))
        self.relay.listener['proxy_protocol'] = []
        self.relay.reload(*self.sections())
        client = self.client()
        before = self.listeners()[0]['last_seen']
        self.install(self.new)
        net.wait_for('it is looked at again',
                     lambda: self.listeners()[0]['last_seen'] != before)
        self.assertEqual(self.listeners()[0]['outcome'], 'private')
        self.assertTrue(client.ask('NOOP').startswith('250'))
        client.close()
        self.end()


class Everywhere(Mirror):
    """Bound to all addresses it is reached over the loopback."""

    def setUp(self):
        self.port = net.free_port('127.0.0.1')
        self.listener = {'address': [f'0.0.0.0:{self.port}']}
        super().setUp()

    def test_all_addresses(self):
        self.wait_seen(('private', 'info'))
        self.assertEqual(self.listeners()[0]['address'],
                         f'0.0.0.0:{self.port}')
        self.end()


class WithoutTls(Mirror):
    listener = {'tls': 'off'}

    def test_not_looked_at(self):
        self.relay.ctl('reload')
        self.wait_log('event=reloaded')
        self.assertEqual(self.listeners(), [])
        self.assertEqual(self.seen(), [])
        self.end()


if __name__ == '__main__':
    unittest.main()
