# SPDX-License-Identifier: ISC
"""The certificate story with a real OpenSMTPD as the next hop.

Debian 12's OpenSMTPD cannot complete a TLS handshake as a server: it was
written for an older OpenSSL and answers every one with the alert
internal_error.  That makes it a true specimen of a next hop whose TLS is
broken for good: forced TLS must hold mail back, and opportunistic TLS must
fall back to clear text and say so.
"""

import unittest

import story
from harness.opensmtpd import OpenSmtpd


class OpenSmtpdStory(story.Story):
    next_hop = OpenSmtpd
    queue = {'probe': '1h', 'retry': ['1h']}

    def test_relaxed_and_resubmitted(self):
        self.peer.present(self.certs.good)
        self.defer(story.MANY, 'tls-handshake')
        self.relay.reload(*self.sections(tls='opportunistic'))
        self.relay.ctl('resubmit', '--deferred', '--yes', expect=None)
        self.check_books()
        for sent in list(self.ledger.sent.values())[:20]:
            last = self.relay.ctl_json('trace', sent.id)[-1]
            self.assertEqual((last['event'], last['tls']), ('delivered', ''))
        self.end()


if __name__ == '__main__':
    unittest.main()
