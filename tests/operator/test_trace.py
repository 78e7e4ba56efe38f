# SPDX-License-Identifier: ISC
"""A history found by who sent it and who was to have it, while it waits and
when it is settled."""

import unittest

import desk


class Trace(desk.Desk):

    def found(self, *args, **options):
        return [e['id'] for e in self.relay.ctl_json('trace', *args,
                                                     **options)
                if e['event'] == 'received']

    def test_by_sender_and_recipient(self):
        settled, = self.send(1, sender='carol@example.org')
        self.hop.wait(1)
        self.relay.wait_empty()
        waits, = self.defer(1, sender='dave@example.org',
                            recipients=('erin@example.net',))
        self.assertEqual(self.found('--sender', 'carol@*'), [settled.id])
        self.assertEqual(self.found('--recipient', 'ERIN@*'), [waits.id])
        self.assertEqual(self.found('--sender', '*@example.org'),
                         [settled.id, waits.id])
        self.assertEqual(self.found('--sender', '*@example.org', '--limit',
                                    '1'), [waits.id])
        self.assertEqual(self.found('--state', 'delivered'), [settled.id])
        self.assertEqual(self.found('--sender', 'carol@*', '--recipient',
                                    'erin@*', expect=1), [])
        text = self.relay.ctl('trace', '--sender', 'carol@*').stdout
        self.assertIn(f'{settled.id} received', text)
        self.assertIn('delivered', text)
        for args in ((), ('--limit', '3'), (waits.id, '--sender', 'x')):
            self.relay.ctl('trace', *args, expect=2)
        self.relay.ctl('trace', '--sender', 'x', '--limit', '0', expect=2)
        self.relay.ctl('trace', '--state', 'odd', expect=2)
        self.end()

    def test_the_newest_of_many(self):
        """More than a page, in the queue and in the history."""
        self.send(300)
        self.hop.wait(300)
        self.relay.wait_empty()
        self.defer(300)
        found = self.found('--sender', '*', '--limit', '450')
        self.assertEqual(len(found), 450)
        self.assertEqual(found, sorted(found))
        live = [r['id'] for r in self.relay.ctl_json('queue', 'list')]
        self.assertEqual(found[-300:], live)
        self.assertEqual(self.found('--sender', '*'), live[-20:])
        self.end()


if __name__ == '__main__':
    unittest.main()
