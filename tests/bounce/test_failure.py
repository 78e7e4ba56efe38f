# SPDX-License-Identifier: ISC
"""What a sender gets to read when mail fails, by a reader of its own and by
two that others wrote."""

import re
import unittest

import bounce

REJECTED = '550 5.1.1 <bob@example.net>: nobody of this name'


class Failure(bounce.Bounces):
    def reject(self, *recipients):
        self.hop.behaviour.rcpt = (
            lambda r: REJECTED if r in recipients else '250 2.1.5 Ok')

    def notice(self, sink=None, n=1):
        sink = sink or self.home
        sink.wait(n, 30)
        self.assertEqual(len(sink.arrivals), n)
        return bounce.Notice(sink.arrivals[-1])

    def test_one_rejected(self):
        self.reject('bob@example.net')
        number = self.submit('bob@example.net', 'carl@example.net')
        notice = self.notice()
        self.assertEqual(notice.arrival.sender, '')
        self.assertEqual(notice.arrival.recipients, (bounce.SENDER,))
        m = notice.message
        self.assertEqual(m.defects, [])
        self.assertEqual(m['From'],
                         'Mail Delivery System '
                         '<MAILER-DAEMON@relay.example.com>')
        self.assertEqual(m['To'], bounce.SENDER)
        self.assertEqual(m['Auto-Submitted'], 'auto-replied')
        self.assertEqual(m['MIME-Version'], '1.0')
        self.assertEqual(m['In-Reply-To'], '<m1@example.com>')
        self.assertTrue(m['Date'] and m['Message-ID'] and m['Subject'])
        self.assertEqual(m.get_content_type(), 'multipart/report')
        self.assertEqual(m['Content-Type'].params['report-type'],
                         'delivery-status')
        self.assertEqual([p.get_content_type() for p in notice.parts],
                         ['text/plain', 'message/delivery-status',
                          'message/rfc822'])
        whole, *each = notice.about
        self.assertEqual(whole['Reporting-MTA'], 'dns; relay.example.com')
        self.assertTrue(whole['Arrival-Date'])
        bob, = each
        self.assertEqual(bob['Final-Recipient'], 'rfc822; bob@example.net')
        self.assertEqual(bob['Action'], 'failed')
        self.assertEqual(bob['Status'], '5.1.1')
        self.assertIn(self.hop.host, bob['Remote-MTA'])
        self.assertEqual(re.sub(r'\s+', ' ', bob['Diagnostic-Code']),
                         'smtp; ' + REJECTED)
        self.assertTrue(bob['Last-Attempt-Date'])
        for words in ('bob@example.net', bounce.POSTMASTER, number):
            self.assertIn(words, notice.words)
        original, = notice.original.get_payload()
        self.assertEqual(original['Subject'], 'hello')
        self.assertIn('How are you?', original.get_content())
        self.assertEqual(bounce.read_flufl(notice.arrival),
                         (set(), {b'bob@example.net'}))
        self.wait_states(failed=1, delivered=1)
        self.assertEqual(len(self.hop.arrivals), 1)
        self.end()

    def test_one_notice_for_all_that_failed_together(self):
        names = [f'r{i}@example.net' for i in range(50)]
        self.reject(*names)
        self.submit(*names)
        notice = self.notice()
        self.assertEqual(len(notice.about), 51)
        self.assertEqual(bounce.read_flufl(notice.arrival)[1],
                         {n.encode() for n in names})
        self.end()

    def test_lines_and_bytes(self):
        """What the peer says and what the message holds breaks nothing."""
        self.hop.behaviour.rcpt = lambda r: (
            '550-5.7.1 ' + 'word ' * 90 + '\r\n550 5.7.1 \x01\x7f--=_ '
            + 'x' * 1500)
        self.submit('bob@example.net', data=b'Subject: x\r\n\r\n'
                    b'--=_ \r\n\xe4\xf6\r\n.\r\n')
        notice = self.notice()
        for line in notice.text.split(b'\r\n'):
            self.assertLess(len(line), 998)
            self.assertNotIn(b'\r', line)
            self.assertNotIn(b'\n', line)
            self.assertNotIn(b'\x01', line)
        self.assertEqual(len(notice.parts), 3)
        self.assertIn(b'--=_ \r\n\xe4\xf6\r\n.\r\n', notice.text)
        self.end()

    def test_a_large_one_returns_its_header_only(self):
        self.reject('bob@example.net')
        self.submit('bob@example.net', data=b'Subject: large\r\n\r\n'
                    + b'x' * 76 + b'\r\n' + (b'y' * 76 + b'\r\n') * 1000)
        notice = self.notice()
        self.assertEqual(notice.original.get_content_type(),
                         'text/rfc822-headers')
        self.assertIn(b'Subject: large', notice.text)
        self.assertNotIn(b'yyyy', notice.text)
        self.assertLess(len(notice.text), 128 * 1024)
        self.end()

    def test_an_empty_sender_goes_to_the_postmaster_and_no_further(self):
        self.reject('bob@example.net')
        self.submit('bob@example.net', sender='')
        notice = self.notice(self.office)
        self.assertEqual(notice.arrival.sender, '')
        self.assertEqual(notice.arrival.recipients, (bounce.POSTMASTER,))
        self.assertEqual(self.home.arrivals, [])
        self.end()

    def test_a_failing_notice_goes_to_the_postmaster_once(self):
        self.reject('bob@example.net')
        self.home.behaviour.rcpt = lambda r: '550 5.1.1 not here either'
        self.office.behaviour.rcpt = lambda r: '550 5.1.1 nor here'
        self.submit('bob@example.net')
        self.wait_states(failed=3)
        rows = self.relay.ctl_json('queue', 'list', '--state', 'failed')
        self.assertEqual(sorted(r['sender'] for r in rows),
                         ['', '', bounce.SENDER])
        self.assertIn('event=untold', self.relay.log())
        self.end()

    def test_a_sender_without_a_route(self):
        self.reject('bob@example.net')
        self.submit('bob@example.net', sender='eve@nowhere.example')
        notice = self.notice(self.office)
        self.assertIn('bob@example.net', notice.words)
        self.end()

    def test_remove_with_bounce(self):
        self.refuse_all()
        self.submit('bob@example.net')
        self.relay.wait_deferred(1, 'peer-deferred')
        self.relay.ctl('remove', '--all', '--bounce', '--yes')
        notice = self.notice()
        self.assertIn('removed', notice.words)
        self.assertEqual(notice.about[1]['Action'], 'failed')
        self.relay.wait_empty()
        self.assertEqual(self.states(), {'failed': 1})
        self.end()


if __name__ == '__main__':
    unittest.main()
