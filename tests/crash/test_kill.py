# SPDX-License-Identifier: ISC
"""The short run of `make crash`: some kills at fault points and at any moment,
then the audit.  Which points come is left to chance; the seed is printed."""

import random
import unittest

import storm


class Kill(unittest.TestCase):
    def test_nothing_is_lost(self):
        seed = random.SystemRandom().getrandbits(32)
        chance = random.Random(seed)
        names = storm.points()
        self.assertIn('queue:after-commit', names)
        plan = chance.sample(names, 10) + [None] * 5
        chance.shuffle(plan)
        print(f'seed {seed}: {plan}')
        done, audit = storm.once(chance, plan)
        print(f'measured: {done.kills} kills: {audit}')
        self.assertEqual(done.kills, len(plan))
        self.assertTrue(audit.accepted)
        self.assertFalse(audit.faults())


class Books(unittest.TestCase):
    """The auditor sees what it is for."""

    def audit(self, arrivals, events, notices=()):
        sent = [{'begun': 'k', 'bytes': 1, 'sha256': 'x',
                 'recipients': ['a@b']},
                {'accepted': 'k', 'id': 'I'}]
        lines = [{'id': 'I', 'recipients': ['a@b'], 'key': 'k',
                  'sha256': sha, 'trace': True} for sha in arrivals]
        lines += [{'id': n, 'recipients': ['s@b'], 'about': 'I',
                   'told': ['a@b']} for n in notices]
        told = storm.books.History(
            [{'event': event, 'recipient': 'a@b', 'uncertain': uncertain}
             for event, uncertain in events])
        mail = storm.books.History([{'event': 'delivered',
                                     'recipient': 's@b'}])
        return storm.books.Audit(
            sent, lines, lambda i: told if i == 'I' else mail)

    def test_all_is_well(self):
        self.assertFalse(self.audit('x', [('delivered', False)]).faults())

    def test_lost(self):
        for audit in (self.audit('', []),
                      self.audit('', [('delivered', False)]),
                      self.audit('', [('failed', False)])):
            self.assertTrue(audit.lost)

    def test_told(self):
        failed = [('failed', False)]
        self.assertFalse(self.audit('', failed, 'N').faults())
        self.assertTrue(self.audit('', failed, 'NM').wrong)

    def test_duplicates(self):
        self.assertTrue(self.audit('xx', [('delivered', False)]).unmarked)
        marked = self.audit('xx', [('deferred', True), ('delivered', False)])
        self.assertFalse(marked.faults())
        self.assertEqual(marked.marked, 1)

    def test_altered(self):
        self.assertTrue(self.audit('y', [('delivered', False)]).altered)


if __name__ == '__main__':
    unittest.main(verbosity=2)
