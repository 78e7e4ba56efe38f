# SPDX-License-Identifier: ISC
"""Certificates are warned of before they expire, once for each part of their
life, and when they change in a way somebody should know of."""

import unittest

import keeper
from harness import certs, net
from harness.relay import section

DAY_S = 86400


class Foresight(keeper.Keeper):

    def warnings(self, kind):
        """(left, level) of each, in order; left None: it has expired."""
        return [(f.get('left'), f['level'])
                for f in self.facts('event=certificate-exp')
                if f['kind'] == kind]

    def wait_warnings(self, kind, *wanted):
        try:
            net.wait_for(f'{wanted}',
                         lambda: self.warnings(kind) == list(wanted))
        except net.TimedOut as e:
            raise net.TimedOut(f'{e}; instead {self.warnings(kind)}\n'
                               + self.relay.log()[-4000:]) from None

    def deliver(self):
        """A message on a connection of its own, so that there is a
        handshake."""
        before = len(self.hop.connections)
        self.send()
        self.relay.wait_empty()
        self.assertGreater(len(self.hop.connections), before)

    def restart(self):
        self.relay.stop()
        self.relay.start()


class Own(Foresight):

    def lay_out(self):
        self.old = self.ca.issue('old', keeper.NAME, begins=-60, ends=20)
        super().lay_out()

    def test_once_for_each_stage(self):
        self.wait_warnings('own', ('third', 'info'))
        self.restart()
        self.relay.ctl('reload')
        self.assertEqual(self.warnings('own'), [('third', 'info')])
        self.install(self.ca.issue('sixth', keeper.NAME, begins=-60, ends=10))
        self.wait_warnings('own', ('third', 'info'), ('sixth', 'warn'))
        self.install(self.ca.issue('end', keeper.NAME, begins=-60, ends=1))
        self.wait_warnings('own', ('third', 'info'), ('sixth', 'warn'),
                           ('twelfth', 'warn'))
        row = self.status()['certificates'][0]
        self.assertEqual((row['kind'], row['stage']), ('own', 'twelfth'))
        said = self.relay.ctl('status').stdout
        self.assertIn('1 certificate to renew', said)
        self.assertIn('renew it', said)
        self.install(self.ca.issue('fresh', keeper.NAME))
        net.wait_for('the fresh one', lambda: self.status()['certificates'][
            0]['stage'] == '')
        self.assertNotIn('to renew', self.relay.ctl('status').stdout)
        self.end()


class ByTheClock(Foresight):

    def lay_out(self):
        life = 12 / DAY_S
        self.old = self.ca.issue('old', keeper.NAME, begins=-life / 2,
                                 ends=life / 2)
        super().lay_out()

    def test_stages_come(self):
        """Nobody does anything; how many there are depends on how long the
        start took."""
        self.wait_log('event=certificate-expired')
        order = [('third', 'info'), ('sixth', 'warn'), ('twelfth', 'warn'),
                 (None, 'error')]
        seen = self.warnings('own')
        self.assertEqual(seen, order[-len(seen):])
        self.end()


class Peers(Foresight):
    out = {'max_messages_per_connection': 1}

    def show(self, *names, ca=None, **life):
        self.hop.behaviour.certificate = (ca or self.ca).issue('shown',
                                                               *names, **life)

    def peer(self):
        row, = (r for r in self.relay.ctl_json('cert', 'list')
                if r['kind'] == 'peer')
        return row

    def test_expiring(self):
        self.show(keeper.PEER, begins=-60, ends=10)
        self.deliver()
        self.wait_warnings('peer', ('sixth', 'warn'))
        self.assertEqual(self.facts('left=sixth')[0]['name'],
                         f'out/{self.hop.host}:{self.hop.port}')
        self.deliver()
        self.restart()
        self.assertEqual(self.peer()['stage'], 'sixth')
        self.deliver()
        net.wait_for('seen again', lambda: self.peer()['last_seen'])
        self.assertEqual(self.warnings('peer'), [('sixth', 'warn')])
        self.assertIn('ask whoever runs', self.relay.ctl('status').stdout)
        self.show(keeper.PEER, begins=-60, ends=-1)
        self.send()
        self.relay.wait_deferred(1, 'tls-cert-expired')
        self.wait_warnings('peer', ('sixth', 'warn'), (None, 'error'))
        self.end()

    def test_renewed(self):
        self.deliver()
        self.show(keeper.PEER)
        self.deliver()
        self.wait_log('event=certificate-changed')
        self.assertNotIn('issuer-changed', self.relay.log())
        self.end()

    def test_other_issuer(self):
        self.believe(self.ca, self.other_ca)
        self.wait_log('event=trust-renewed')
        self.deliver()
        self.show(keeper.PEER, ca=self.other_ca)
        self.deliver()
        fact = keeper.logfmt(self.wait_log('event=certificate-issuer-changed'))
        self.assertEqual(fact['level'], 'warn')
        self.assertIn('other of the tests', fact['issuer'])
        self.assertIn('ca of the tests', fact['issuer_before'])
        self.end()

    def test_nodes_take_turns(self):
        """Two certificates behind one address are news once."""
        self.believe(self.ca, self.other_ca)
        self.wait_log('event=trust-renewed')
        one = self.hop.behaviour.certificate
        other = self.other_ca.issue('shown', keeper.PEER)
        for shown in (one, other, one, other, one):
            self.hop.behaviour.certificate = shown
            self.deliver()
            net.wait_for('it is seen', lambda shown=shown: self.peer()[
                'serial'].lstrip('0') == certs.serial(shown.pem))
        self.assertEqual(len(self.facts('issuer-changed')), 1)
        self.end()

    def test_name_gone(self):
        self.deliver()
        self.show('elsewhere.example.net')
        self.send()
        self.relay.wait_deferred(1, 'tls-cert-name')
        fact = keeper.logfmt(self.wait_log('event=certificate-name-gone'))
        self.assertEqual((fact['names'], fact['names_before']),
                         ('elsewhere.example.net', keeper.PEER))
        self.assertFalse(self.peer()['named'])
        self.end()


class Unverified(Foresight):
    """Where nobody asks what a certificate says, nobody is warned."""
    out = {'tls': 'opportunistic', 'verify': 'none', 'names': []}

    def test_silent(self):
        self.hop.behaviour.certificate = self.ca.issue(
            'shown', 'whatever.example.net', begins=-60, ends=-1)
        self.deliver()
        net.wait_for('it is listed', lambda: any(
            r['kind'] == 'peer' and r['stage'] == 'expired'
            for r in self.relay.ctl_json('cert', 'list')))
        self.assertEqual(self.warnings('peer'), [])
        self.assertEqual(self.facts('event=certificate-name-gone'), [])
        self.assertEqual([c['kind'] for c in self.status()['certificates']],
                         ['own'])
        self.end()


class Clients(Foresight):
    listener = {'trust': 'ours'}
    sources = section('source', 'cloud', {
        'networks': ['127.0.0.0/8'], 'client_names': ['*.cloud.example.com']})

    def test_expiring(self):
        shown = self.ca.issue('cloud', 'mail.cloud.example.com', begins=-60,
                              ends=1)
        self.client(shown).close()
        self.wait_warnings('client', ('twelfth', 'warn'))
        fact, = self.facts('left=twelfth')
        self.assertEqual((fact['name'], fact['address']),
                         ('in/cloud', '127.0.0.1'))
        self.client(shown).close()
        # Names that anybody could write into a certificate of his own.
        self.client(self.other_ca.issue(
            'cloud', 'mail2.cloud.example.com', begins=-60, ends=1)).close()
        net.wait_for('both are listed', lambda: len(
            [r for r in self.relay.ctl_json('cert', 'list')
             if r['kind'] == 'client']) == 2)
        self.assertEqual(self.warnings('client'), [('twelfth', 'warn')])
        self.end()


if __name__ == '__main__':
    unittest.main()
