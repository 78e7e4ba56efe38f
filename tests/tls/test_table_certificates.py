# SPDX-License-Identifier: ISC
"""Everything that can be wrong with a next hop's certificate, under every
policy of a route: how the mail goes, or why it waits, and what was seen on the
wire."""

import unittest

import table
from harness import certs, net

OTHER = 'other.example.org'


class Certificates(table.Table):
    text = """
fault        off   may  may-name           none ca                 name               pin other-pin
good         clear tls  tls                tls  tls                tls                tls tls
rsa          clear tls  tls                tls  tls                tls                tls tls
expired      clear tls  cert-expired       tls  cert-expired       cert-expired       tls pin
early        .     tls  cert-not-yet-valid tls  cert-not-yet-valid cert-not-yet-valid tls pin
self-signed  .     tls  cert-self-signed   tls  cert-self-signed   cert-self-signed   tls pin
untrusted    .     tls  cert-untrusted     tls  cert-untrusted     cert-untrusted     tls pin
by-mid       .     tls  tls                tls  tls                tls                tls tls
incomplete   .     tls  cert-untrusted     tls  cert-untrusted     cert-untrusted     tls pin
old-mid      .     tls  cert-expired       tls  cert-expired       cert-expired       tls pin
wrong-name   .     tls  cert-name          tls  tls                cert-name          tls tls
several      .     tls  tls                tls  tls                tls                tls .
wildcard     .     tls  tls                tls  tls                tls                tls .
wild-part    .     tls  cert-name          tls  tls                cert-name          tls .
wild-deep    .     tls  cert-name          tls  tls                cert-name          tls .
cn-only      .     tls  cert-name          tls  tls                cert-name          tls .
cn-allowed   .     tls  tls                tls  tls                tls                tls .
cn-and-san   .     tls  cert-name          tls  tls                cert-name          tls .
ip-san       .     tls  tls                tls  tls                tls                tls .
ip-as-name   .     tls  cert-name          tls  tls                cert-name          tls .
ip-other     .     tls  cert-name          tls  tls                cert-name          tls .
weak-key     .     tls  cert-weak          tls  cert-weak          cert-weak          tls pin
sha1         .     tls  cert-weak          tls  cert-weak          cert-weak          tls pin
not-a-ca     .     tls  cert-untrusted     tls  cert-untrusted     cert-untrusted     tls .
narrow       .     tls  cert-untrusted     tls  cert-untrusted     cert-untrusted     tls .
no-signer    .     tls  cert-untrusted     tls  cert-untrusted     cert-untrusted     tls .
for-clients  .     tls  cert-untrusted     tls  cert-untrusted     cert-untrusted     tls .
for-servers  .     tls  tls                tls  tls                tls                tls .
old-and-else .     tls  cert-expired       tls  cert-expired       cert-expired       tls pin
"""

    @classmethod
    def stage(cls):
        ca, peer, by_address = cls.ca, table.PEER, {'names': []}
        mid = certs.Authority(cls.dir, 'mid', ca)
        put = cls.put
        put('good')
        put('rsa', ca.issue('rsa', peer, kind=certs.RSA))
        put('expired', ca.issue('expired', peer, begins=-9, ends=-1))
        put('early', ca.issue('early', peer, begins=1))
        put('self-signed', certs.self_signed(cls.dir, peer))
        put('untrusted', cls.strange.issue('leaf', peer))
        put('by-mid', mid.issue('whole', peer))
        put('incomplete', mid.issue('alone', peer, alone=True))
        put('old-mid', certs.Authority(cls.dir, 'old', ca, ends=-1).issue(
            'leaf', peer))
        put('wrong-name', ca.issue('else', OTHER))
        put('several', ca.issue('several', OTHER, peer))
        put('wildcard', ca.issue('wild', '*.example.net'))
        put('wild-part', ca.issue('part', 'm*.example.net'))
        put('wild-deep', ca.issue('deep', '*.net', '*.mx.example.net'))
        nameless = ca.issue('cn', common_name=peer)
        put('cn-only', nameless)
        put('cn-allowed', nameless, {'common_name': True})
        put('cn-and-san', ca.issue('both', OTHER, common_name=peer),
            {'common_name': True})
        host = net.own_host()
        put('ip-san', ca.issue('ip', common_name='x', addresses=[host]),
            by_address)
        put('ip-as-name', ca.issue('ip-name', host), by_address)
        put('ip-other', ca.issue('ip-else', common_name=host,
                                 addresses=['192.0.2.1']), by_address)
        put('weak-key', ca.issue('weak', peer, kind=certs.WEAK_RSA))
        put('sha1', ca.issue('sha1', peer, digest='SHA1'))
        cls.stage_limits(ca, peer)
        put('old-and-else', ca.issue('old-else', OTHER, begins=-9, ends=-1))

    @classmethod
    def stage_limits(cls, ca, peer):
        for name, limits in (
                ('not-a-ca', ('cert_signing_key',)),
                ('narrow', (*certs.OF_AUTHORITY,
                            'nc_permit_dns = example.org')),
                ('no-signer', ('ca', 'crl_signing_key'))):
            cls.put(name, certs.Authority(cls.dir, name, ca,
                                          limits=limits).issue('leaf', peer))
        for name in ('client', 'server'):
            cls.put(f'for-{name}s', ca.issue(name, peer,
                                             uses=[f'tls_www_{name}']))

    def test_table(self):
        self.check_all(180)


if __name__ == '__main__':
    unittest.main()
