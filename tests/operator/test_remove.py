# SPDX-License-Identifier: ISC
"""Removed mail goes to the dead letter, and from there back, or for good; and
mail is given more time."""

import unittest

import desk


class Remove(desk.Desk):

    def removed(self):
        """What status counts as removed for good."""
        return self.ask('status')['queue']['removed']

    def test_undone_by_name_or_cause(self):
        sent = self.defer(3)
        self.assertEqual(self.changed('remove', '--all'), (3, 3))
        self.wait_states(failed=3)
        for row in self.relay.ctl_json('queue', 'list'):
            self.assertEqual((row['cause'], row['reply']),
                             ('held', 'removed by an operator'))
        self.assertEqual(self.removed(), 0)
        self.accept_all()
        # Who wants what failed does not want what was removed.
        row = self.ask('resubmit', '--failed', expect=4)
        self.assertEqual(row['skipped'], {'removed': 3})
        self.assertEqual(self.changed('resubmit', sent[0].id), (1, 1))
        self.assertEqual(
            self.changed('resubmit', '--failed', '--cause', 'held'), (2, 2))
        self.check_books()
        self.end()

    def test_purge(self):
        sent = self.defer(3)
        self.assertEqual(self.changed('remove', sent[0].id), (1, 1))
        row = self.ask('remove', sent[0].id, expect=4)
        self.assertEqual(row['skipped'], {'failed': 1})
        self.assertEqual(self.changed('remove', '--purge', sent[0].id,
                                      sent[1].id), (2, 2))
        self.assertEqual(self.states(), {'deferred': 1})
        self.assertEqual(self.removed(), 2)
        events = [e['event'] for e in self.relay.ctl_json('trace', sent[0].id)]
        self.assertEqual(events[-2:], ['removed', 'removed'])
        # The history still knows whom it was for.
        received, *events = self.relay.ctl_json('trace', sent[1].id)
        self.assertEqual(len(received['recipients']), 1)
        for event in events:
            self.assertEqual(event['recipient'], received['recipients'][0])
            self.assertNotIn('@', event['address'])
        self.relay.ctl('resubmit', sent[0].id, expect=4)
        self.relay.ctl('hold', '--purge', sent[2].id, expect=2)
        self.end()

    def test_told_is_said(self):
        """A second delivery of what the sender was told has failed."""
        sent = self.defer(2)
        self.relay.ctl('remove', '--bounce', sent[0].id)
        self.relay.ctl('remove', sent[1].id)
        text = self.relay.ctl('resubmit', sent[0].id, sent[1].id,
                              '--dry-run').stdout
        self.assertIn('would resubmit 2 recipients in 2 messages', text)
        self.assertIn('the senders of 1 recipient were already told', text)
        self.end()


class Apart(desk.Desk):
    out = {'domains': ['example.net']}      # no way to tell the sender

    def test_what_failed_comes_back_without_what_was_removed(self):
        self.hop.behaviour.mail = lambda sender: '550 5.1.0 No'
        self.send(1)
        self.wait_states(failed=1)
        sent = self.defer_one_more()
        self.relay.ctl('remove', sent.id)
        del self.ledger.sent[sent.key]
        self.accept_all()
        self.assertEqual(self.changed('resubmit', '--failed', '--all'), (1, 1))
        self.check_books()
        self.assertEqual(self.states(), {'failed': 1})
        self.end()

    def defer_one_more(self):
        self.refuse_all()
        sent, = self.send(1)
        self.wait_states(failed=1, deferred=1)
        return sent


class Extend(desk.Desk):

    def test_by(self):
        sent = self.defer(2)

        def expiries():
            return {row['id']: row['expires'][:16]
                    for row in self.relay.ctl_json('queue', 'list')}
        before = expiries()
        self.assertEqual(self.changed('extend', sent[0].id, '--by', '1d'),
                         (1, 1))
        after = expiries()
        self.assertEqual(after[sent[1].id], before[sent[1].id])
        self.assertGreater(after[sent[0].id], before[sent[0].id])
        last = self.relay.ctl_json('trace', sent[0].id)[-1]
        self.assertEqual((last['event'], last['reply']), ('extended', 'by 1d'))
        self.relay.ctl('extend', '--all', expect=2)
        self.relay.ctl('extend', '--all', '--by', '0s', expect=2)
        self.relay.ctl('extend', '--by', '1d', expect=2)
        self.relay.ctl('extend', '--sender', 'nobody', '--by', '1d', expect=4)
        self.end()


if __name__ == '__main__':
    unittest.main()
