# SPDX-License-Identifier: ISC
"""What a sender is told as time passes: of a delay, once; and of the end of
trying, after which the mail can still be delivered."""

import collections
import unittest

import bounce

MANY = 1000


class Delay(bounce.Bounces):
    queue = {**bounce.Bounces.queue, 'warn_after': '2s', 'lifetime': '1h'}

    def check(self):
        self.home.wait(1, 30)
        notice = bounce.Notice(self.home.arrivals[0])
        bob, carl = notice.about[1:]
        self.assertEqual(bob['Final-Recipient'], 'rfc822; bob@example.net')
        self.assertEqual(bob['Action'], 'delayed')
        self.assertEqual(bob['Status'][0], '4')
        self.assertTrue(bob['Will-Retry-Until'])
        self.assertEqual(carl['Action'], 'delayed')
        self.assertEqual(notice.original.get_content_type(),
                         'text/rfc822-headers')
        self.assertEqual(notice.message['Auto-Submitted'], 'auto-replied')
        self.assertIn('NOT NEED TO SEND IT AGAIN',
                      ' '.join(notice.words.split()))
        self.assertEqual(bounce.read_flufl(notice.arrival)[1], set())
        with self.assertRaises(bounce.scene.net.TimedOut):
            self.home.wait(2, 4)
        # Nor after a restart.
        self.relay.stop()
        self.relay.start()
        with self.assertRaises(bounce.scene.net.TimedOut):
            self.home.wait(2, 3)

    def test_is_told_once(self):
        self.refuse_all()
        self.submit('bob@example.net', 'carl@example.net')
        self.check()
        self.accept_all()
        self.hop.wait(1, 30)
        self.end()

    def test_is_told_while_the_destination_fails(self):
        self.hop.behaviour.banner = '421 4.3.2 closed for today'
        self.submit('bob@example.net', 'carl@example.net')
        self.check()
        self.end()

    def test_an_empty_sender_never_hears_of_it(self):
        self.refuse_all()
        self.submit('bob@example.net', sender='')
        with self.assertRaises(bounce.scene.net.TimedOut):
            self.office.wait(1, 5)
        self.end()


class NoDelay(bounce.Bounces):
    queue = {**bounce.Bounces.queue, 'warn_after': '2s'}
    out = {'warn_after': 0}

    def test_a_route_may_be_silent(self):
        self.refuse_all()
        self.submit('bob@example.net')
        with self.assertRaises(bounce.scene.net.TimedOut):
            self.home.wait(1, 5)
        self.end()


class HeldClock(bounce.Bounces):
    queue = {**bounce.Bounces.queue, 'warn_after': '1s', 'lifetime': '2s',
             'hold_clock': '1d', 'probe': '1s'}
    out = {'tls': 'forced', 'verify': 'none'}

    def test_one_notice_while_the_clock_stands(self):
        self.submit('bob@example.net')
        self.home.wait(1, 30)
        with self.assertRaises(bounce.scene.net.TimedOut):
            self.home.wait(2, 5)
        notice = bounce.Notice(self.home.arrivals[0])
        self.assertEqual(notice.about[1]['X-Relayd-Cause'],
                         'tls-not-offered')
        self.assertIn('secure connection', ' '.join(notice.words.split()))
        self.assertEqual(self.states(), {'deferred': 1})
        self.end()


class Expiry(bounce.Bounces):
    queue = {**bounce.Bounces.queue, 'lifetime': '2s', 'probe': '1h'}

    def test_a_thousand_expire_are_told_and_delivered_after_all(self):
        self.refuse_all()
        sent = self.send(MANY)
        self.wait_states(expired=MANY)
        self.home.wait(MANY, 60)
        told = collections.Counter()
        for arrival in self.home.arrivals:
            notice = bounce.Notice(arrival)
            self.assertEqual(bounce.read_flufl(arrival)[1],
                             {b'bob@example.net'})
            self.assertEqual(notice.about[1]['Action'], 'failed')
            self.assertEqual(notice.about[1]['Status'], '4.4.7')
            original, = notice.original.get_payload()
            told[original['X-Ledger']] += 1
        self.assertEqual(told, {s.key: 1 for s in sent})
        self.accept_all()
        done = self.relay.ctl('resubmit', '--expired', '--yes').stdout
        self.assertIn(f'resubmitted {MANY} recipients in {MANY} messages',
                      done.replace(',', ''))
        self.assertIn('already told of failure', done)
        self.hop.wait(MANY, 60)
        self.check_books()
        self.end()

    def test_all_recipients_of_a_message_in_one_notice(self):
        self.refuse_all()
        self.submit(*[f'r{i}@example.net' for i in range(20)])
        self.home.wait(1, 30)
        self.wait_states(expired=20)
        self.assertEqual(len(self.home.arrivals), 1)
        self.assertEqual(
            len(bounce.Notice(self.home.arrivals[0]).about), 21)
        row, = self.relay.ctl_json('resubmit', '--expired', '--yes')
        self.assertEqual((row['recipients'], row['told']), (20, 20))
        self.end()


if __name__ == '__main__':
    unittest.main()
