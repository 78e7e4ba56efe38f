# SPDX-License-Identifier: ISC
"""Whether the queue is well: every row and checksum, the books, and mail that
nobody works for."""

import unittest

import desk


class Verify(desk.Desk):

    def flip(self, needle):
        """Damages every place in the stopped queue's file that holds these
        bytes: pages that are no longer used may have copies."""
        self.relay.stop()
        path = f'{self.relay.queue["path"]}/queue.mdb'
        with open(path, 'r+b') as f:
            data = f.read()
            at = data.find(needle)
            self.assertGreaterEqual(at, 0)
            while at >= 0:
                f.seek(at)
                f.write(bytes(b ^ 1 for b in needle))
                at = data.find(needle, at + 1)
        self.relay.start()

    def test_a_sound_queue(self):
        sent = self.defer(5)
        self.relay.ctl('hold', sent[0].id)
        self.relay.ctl('remove', '--purge', sent[1].id)
        row = self.ask('queue', 'verify')
        self.assertEqual(row['faults'], 0)
        self.assertGreater(row['rows'], 20)
        self.assertGreater(row['bytes'], 0)
        text = self.relay.ctl('queue', 'verify').stdout
        self.assertRegex(text, r'^no fault in \d+ rows and .* of mail\n$')
        row = self.ask('check', 'queue')
        self.assertTrue(row['ok'] and row['conserved'])
        self.assertEqual((row['accepted'], row['places']['deferred'],
                          row['places']['held'], row['gone']['removed'],
                          row['overdue']), (5, 3, 1, 1, 0))
        text = self.relay.ctl('check', 'queue').stdout
        self.assertEqual(text.splitlines(), [
            'conserved: 5 accepted = 0 queued + 3 deferred + 1 held + '
            '0 delivered + 0 expired + 0 failed, and gone: 0 delivered '
            '0 expired 0 failed 1 removed', 'overdue: none'])
        self.assertTrue(self.ask('status')['sentinel']['ok'])
        self.end()

    def test_a_damaged_body(self):
        sent = self.defer(3)
        self.flip(f'Subject: number {sent[1].key[:8]}'.encode())
        rows = self.relay.ctl_json('queue', 'verify', expect=1)
        self.assertEqual([(r['id'], r['fault']) for r in rows[:-1]],
                         [(sent[1].id, 'its body is damaged at 0')])
        self.assertEqual(rows[-1]['faults'], 1)
        text = self.relay.ctl('queue', 'verify', expect=1).stdout
        self.assertEqual(text.splitlines()[0],
                         f'{sent[1].id}: its body is damaged at 0')
        self.assertIn('event=fault', self.relay.log())
        self.end()


if __name__ == '__main__':
    unittest.main()
