# SPDX-License-Identifier: ISC
"""Whatever is wrong with TLS at a real Postfix: mail waits with exactly that
cause, nothing of it travels in clear text, and it arrives once the fault is
mended."""

import unittest

import story

FEW = 20


class Causes(story.Story):

    def defer_and_mend(self, cause):
        self.defer(FEW, cause)
        self.peer.present(self.certs.good)
        self.resubmit()
        self.check_books()
        self.tap.assert_nothing_leaked()
        self.end()

    def certificate(self, kind, cause):
        self.peer.present(getattr(self.certs, kind))
        self.defer_and_mend(cause)

    def broken(self, cause, **parameters):
        """Postfix offers STARTTLS, but its TLS doesn't work."""
        self.peer.present(self.certs.good)
        self.peer.break_tls(**parameters)
        self.defer(FEW, cause)
        self.peer.break_tls()
        self.resubmit()
        self.check_books()
        self.end()

    def test_expired(self):
        self.certificate('expired', 'tls-cert-expired')

    def test_not_yet_valid(self):
        self.certificate('not_yet_valid', 'tls-cert-not-yet-valid')

    def test_self_signed(self):
        self.certificate('self_signed', 'tls-cert-self-signed')

    def test_untrusted(self):
        self.certificate('untrusted', 'tls-cert-untrusted')

    def test_wrong_name(self):
        self.certificate('wrong_name', 'tls-cert-name')

    def test_not_offered(self):
        self.peer.present(None)
        self.defer_and_mend('tls-not-offered')

    def test_refused(self):
        # 454 4.7.0 TLS not available due to local problem
        self.broken('tls-refused', smtpd_tls_key_file='/nowhere')

    def test_no_common_cipher(self):
        self.broken('tls-handshake', smtpd_tls_protocols='TLSv1.2',
                    smtpd_tls_ciphers='high',
                    tls_high_cipherlist='PSK-AES128-GCM-SHA256')


if __name__ == '__main__':
    unittest.main()
