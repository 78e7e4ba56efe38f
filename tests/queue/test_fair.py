# SPDX-License-Identifier: ISC
"""A destination that is dead, in whatever way, delays no other."""

import unittest

import scene
from harness import net
from harness.relay import Relay, route
from harness.sink import Sink


class Fair(scene.Scene):
    dead = 500
    alive = 100

    def setUp(self):
        super().setUp()
        self.relay.stop()
        self.silent = Sink()
        self.addCleanup(self.silent.close)
        self.silent.behaviour.starttls = 'stall'

    def check_alive(self, address):
        """Mail for one destination passes by what waits for another."""
        relay = Relay(route('dead', domains=['dead.example.net'],
                            hosts=[address], tls='off'),
                      *self.sections())
        self.addCleanup(relay.close)
        self.relay = relay
        recipients = ('bob@dead.example.net',)
        self.send(self.dead, recipients=recipients)
        self.ledger.sent.clear()
        self.send(self.alive)
        self.hop.wait(self.alive)
        net.wait_for('only the dead are left',
                     lambda: self.relay.waiting() == self.dead, 30)
        for arrival in self.hop.arrivals:
            self.ledger.arrived(arrival.data)
        self.ledger.check()
        self.assertFalse(self.silent.arrivals)

    def test_refused(self):
        self.check_alive(f'[{net.own_host()}]:{net.free_port()}')
        self.relay.wait_deferred(self.dead, 'connect-refused')
        self.relay.stop()

    def test_silent_after_connect(self):
        """Connections are accepted, and then nothing is said."""
        self.silent.behaviour.hung.set()
        self.check_alive(self.silent.address)

    def test_slow(self):
        """A minute for each message."""
        self.silent.behaviour.pause_s = 60
        self.check_alive(self.silent.address)


if __name__ == '__main__':
    unittest.main()
