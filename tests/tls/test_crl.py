# SPDX-License-Identifier: ISC
"""Revocation lists: every state that a list can be in, under off, warn and
require; and what becomes of mail when the state changes."""

import glob
import os
import shutil
import unittest
import urllib.request

import keeper
from harness import certs, net, sender
from harness.lists import Lists
from harness.relay import Relay, identity, route, section, trust
from harness.sink import Sink

PEER = keeper.PEER
MODES = ('off', 'warn', 'require')
HTML = b'<!DOCTYPE html><html><body>Please log in</body></html>'

# state: cause under warn, cause under require, and what the reply says.  None:
# the mail is delivered.
OUTCOMES = {
    'good-der': (None, None, ''),
    'good-pem': (None, None, ''),
    'redirected': (None, None, ''),
    'revoked': ('tls-cert-revoked', 'tls-cert-revoked', 'says http://'),
    'stale': (None, 'tls-crl-unavailable', 'the list is stale since 20'),
    'early': (None, 'tls-crl-unavailable', 'the list is not valid before 20'),
    'forged': (None, 'tls-crl-unavailable', 'the list is forged'),
    'stranger': (None, 'tls-crl-unavailable', 'of another issuer'),
    'html': (None, 'tls-crl-unavailable', 'an HTML page'),
    'truncated': (None, 'tls-crl-unavailable', 'cut short'),
    'empty': (None, 'tls-crl-unavailable', 'the list is empty'),
    'missing': (None, 'tls-crl-unavailable', 'HTTP status 404'),
    'to-https': (None, 'tls-crl-unavailable', 'what is not http'),
    'in-circles': (None, 'tls-crl-unavailable', 'more than three redirects'),
    'unreachable': (None, 'tls-crl-unavailable', 'Connection refused'),
    'no-point': (None, 'tls-crl-unavailable', 'has no distribution point'),
}


class States(unittest.TestCase):
    """A next hop for each state, and a route to it for each mode."""

    @classmethod
    def setUpClass(cls):
        cls.dir = net.temp_dir('crl')
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.ca = certs.Authority(cls.dir)
        cls.lists = Lists()
        cls.addClassCleanup(cls.lists.close)
        cls.hops = {}
        for state in OUTCOMES:
            hop = Sink(cls.certificate(state))
            cls.addClassCleanup(hop.close)
            cls.hops[state] = hop

    @classmethod
    def certificate(cls, state):
        """What the next hop shows; its list is put where it belongs."""
        url = cls.lists.url(f'/{state}.crl')
        points = [url]
        if state == 'unreachable':
            points = [f'http://{net.own_host()}:{net.free_port()}/x.crl']
        elif state == 'no-point':
            points = []
        made = cls.ca.issue(state, PEER, lists=points)
        page = cls.page(state, url, made)
        if page is not None:
            cls.lists.put(f'/{state}.crl', page)
        return made

    @classmethod
    def page(cls, state, url, made):
        if state == 'good-pem':
            return cls.ca.revoke(form='pem')
        if state == 'redirected':
            return cls.lists.put('/elsewhere.crl', cls.ca.revoke())
        if state == 'revoked':
            return cls.ca.revoke(made)
        if state == 'stale':
            return cls.ca.revoke(begins=-2, ends=-1)
        if state == 'early':
            return cls.ca.revoke(begins=1, ends=2)
        if state in ('forged', 'stranger'):
            # One bears our name, the other its own.
            where = os.path.join(cls.dir, state)
            os.mkdir(where)
            name = 'ca' if state == 'forged' else 'strange-ca'
            return certs.Authority(where, name).revoke(made)
        return {'html': HTML, 'truncated': cls.ca.revoke()[:-10],
                'empty': b'', 'missing': 404, 'to-https': 'https://[::1]/x',
                'in-circles': url}.get(state, cls.ca.revoke())

    def sections(self):
        for mode in MODES:
            yield trust(mode, self.ca.pem, crl=mode)
        for state, hop in self.hops.items():
            for mode in MODES:
                yield route(f'{state}-{mode}', [f'{state}.{mode}.test'],
                            hosts=[hop.address], tls='forced', names=[PEER],
                            trust=mode)

    def send(self):
        """A message by every route."""
        with sender.Client(self.relay.host, self.relay.port) as client:
            client.hello()
            for state in OUTCOMES:
                for mode in MODES:
                    rcpt = f'{self.wave}@{state}.{mode}.test'
                    _, data = sender.message()
                    self.assertTrue(client.deliver('a@example.com', [rcpt],
                                                   data).startswith('250 '))

    def has_arrived(self, state, mode):
        wanted = f'{self.wave}@{state}.{mode}.test'
        return any(wanted in a.recipients for a in self.hops[state].arrivals)

    def waiting(self, state, mode):
        """The row of the mail of this wave that waits, or None."""
        return next((row for row in self.relay.ctl_json('queue', 'list')
                     if row['recipients']
                     == [f'{self.wave}@{state}.{mode}.test']), None)

    def check(self, state, mode):
        warned, required, words = OUTCOMES[state]
        cause = {'off': None, 'warn': warned, 'require': required}[mode]
        if cause is None:
            net.wait_for(f'{state} under {mode} arrives',
                         lambda: self.has_arrived(state, mode))
            return
        row = net.wait_for(f'{state} under {mode} waits', lambda: (
            (row := self.waiting(state, mode))
            and row.get('cause') and row))
        self.assertEqual(row['cause'], cause)
        self.assertIn(words, row['reply'])
        if state != 'no-point':
            self.assertIn('http://', row['reply'])
        self.assertFalse(self.has_arrived(state, mode))

    def test_all(self):
        self.metrics = f'{net.own_host()}:{net.free_port()}'
        self.relay = Relay(*self.sections(), queue={'probe': '1h',
                                                    'retry': ['1h']},
                           control={'metrics': self.metrics})
        self.addCleanup(self.relay.close)
        self.wave = 'first'
        self.send()
        # Every list is asked for and judged, whatever became of the mail.
        net.wait_for('all lists are fetched', lambda: (
            self.relay.log().count('event=crl-fetched')
            + self.relay.log().count('event=crl-failed')
            == len(OUTCOMES) - 1))
        for state in ('good-der', 'good-pem', 'redirected'):
            net.wait_for(f'{state} arrives by itself',
                         lambda s=state: self.has_arrived(s, 'require'))
        self.wait_unparked()
        self.wave = 'second'
        self.send()
        for state in OUTCOMES:
            for mode in MODES:
                with self.subTest(state=state, crl=mode):
                    self.check(state, mode)
        self.check_shown()
        self.check_metrics()
        self.relay.stop()

    def wait_unparked(self):
        """What goes over an older connection is judged by what was known
        then."""
        net.wait_for('connections are closed', lambda: not any(
            row['connections']
            for row in self.relay.ctl_json('destination', 'list')))

    def check_shown(self):
        rows = {row['destination']: row['crl'] for row in
                self.relay.ctl_json('destination', 'list')}
        said = {name.split('/')[0]: crl for name, crl in rows.items()}
        self.assertEqual(said['stale-off'], 'off')
        self.assertEqual(said['good-der-warn'], 'good')
        self.assertEqual(said['revoked-warn'], 'revoked')
        self.assertTrue(said['stale-warn'].startswith('undetermined: http'))
        # Said once for each destination, not for each message.
        self.assertEqual(sum('event=crl-undetermined' in line
                             and 'html-warn' in line
                             and 'HTML' in line
                             for line in self.relay.log().splitlines()), 1)

    def check_metrics(self):
        with urllib.request.urlopen(f'http://{self.metrics}/metrics') as page:
            lines = page.read().decode().splitlines()
        for state, failing in (('good-der', 0), ('missing', 1), ('stale', 1)):
            source = self.lists.url(f'/{state}.crl')
            self.assertIn(f'relayd_crl_failing{{source="{source}"}} '
                          f'{failing}', lines)
        ages = {line.split('"')[1]: int(line.split()[-1]) for line in lines
                if line.startswith('relayd_crl_age_seconds{')}
        self.assertGreaterEqual(ages[self.lists.url('/stale.crl')], 2 * 86400)
        self.assertNotIn(self.lists.url('/missing.crl'), ages)


class Revocation(keeper.Keeper):
    """One next hop, whose certificate names one list."""

    mode = 'require'
    queue = {'probe': keeper.LATER, 'retry': [keeper.LATER]}
    options = {}

    def stage(self):
        self.lists = Lists()
        self.addCleanup(self.lists.close)
        url = self.lists.url('/ca.crl')
        self.certificate = self.ca.issue('listed', PEER, lists=[url])
        self.successor = self.ca.issue('successor', PEER, lists=[url])
        self.hop.behaviour.certificate = self.certificate
        self.good = self.ca.revoke()
        self.lists.put('/ca.crl', self.good)

    def sections(self, **options):
        return (identity('relay', self.files),
                trust('ours', f'{self.tls}/ca.pem', crl=self.mode,
                      **self.options),
                *super().sections(**options)[2:])

    def revoke(self):
        self.lists.put('/ca.crl', self.ca.revoke(self.certificate))

    wait_unparked = States.wait_unparked

    def wait_arrived(self, n=1):
        net.wait_for(f'{n} arrived', lambda: len(self.hop.arrivals) >= n)


class Changes(Revocation):

    def test_first_contact(self):
        """The list has to be fetched first; nobody hears of it."""
        self.send(20)
        self.check_books()
        self.assertNotIn('event=deferred', self.relay.log())
        self.end()

    def test_resubmit_fetches_anew(self):
        self.lists.close()
        self.send(20)
        row = self.relay.wait_deferred(20, 'tls-crl-unavailable')
        self.assertIn(self.lists.url('/ca.crl') + ': Connection refused',
                      row['reply'])
        self.lists.open()
        self.relay.ctl('resubmit', '--deferred', '--yes')
        self.check_books()
        self.end()

    def test_resubmit_after_a_mistake(self):
        """The authority had revoked too much, and puts it right."""
        self.revoke()
        self.send(20)
        row = self.relay.wait_deferred(20, 'tls-cert-revoked')
        self.assertIn('the certificate was revoked: on 20', row['reply'])
        self.lists.put('/ca.crl', self.ca.revoke())
        self.relay.ctl('resubmit', '--deferred', '--yes')
        self.check_books()
        self.end()

    def test_kept_over_a_restart(self):
        self.send()
        self.wait_arrived()
        self.lists.close()
        self.relay.stop()
        kept, = glob.glob(f'{self.relay.queue["path"]}/crl/*.crl')
        with open(kept, encoding='ascii') as f:
            self.assertIn(self.lists.url('/ca.crl'), f.read())
        self.relay.start()
        self.send()
        self.wait_arrived(2)
        # The door to anything else stays shut: a file that somebody spoiled
        # is no list.
        self.relay.stop()
        with open(kept, 'r+', encoding='ascii') as f:
            f.seek(os.path.getsize(kept) - 60)
            f.write('AAAA')
        self.relay.start()
        self.send()
        self.relay.wait_deferred(1, 'tls-crl-unavailable')
        self.lists.open()
        self.relay.ctl('resubmit', '--deferred', '--yes')
        self.check_books()
        self.end()


class ComesBack(Revocation):
    queue = {'probe': '1s', 'retry': [keeper.LATER]}

    def test_by_itself(self):
        self.lists.close()
        self.send(20)
        self.relay.wait_deferred(20, 'tls-crl-unavailable')
        self.lists.open()
        self.check_books()
        self.end()


class Refresh(Revocation):
    mode = 'warn'
    queue = {'probe': '1s', 'retry': [keeper.LATER]}
    options = {'crl_refresh': '1s'}

    def test_a_revocation_is_noticed(self):
        """And the replacement of the certificate as well."""
        self.send()
        self.wait_log('event=crl-fetched')
        self.revoke()
        self.wait_log('entries=1')
        self.wait_unparked()
        self.send(20)
        self.relay.wait_deferred(20, 'tls-cert-revoked')
        self.hop.behaviour.certificate = self.successor
        self.check_books()
        self.end()


class Files(Revocation):
    """Lists in files, of certificates that name no URL."""

    def stage(self):
        super().stage()
        self.certificate = self.ca.issue('unlisted', PEER)
        self.hop.behaviour.certificate = self.certificate
        self.file = f'{self.tls}/ca.crl'
        self.options = {'crl_files': [self.file]}
        self.write(self.ca.revoke(form='pem'))

    def write(self, data):
        with open(self.file + '.new', 'wb') as f:
            f.write(data)
        os.rename(self.file + '.new', self.file)

    def test_a_change_is_noticed(self):
        self.send()
        self.wait_arrived()
        self.write(self.ca.revoke(self.certificate))
        self.wait_log('event=trust-renewed')
        self.send()
        self.relay.wait_deferred(1, 'tls-cert-revoked')
        # What is no list is refused, and does not make anybody good.
        self.write(HTML)
        self.assertIn('an HTML page', self.wait_log('event=trust-refused'))
        self.relay.ctl('resubmit', '--deferred', '--yes')
        self.relay.wait_deferred(1, 'tls-cert-revoked')
        self.write(self.ca.revoke())
        self.check_books()
        self.end()

    def test_reload_and_check(self):
        os.unlink(self.file)
        self.relay.ctl('reload', expect=1)
        done = self.relay.ctl('check', 'config', expect=1)
        self.assertIn(self.file, done.stdout + done.stderr)
        self.send()
        self.check_books()
        self.end()


class Clients(Revocation):
    """What a client's certificate proves, if it may be revoked."""

    def setUp(self):
        super().setUp()
        self.relay.close()
        source = section('source', 'known', {
            'networks': ['127.0.0.0/8'], 'client_names': ['client.test']})
        self.relay = Relay(
            *self.sections(), queue=self.queue, sources=source,
            listener={'tls': 'opportunistic', 'identity': ['relay'],
                      'trust': 'ours'})
        self.addCleanup(self.relay.close)

    def rcpt(self, certificate):
        client = sender.Client(self.relay.host, self.relay.port)
        self.addCleanup(client.close)
        client.hello()
        client.start_tls(certificate)
        client.hello()
        client.ask('MAIL FROM:<a@example.com>', '250')
        return client.ask('RCPT TO:<b@example.net>')

    def test_clients(self):
        urls = [self.lists.url('/ca.crl')]
        one = self.ca.issue('one', 'client.test', lists=urls)
        other = self.ca.issue('other', 'client.test', lists=urls)
        self.lists.put('/ca.crl', self.ca.revoke(one))
        # Not known yet: come back later.
        self.assertTrue(self.rcpt(other).startswith('450 4.7.5'))
        self.wait_log('event=crl-fetched')
        self.assertTrue(self.rcpt(other).startswith('250'))
        self.assertTrue(self.rcpt(one).startswith('550 5.7.1'))
        self.end()


if __name__ == '__main__':
    unittest.main()
