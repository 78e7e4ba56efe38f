# SPDX-License-Identifier: ISC
"""Mail copied into files, and from there into another queue or back: the same
mail, once."""

import hashlib
import json
import os
import unittest

import desk
from harness.relay import Relay

N = 8


class Export(desk.Desk):

    def setUp(self):
        super().setUp()
        self.dir = f'{self.relay.dir}/export'

    def other(self, **options):
        """A second node with the same next hop."""
        other = Relay(*self.sections(), queue=self.queue, **options)
        self.addCleanup(other.close)
        return other

    def files(self):
        return sorted(os.listdir(self.dir))

    def imported(self, relay, *args, expect=0):
        row, = relay.ctl_json('queue', 'import', *args, self.dir,
                              expect=expect)
        self.assertEqual(row['verb'], 'import')
        return row['messages'], row['present'], row['refused']

    def parcel(self, number):
        with open(f'{self.dir}/{number}.json', encoding='ascii') as f:
            return json.load(f)

    def test_files(self):
        """As received byte for byte, and all that is known beside it."""
        sent = self.defer(N)
        row = self.ask('queue', 'export', '--sender', 'alice@*', self.dir)
        self.assertEqual((row['messages'], row['gone'], row['failed']),
                         (N, 0, 0))
        self.assertEqual(self.files(), sorted(
            f'{s.id}.{suffix}' for s in sent for suffix in ('eml', 'json')))
        for s in sent:
            with open(f'{self.dir}/{s.id}.eml', 'rb') as f:
                self.assertEqual(hashlib.sha256(f.read()).hexdigest(),
                                 s.sha256)
        parcel = self.parcel(sent[0].id)
        self.assertEqual(parcel['sender'], 'alice@example.com')
        rcpt, = parcel['recipients']
        self.assertEqual((rcpt['address'], rcpt['state'], rcpt['cause'],
                          rcpt['attempts']),
                         ('bob@example.net', 'deferred', 'peer-deferred', 1))
        self.assertEqual(os.stat(f'{self.dir}/{sent[0].id}.eml').st_mode
                         & 0o777, 0o600)
        self.end()

    def test_moves_to_another_node(self):
        """Held here, delivered there; the second import finds it there."""
        sent = self.defer(N, recipients=('bob@example.net',
                                         'carol@example.net'))
        self.relay.ctl('hold', sent[0].id)
        self.relay.ctl('queue', 'export', self.dir)
        self.relay.stop()
        other = self.other()
        self.assertEqual(self.imported(other, '--dry-run'), (N, 0, 0))
        self.assertEqual(self.imported(other), (N, 0, 0))
        self.assertEqual(self.imported(other), (0, N, 0))
        rows = {r['id']: r for r in other.ctl_json('queue', 'list')}
        self.assertEqual(set(rows), {s.id for s in sent})
        self.assertEqual(rows[sent[0].id]['state'], 'held')
        audit = other.ctl_json('audit')
        self.assertEqual([(e['verb'], e['messages'], e['recipients'])
                          for e in audit], [('queue import', N, 2 * N)])
        self.accept_all()
        other.ctl('resubmit', '--held', '--deferred', '--yes')
        other.wait_empty()
        self.relay = other
        self.check_books()
        # Settled there, it is still not taken again.
        self.assertEqual(self.imported(other), (0, N, 0))
        other.stop()

    def test_back_into_the_same_queue(self):
        sent = self.defer(3)
        self.relay.ctl('queue', 'export', self.dir)
        self.assertEqual(self.imported(self.relay), (0, 3, 0))
        self.accept_all()
        self.relay.ctl('resubmit', '--all', '--yes')
        self.check_books()
        self.assertEqual(self.imported(self.relay), (0, 3, 0))
        # Purged by mistake: only --again brings it back, as another one.
        self.assertEqual(self.imported(self.relay, '--again'), (3, 0, 0))
        self.hop.wait(6)
        self.relay.wait_empty()
        self.assertEqual(len(sent), 3)
        self.end()

    def test_a_large_one_in_pieces(self):
        sent, = self.defer(1, size=3_000_000)
        self.relay.ctl('queue', 'export', self.dir)
        self.relay.stop()
        other = self.other()
        self.accept_all()
        self.assertEqual(self.imported(other), (1, 0, 0))
        self.relay = other
        self.check_books()
        other.stop()
        self.assertTrue(sent.id)

    def test_damage_is_refused(self):
        """Each is named, and the others are taken."""
        sent = self.defer(6)
        self.relay.ctl('queue', 'export', self.dir)
        self.relay.stop()
        names = [f'{self.dir}/{s.id}' for s in sent]

        def change(path, old, new):
            with open(path, 'rb') as f:
                data = f.read()
            self.assertIn(old, data)
            with open(path, 'wb') as f:
                f.write(data.replace(old, new, 1))
        change(names[0] + '.eml', b'Subject', b'sUbject')
        change(names[1] + '.eml', b'Subject', b'Sub')
        change(names[2] + '.eml', b'Subject', b'Subjects')
        change(names[3] + '.json', b'bob@', b'rob@')
        os.remove(names[4] + '.eml')
        with open(f'{self.dir}/x.json', 'w', encoding='ascii') as f:
            f.write('{"relayd_export": 1')
        other = self.other()
        done = other.ctl('queue', 'import', self.dir, expect=1)
        for name in [names[0] + '.json: damaged', names[1] + '.json: damaged',
                     names[2] + '.json: damaged', names[3] + '.json: damaged',
                     names[4] + '.eml: No such file', 'x.json: damaged']:
            self.assertIn(name, done.stderr)
        self.assertEqual(done.stdout.splitlines(),
                         ['imported 1 recipient in 1 message', '6 refused'])
        self.assertEqual([r['id'] for r in other.ctl_json('queue', 'list')],
                         [sent[5].id])
        self.assertEqual(other.ctl_json('queue', 'verify')[-1]['faults'], 0)
        # Who edits it on purpose says so.
        parcel = self.parcel(sent[3].id)
        del parcel['seal']
        parcel['recipients'][0]['address'] = 'rob@example.net'
        with open(names[3] + '.json', 'w', encoding='ascii') as f:
            json.dump(parcel, f)
        other.ctl('queue', 'import', self.dir, expect=1)
        row, = other.ctl_json('queue', 'list', '--recipient', 'rob@*')
        self.assertEqual(row['id'], sent[3].id)
        other.stop()

    def test_a_crash_in_the_middle(self):
        """What was imported is there, whole; the rest comes the next time."""
        self.defer(N)
        self.relay.ctl('queue', 'export', self.dir)
        self.relay.stop()
        other = self.other()
        first = self.files()[:6]
        for name in self.files()[6:]:
            os.rename(f'{self.dir}/{name}', f'{self.dir}/.{name}')
        self.assertEqual(self.imported(other), (3, 0, 0))
        other.kill()
        for name in os.listdir(self.dir):
            os.rename(f'{self.dir}/{name}', f'{self.dir}/{name.lstrip(".")}')
        other.start()
        self.assertEqual(self.imported(other), (N - 3, 3, 0))
        self.assertEqual(len(first), 6)
        self.relay = other
        self.wait_states(deferred=N)    # no attempt is under way
        self.accept_all()
        other.ctl('resubmit', '--all', '--yes')
        self.check_books()
        other.stop()

    def test_errors(self):
        self.relay.ctl('queue', 'export', expect=2)
        self.relay.ctl('queue', 'import', expect=2)
        self.relay.ctl('queue', 'import', f'{self.dir}/none', expect=1)
        self.relay.ctl('queue', 'export', '/dev/null', expect=1)
        self.relay.ctl('queue', 'export', self.dir, expect=0)
        self.assertEqual(self.files(), [])
        self.end()


if __name__ == '__main__':
    unittest.main()
