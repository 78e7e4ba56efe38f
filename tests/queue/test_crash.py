# SPDX-License-Identifier: ISC
"""A 250 is a promise on disk: whatever was accepted survives SIGKILL, and
what may have been delivered twice is marked."""

import threading
import unittest

import scene
from harness import sender


class Crash(scene.Scene):
    queue = {'retry': ['1h']}

    def send_until_killed(self, size):
        """Several clients send until relayd is gone; notes every 250."""
        stop = threading.Event()

        def work():
            while not stop.is_set():
                try:
                    self.ledger.expect(sender.send_many(
                        self.relay.host, self.relay.port, 1, size=size,
                        connections=1))
                except (OSError, AssertionError):
                    return
        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads:
            t.start()
        enough = len(self.ledger.sent) + 10
        scene.net.wait_for('some mail is accepted',
                           lambda: len(self.ledger.sent) >= enough, 60, 0.01)
        self.relay.kill()
        stop.set()
        for t in threads:
            t.join()
        self.relay.start()

    def test_accepted_mail_survives(self):
        self.refuse_all()
        for size in (1500, 300000, 1500):
            self.send_until_killed(size)
        listed = {row['id'] for row in self.relay.ctl_json('queue', 'list')}
        lost = {s.id for s in self.ledger.sent.values()} - listed
        self.assertFalse(lost)
        # A message whose 250 did not get out may be there as well.
        self.assertLessEqual(len(listed) - len(self.ledger.sent), 12)
        self.accept_all()
        self.relay.ctl('resubmit', '--all', '--yes')
        self.relay.wait_empty()
        for arrival in self.hop.arrivals:
            self.ledger.arrived(arrival.data)
        self.ledger.wrong = [w for w in self.ledger.wrong
                             if not w.startswith('never sent')]
        self.ledger.check()
        self.end()


class Uncertain(scene.Scene):
    queue = {'retry': ['1s', '1h'], 'probe': '1s'}

    def test_lost_after_the_final_dot(self):
        """The next hop has the message, its answer was lost: it comes twice
        and the history says why."""
        self.hop.behaviour.drop_at_dot = 1
        sent = self.send(1)
        self.hop.wait(2)
        self.relay.wait_empty()
        self.assertEqual(self.relay.uncertain([sent[0].id]), {sent[0].id})
        self.check_books(may_repeat={sent[0].id})
        self.end()

    def test_killed_behind_the_final_dot(self):
        """The next hop has said 250 and relayd ends before it knows, under
        load: whatever comes twice is marked, and nothing else is."""
        killing, killed = threading.Event(), threading.Event()

        def dot(arrival):
            if len(self.hop.arrivals) == 40 and not killing.is_set():
                killing.set()
                self.relay.kill()
                killed.set()
            return '250 2.0.0 Ok'
        self.refuse_all()
        self.send(200)
        self.wait_states(deferred=200)
        self.hop.behaviour.dot = dot
        self.accept_all()
        self.relay.ctl('resubmit', '--all', '--yes', expect=None)
        scene.net.wait_for('relayd was killed', killed.is_set)
        self.relay.start()
        self.relay.wait_empty()
        marked = self.relay.uncertain(
            {s.id for s in self.ledger.sent.values()})
        self.assertTrue(marked)
        # What was answered, and one on each connection.
        self.assertLessEqual(len(marked), 40 + 20)
        self.check_books(may_repeat=marked)
        self.assertTrue(self.ledger.repeated())
        self.end()

    def test_nothing_is_under_way_after_a_stop(self):
        self.send(20)
        self.hop.wait(20)
        self.relay.wait_empty()
        self.relay.kill()
        self.relay.start()
        self.relay.stop()
        self.assertNotIn('uncertain', self.relay.log())

    def test_shown_while_it_waits(self):
        self.hop.behaviour.drop_at_dot = 1000
        sent = self.send(1)
        scene.net.wait_for('marked', lambda: [
            row['id'] for row in self.relay.ctl_json('queue', 'list')
            if row['uncertain']] == [sent[0].id])
        row, = self.relay.ctl_json('queue', 'list', '--uncertain')
        self.assertEqual(row['cause'], 'connection-lost')
        self.end()


if __name__ == '__main__':
    unittest.main()
