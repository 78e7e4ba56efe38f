# SPDX-License-Identifier: ISC
"""Somebody sets the clock of the machine by a day, while relayd runs or while
it does not: no mail expires for that, no sender is told of a delay, and
nothing waits for the clock to come back."""

import os
import shutil
import unittest

import scene
from harness import fault, net

DAY_S = 24 * 3600
SOME = 10


class Clock(scene.Scene):
    """A pause is long enough that nothing is tried again by itself, and a day
    is longer than mail lives."""

    queue = {'lifetime': '12h', 'warn_after': '8h', 'retry': ['30m'],
             'keep_delivered': '1h', 'keep_expired': '20h'}

    def setUp(self):
        self.files = net.temp_dir('clock')
        self.addCleanup(shutil.rmtree, self.files, ignore_errors=True)
        # Who gives up root must be able to read it.
        os.chmod(self.files, 0o755)
        self.clock = fault.Clock(self.files)
        self.environment = self.clock.environment
        self.ahead_s = 0
        super().setUp()

    def jumped(self, times=1):
        net.wait_for('the jump is noticed', lambda: self.relay.log().count(
            'event=clock-jumped') >= times, 60)

    def next_upkeep(self):
        """Lets the monotonic clock run on, so that what is done once a minute
        is done in the next turn, and has one."""
        self.ahead_s += 180
        self.clock.run_ahead(self.ahead_s)
        self.relay.ctl('check', 'queue')

    def defer_some(self):
        self.refuse_all()
        self.send(SOME)
        self.wait_states(deferred=SOME)

    def test_ahead(self):
        self.defer_some()
        self.clock.set_wall(DAY_S)
        # It is all due now, and tried: that does no harm.
        self.jumped()
        for _ in range(3):
            self.next_upkeep()
        self.wait_states(deferred=SOME)
        log = self.relay.log()
        self.assertNotIn('event=expired', log)
        self.assertNotIn('event=notice', log)
        self.accept_all()
        self.relay.ctl('resubmit', '--deferred', '--yes')
        self.check_books()
        self.end()

    def test_ahead_and_right_again(self):
        self.defer_some()
        self.clock.set_wall(DAY_S)
        self.jumped()
        # It is tried, and put off by the wrong clock.
        net.wait_for('all were tried', lambda: all(
            row['attempts'] >= 2
            for row in self.relay.ctl_json('queue', 'list')), 60)
        self.accept_all()
        self.clock.set_wall(0)
        self.jumped(2)
        # Nobody waits for tomorrow.
        self.check_books()
        self.end()

    def test_back(self):
        self.defer_some()
        self.accept_all()
        self.clock.set_wall(-DAY_S)
        self.jumped()
        self.check_books()
        self.end()

    def test_set_back_while_it_was_stopped(self):
        self.clock.set_wall(DAY_S)
        self.defer_some()
        self.relay.stop()
        self.accept_all()
        self.clock.set_wall(0)
        self.relay.start()
        self.check_books()
        self.end()


if __name__ == '__main__':
    unittest.main()
