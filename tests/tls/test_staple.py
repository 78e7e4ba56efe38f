# SPDX-License-Identifier: ISC
"""An OCSP response from a file is shown with our certificate, unless it would
do harm."""

import os
import subprocess
import unittest

import keeper
from harness import certs, clients, net
from harness.relay import section, trust


class Staple(keeper.Keeper):
    def stage(self):
        self.response = f'{self.tls}/relay.ocsp'

    def sections(self, **options):
        ours = section('identity', 'relay', {
            'certificate': self.files.pem, 'key': self.files.key,
            'ocsp_response': self.response})
        return (ours, trust('ours', f'{self.tls}/ca.pem'),
                *super().sections(**options)[2:])

    def openssl(self, *args):
        done = subprocess.run([clients.program('openssl'), *args],
                              stdin=subprocess.DEVNULL, capture_output=True,
                              check=False, timeout=60)
        return done.stdout.decode() + done.stderr.decode()

    def respond(self, certificate, state='V', lasts=('-ndays', '3'),
                signer=None):
        """Makes a response about a certificate of self.ca."""
        signer = signer or self.ca
        serial = certs.serial(certificate.pem).upper()
        serial = '0' * (len(serial) % 2) + serial
        revoked = '260101000000Z' if state == 'R' else ''
        with open(f'{self.dir}/index', 'w', encoding='ascii') as f:
            f.write(f'{state}\t491231235959Z\t{revoked}\t{serial}\tunknown\t'
                    f'/CN={keeper.NAME}\n')
        said = self.openssl('ocsp', '-issuer', self.ca.pem, '-cert',
                            certificate.pem, '-reqout', f'{self.dir}/request')
        said += self.openssl('ocsp', '-index', f'{self.dir}/index',
                             '-CA', self.ca.pem, '-rsigner', signer.pem,
                             '-rkey', signer.key, *lasts, '-reqin',
                             f'{self.dir}/request', '-respout',
                             f'{self.dir}/response')
        self.assertTrue(os.path.exists(f'{self.dir}/response'), said)
        keeper.put(f'{self.dir}/response', self.response)

    def is_stapled(self, *how):
        said = self.openssl('s_client', '-connect',
                            f'{self.relay.host}:{self.relay.port}',
                            '-starttls', 'smtp', '-status', *how)
        if 'OCSP response: no response sent' in said:
            return False
        self.assertIn('OCSP Response Status: successful', said)
        self.assertIn('Cert Status: good', said)
        return True

    def wait_own(self, text):
        """Waits until status says this of our response."""
        def there():
            row = self.status()['certificates'][0]
            return text in row['ocsp'] and row
        try:
            return net.wait_for(f'"{text}" in status', there)
        except net.TimedOut as e:
            raise net.TimedOut(f'{e}; instead {self.status()}') from None


class Good(Staple):

    def stage(self):
        super().stage()
        self.respond(self.old)

    def test_shown(self):
        self.assertTrue(self.is_stapled('-tls1_3'))
        self.assertTrue(self.is_stapled('-tls1_2'))
        self.wait_own('stapled')
        # Renewed, with the response to come: the old one is another's.
        self.install(self.new)
        self.wait_own('another certificate')
        self.assertFalse(self.is_stapled())
        self.wait_log('event=certificate-unstapled')
        self.respond(self.new)
        self.wait_own('stapled')
        self.assertTrue(self.is_stapled())
        self.end()


class Signed(Staple):
    """Where our file has the issuer, the signature is looked at."""

    def lay_out(self):
        super().lay_out()
        with open(self.ca.pem, 'rb') as ca, open(self.files.pem, 'ab') as f:
            f.write(ca.read())

    def test_signature(self):
        self.respond(self.old, signer=self.other_ca)
        self.wait_own('not signed for the issuer')
        self.assertFalse(self.is_stapled())
        self.respond(self.old)
        self.wait_own('stapled')
        self.assertTrue(self.is_stapled())
        self.end()


class Harmful(Staple):

    def test_refused(self):
        """There is none at the start; that is no reason not to start."""
        self.wait_own('No such file')
        self.assertFalse(self.is_stapled())
        self.respond(self.old, state='R')
        self.wait_own('revoked')
        self.assertFalse(self.is_stapled())
        self.respond(self.old, lasts=())
        self.wait_own('until when')
        with open(self.response, 'wb') as f:
            f.write(b'0\3rubbish')
        self.wait_own('no OCSP response')
        self.assertFalse(self.is_stapled())
        self.respond(self.new)
        self.wait_own('another certificate')
        said = self.relay.ctl('cert', 'list').stdout
        self.assertIn('another certificate', said)
        self.end()


if __name__ == '__main__':
    unittest.main()
