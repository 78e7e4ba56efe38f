# SPDX-License-Identifier: ISC
"""Revocation under every policy of a route: whoever need not prove anything,
or has proved it by his key, is not asked about; under `require` nothing goes
to whom no fresh, genuine list says is good."""

import os
import unittest

import table
from harness import certs, net
from harness.lists import Lists

HTML = b'<!DOCTYPE html><html><body>Please log in</body></html>'


class Revocation(table.Table):
    text = """
fault           may/require none/require ca/off ca/warn      ca/require      name/off name/warn    name/require    pin/require may-name/require
good            tls         tls          tls    tls          tls             tls      tls          tls             tls         tls
good-by-mid     tls         tls          tls    tls          tls             tls      tls          tls             tls         tls
revoked         tls         tls          tls    cert-revoked cert-revoked    tls      cert-revoked cert-revoked    tls         cert-revoked
revoked-mid     tls         tls          tls    cert-revoked cert-revoked    tls      cert-revoked cert-revoked    tls         cert-revoked
revoked-old     tls         tls          .      cert-revoked cert-revoked    .        cert-revoked cert-revoked    tls         cert-revoked
revoked-fetched tls         tls          tls    .            cert-revoked    tls      .            cert-revoked    tls         cert-revoked
good-fetched    tls         tls          tls    tls          tls             tls      tls          tls             tls         tls
stale           tls         tls          tls    tls          crl-unavailable tls      tls          crl-unavailable tls         crl-unavailable
forged          tls         tls          tls    tls          crl-unavailable tls      tls          crl-unavailable tls         crl-unavailable
unreachable     tls         tls          tls    tls          crl-unavailable tls      tls          crl-unavailable tls         crl-unavailable
html            tls         tls          tls    tls          crl-unavailable tls      tls          crl-unavailable tls         crl-unavailable
no-point        tls         tls          tls    tls          crl-unavailable tls      tls          crl-unavailable tls         crl-unavailable
half            tls         tls          tls    tls          crl-unavailable tls      tls          crl-unavailable tls         crl-unavailable
"""

    @classmethod
    def stage(cls):
        cls.lists = Lists()
        cls.addClassCleanup(cls.lists.close)
        cls.far = certs.Authority(cls.dir, 'far')
        cls.trusted = [cls.far.pem]
        cls.stage_files()
        cls.stage_fetched()

    @classmethod
    def stage_files(cls):
        """Lists that are there when relayd starts."""
        ca, peer = cls.ca, table.PEER
        mid = certs.Authority(cls.dir, 'mid', ca)
        bad = certs.Authority(cls.dir, 'bad', ca)
        revoked = ca.issue('revoked', peer)
        old = ca.issue('old', peer, begins=-9, ends=-1)
        cls.put('good')
        cls.put('good-by-mid', mid.issue('leaf', peer))
        cls.put('revoked', revoked)
        cls.put('revoked-mid', bad.issue('leaf', peer))
        cls.put('revoked-old', old)
        cls.crl_files = []
        for authority, listed in ((ca, [revoked, old, bad]), (mid, []),
                                  (bad, [])):
            cls.crl_files.append(f'{cls.dir}/{authority.name}.crl')
            with open(cls.crl_files[-1], 'wb') as f:
                f.write(authority.revoke(*listed, form='pem'))

    @classmethod
    def stage_fetched(cls):
        """Lists that the certificates name: each fault has its own."""
        far, peer = cls.far, table.PEER

        def put(name, page):
            leaf = far.issue(name, peer, lists=[cls.lists.url(f'/{name}')])
            cls.lists.put(f'/{name}', page(leaf))
            cls.put(name, leaf)

        put('revoked-fetched', far.revoke)
        put('good-fetched', lambda _: far.revoke())
        put('stale', lambda _: far.revoke(begins=-2, ends=-1))
        os.mkdir(f'{cls.dir}/false')
        false = certs.Authority(f'{cls.dir}/false', 'far')
        put('forged', lambda _: false.revoke())
        put('html', lambda _: HTML)
        nowhere = f'http://{net.own_host()}:{net.free_port()}/x.crl'
        cls.put('unreachable', far.issue('lost', peer, lists=[nowhere]))
        cls.put('no-point', far.issue('none', peer))
        # The leaf's list is good, of the intermediate there is none.
        url = cls.lists.url('/half')
        mid = certs.Authority(cls.dir, 'half', far)
        cls.lists.put('/half', mid.revoke())
        cls.put('half', mid.issue('leaf', peer, lists=[url]))

    def test_table(self):
        self.check_all(110)


if __name__ == '__main__':
    unittest.main()
