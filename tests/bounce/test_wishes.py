#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""test_wishes - what a sender asks of reports (RFC 3461): handed to a next hop
that offers DSN, which then answers for it; honoured by ourselves elsewhere."""

import unittest

from bounce import Bounces, Notice

MAIL = ' RET=HDRS ENVID=QQ+2B1+20x'
ORCPT = ' ORCPT=rfc822;Bob+2Bx@Host.example'
BODY = b'a line of the body\r\n'
DATA = (b'From: alice@example.com\r\nSubject: hello\r\n\r\n') + BODY


class Wishes(Bounces):
    out = {}

    def offer_dsn(self):
        self.hop.behaviour.ehlo = [*self.hop.behaviour.ehlo, 'DSN']

    def said(self, verb):
        return [c for connection in self.hop.connections
                for c in connection.commands if c.startswith(verb)]

    def notices(self):
        """All there are, once nothing is on its way any more."""
        self.relay.wait_empty()
        return [Notice(a) for a in self.home.arrivals]

    def end(self):
        self.assertEqual(self.office.arrivals, [])
        self.relay.stop()

    def test_handed_on_and_silent(self):
        """RFC 3461 5.2.1: who takes the wishes makes the report."""
        self.offer_dsn()
        self.submit('bob@example.net', mail=MAIL, data=DATA,
                    rcpt=' NOTIFY=SUCCESS,FAILURE,DELAY' + ORCPT)
        self.hop.wait(1)
        self.assertEqual(self.notices(), [])
        mail, = self.said('MAIL')
        rcpt, = self.said('RCPT')
        self.assertTrue(mail.endswith(MAIL), mail)
        self.assertTrue(rcpt.endswith(' NOTIFY=SUCCESS,FAILURE,DELAY'
                                      + ORCPT), rcpt)
        self.end()

    def test_relayed_where_it_ends(self):
        """RFC 3461 5.2.2: a next hop without DSN hears nothing of it, and the
        sender is told that we can tell no more."""
        self.submit('bob@example.net', mail=MAIL, data=DATA,
                    rcpt=' NOTIFY=SUCCESS' + ORCPT)
        self.home.wait(1)
        notice, = self.notices()
        self.assertEqual(notice.arrival.sender, '')
        message, recipient = notice.about
        self.assertEqual(message['Original-Envelope-Id'], 'QQ+1 x')
        self.assertEqual(recipient['Original-Recipient'],
                         'rfc822; Bob+x@Host.example')
        self.assertEqual(recipient['Final-Recipient'],
                         'rfc822; bob@example.net')
        self.assertEqual(recipient['Action'], 'relayed')
        self.assertRegex(recipient['Status'], r'^2\.\d+\.\d+$')
        # RFC 3461 4.3: a success returns the header, whatever was asked.
        self.assertNotIn(BODY, notice.text)
        self.assertNotIn('NOTIFY', self.said('RCPT')[0])
        self.assertNotIn('ENVID', self.said('MAIL')[0])
        self.end()

    def test_success_was_not_asked_for(self):
        for rcpt in ('', ' NOTIFY=FAILURE,DELAY', ' NOTIFY=NEVER'):
            self.submit('bob@example.net', rcpt=rcpt)
        self.hop.wait(3)
        self.assertEqual(self.notices(), [])
        self.end()

    def test_only_those_who_asked(self):
        client = self.client()
        client.ask('MAIL FROM:<alice@example.com> ENVID=x', '250')
        for rcpt in ('a@example.net> NOTIFY=SUCCESS', 'b@example.net>',
                     'c@example.net> NOTIFY=SUCCESS,FAILURE'):
            client.ask('RCPT TO:<' + rcpt, '250')
        client.ask('DATA', '354')
        client.send(DATA + b'.\r\n')
        self.assertEqual(client.reply()[:3], '250')
        self.home.wait(1)
        told = sorted(r['Final-Recipient'] for notice in self.notices()
                      for r in notice.about[1:])
        self.assertEqual(told, ['rfc822; a@example.net',
                                'rfc822; c@example.net'])
        self.end()

    def test_failures(self):
        """NEVER is never; RET says what comes back."""
        self.hop.behaviour.rcpt = lambda _: '550 5.1.1 No such user'
        self.submit('bob@example.net', rcpt=' NOTIFY=NEVER')
        self.submit('bob@example.net', rcpt=' NOTIFY=SUCCESS,DELAY')
        self.assertEqual(self.notices(), [])
        self.submit('bob@example.net', mail=' RET=HDRS', data=DATA,
                    rcpt=' NOTIFY=FAILURE')
        self.submit('bob@example.net', mail=' RET=FULL', data=DATA)
        self.home.wait(2)
        self.assertEqual(sorted(BODY in n.text for n in self.notices()),
                         [False, True])
        self.end()


if __name__ == '__main__':
    unittest.main()
