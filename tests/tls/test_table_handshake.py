# SPDX-License-Identifier: ISC
"""Everything that can go wrong on the way into TLS, under every policy of a
route: STARTTLS that is hidden, masked, refused or stalled, and a handshake
that fails.  Forced TLS waits; opportunistic TLS goes in clear text, and says
why."""

import ssl
import unittest

import table

REQUIRES = '451 5.7.3 STARTTLS is required to send mail'
TLS12 = {'maximum_tls': ssl.TLSVersion.TLSv1_2}
SOON = {'starttls_timeout': '2s'}


class Handshake(table.Table):
    text = """
fault            off           may                may-name           none           name           pin
hidden           clear         clear:not-offered  clear:not-offered  not-offered    not-offered    not-offered
masked           clear         clear:masked       clear:masked       masked         masked         masked
masked-banner    clear         clear:masked       .                  masked         masked         masked
no-ehlo          clear         clear:masked       clear:masked       masked         masked         masked
refused          clear         clear:refused      clear:refused      refused        refused        refused
dropped          .             clear:handshake    .                  handshake      handshake      handshake
mute             .             clear:timeout      .                  timeout        timeout        timeout
reset            clear         clear:handshake    clear:handshake    handshake      handshake      handshake
stalled          .             clear:timeout      clear:timeout      timeout        timeout        timeout
dripping         .             clear:timeout      .                  timeout        timeout        timeout
tls11            .             clear:version      clear:version      version        version        version
tls12            .             tls                .                  tls            tls            tls
floor            .             clear:version      .                  version        version        version
no-cipher        .             clear:handshake    clear:handshake    handshake      handshake      handshake
garbage          .             clear:handshake    clear:handshake    handshake      handshake      handshake
cut              .             clear:handshake    .                  handshake      handshake      handshake
wants-cert       .             clear:client-cert  clear:client-cert  client-cert    client-cert    client-cert
wants-cert-12    .             clear:client-cert  .                  client-cert    client-cert    client-cert
wants-other      .             clear:client-cert  clear:client-cert  client-cert    client-cert    client-cert
wants-other-12   .             clear:client-cert  .                  client-cert    client-cert    client-cert
wants-ours       .             tls                .                  tls            tls            tls
requires         peer-requires tls                .                  tls            tls            tls
requires-hidden  peer-requires peer-requires      .                  not-offered    not-offered    not-offered
"""

    @classmethod
    def stage(cls):
        put = cls.put
        for name, how in (('hidden', 'hide'), ('masked', 'mask'),
                          ('no-ehlo', 'no-ehlo'), ('refused', 'refuse'),
                          ('dropped', 'drop'), ('reset', 'reset'),
                          ('garbage', 'garbage'), ('cut', 'cut')):
            put(name, starttls=how)
        for name, how in (('mute', 'mute'), ('stalled', 'stall'),
                          ('dripping', 'drip')):
            put(name, route_options=SOON, starttls=how)
        put('masked-banner', starttls='hide', banner='220 ' + '*' * 40)
        put('tls11', minimum_tls=ssl.TLSVersion.TLSv1_1,
            maximum_tls=ssl.TLSVersion.TLSv1_1)
        put('tls12', **TLS12)
        put('floor', route_options={'trust': 'strict'}, **TLS12)
        put('no-cipher', ciphers='ECDHE-ECDSA-CAMELLIA128-SHA256', **TLS12)
        ours = {'identity': 'ours'}
        for name, options, ca in (
                ('wants-cert', {}, cls.ca),
                ('wants-other', ours, cls.strange),
                ('wants-ours', ours, cls.ca)):
            put(name, route_options=options, client_ca=ca.pem)
            put(f'{name}-12', route_options=options, client_ca=ca.pem,
                **TLS12)
        for name, how in (('requires', 'offer'),
                          ('requires-hidden', 'hide')):
            put(name, starttls=how, only_in_tls=REQUIRES)

    @classmethod
    def sections(cls):
        yield table.trust('strict', cls.ca.pem, min_tls='1.3')
        yield from super().sections()

    def test_table(self):
        self.check_all(90)


if __name__ == '__main__':
    unittest.main()
