# SPDX-License-Identifier: ISC
"""relayctl check tls against servers with every illness that it is to tell
apart: real ones, and scripted ones for what they can't be made to do.  Each
verdict, in the output for people and in JSON, and the exit status."""

import os
import re
import shutil
import ssl
import sys
import unittest
import warnings

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

# The path comes first.
from harness import certs, net, sender           # noqa: E402
from harness.dns import Dns                      # noqa: E402
from harness.exim import Exim                    # noqa: E402
from harness.opensmtpd import OpenSmtpd          # noqa: E402
from harness.postfix import Postfix              # noqa: E402
from harness.relay import Relay, route, trust, user     # noqa: E402
from harness.sink import Sink                    # noqa: E402
from scripted import Scripted                    # noqa: E402

NAME = 'mx.example.net'
CERTIFICATE = ('chain', 'names', 'dates')
BEFORE_TLS = ('connect', 'banner', 'EHLO', 'STARTTLS')


def neighbour():
    """Another loopback address that no other test process uses."""
    first, second, rest = net.own_host().split('.', 2)
    return f'{first}.{int(second) + 64}.{rest}'


class Doctor(unittest.TestCase):
    """One relayd for all; `out` demands TLS with a certificate for NAME."""

    @classmethod
    def setUpClass(cls):
        cls.dir = net.temp_dir('doctor')
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.certs = certs.Assortment(cls.dir, NAME)
        cls.dns = Dns()
        cls.addClassCleanup(cls.dns.close)
        cls.password = f'{cls.dir}/password'
        with open(cls.password, 'w', encoding='ascii') as f:
            f.write('correct horse\n')
        if os.geteuid() == 0:
            shutil.chown(cls.password, user())
        os.chmod(cls.password, 0o600)
        os.environ['RELAYD_RESOLVER'] = cls.dns.address
        cls.hop = Sink()                # where `mail` goes
        cls.addClassCleanup(cls.hop.close)
        policy = {'tls': 'forced', 'verify': 'name', 'names': [NAME],
                  'trust': 'ours'}
        cls.relay = Relay(
            trust('ours', cls.certs.trusted),
            route('out', hosts=['mx.example.org'],
                  domains=['out.example'], **policy),
            route('login', hosts=['mx.example.org'],
                  domains=['login.example'], auth='plain', auth_user='me',
                  auth_secret_file=cls.password, **policy),
            route('lax', hosts=['mx.example.org'], domains=['lax.example'],
                  tls='opportunistic', trust='ours'),
            route('mail', hosts=[cls.hop.address], **policy),
            queue={'probe': '1h', 'retry': ['1h']})
        cls.addClassCleanup(cls.relay.close)

    @classmethod
    def tearDownClass(cls):
        cls.relay.stop()

    def examine(self, target, *options, expect=1):
        """What it found of each address, and the verdict; the output for
        people must say the same."""
        *found, verdict = self.relay.ctl_json('check', 'tls', target,
                                              *options, expect=expect)
        text = self.relay.ctl('check', 'tls', target, *options,
                              expect=expect).stdout
        self.assertEqual(verdict['verdict'],
                         'failing' if expect else 'healthy')
        for one in found:
            self.assertIn(one['address'] or 'no address', text)
        said = re.search(r'^verdict:  (.*)$', text, re.M).group(1)
        if expect:
            self.assertTrue(said.startswith(
                f'FAIL, {verdict["failing"]} of {verdict["addresses"]} '
                f'addresses: {verdict["diagnosis"]}'), said)
            self.assertIn(f'remedy:   {verdict["remedy"]}\n', text)
            self.assertRegex(text, r'\n  \S+ +FAIL ')
        else:
            self.assertEqual(said, 'healthy')
            self.assertNotIn('FAIL', text)
        return found, verdict

    def ill(self, server, diagnosis, cause, *ok, fails, by='out'):
        """It has this one illness: the steps in ok are well, this one is
        not, and nothing that would come later was reached."""
        (one,), verdict = self.examine(f'{server.host}:{server.port}',
                                       '--route', by)
        steps = {s['step']: s for s in one['steps']}
        self.assertEqual((one['diagnosis'], one['cause']),
                         (diagnosis, cause))
        self.assertEqual((verdict['diagnosis'], verdict['cause']),
                         (diagnosis, cause))
        self.assertFalse(one['healthy'])
        self.assertTrue(verdict['reply'])
        self.assertTrue(verdict['remedy'])
        for step in ok:
            self.assertEqual(steps[step]['result'], 'ok', steps[step])
        self.assertEqual({s for s, v in steps.items()
                          if v['result'] == 'fail'}, set(fails), steps)
        return steps, verdict

    def well(self, server, *options):
        (one,), verdict = self.examine(f'{server.host}:{server.port}',
                                       *(options or ('--route', 'out')),
                                       expect=0)
        self.assertTrue(one['healthy'])
        self.assertEqual((verdict['diagnosis'], verdict['cause']),
                         ('healthy', ''))
        for step in one['steps']:
            self.assertIn(step['result'], ('ok', 'skipped'), step)
        return {s['step']: s for s in one['steps']}, verdict

    def sink(self, certificate=None, **behaviour):
        sink = Sink(certificate)
        self.addCleanup(sink.close)
        for key, value in behaviour.items():
            setattr(sink.behaviour, key, value)
        return sink

    def script(self, banner, **replies):
        server = Scripted(banner, **replies)
        self.addCleanup(server.close)
        return server

    # ------- real servers

    def test_postfix(self):
        server = Postfix(self.certs.good)
        self.addCleanup(server.close)
        steps, verdict = self.well(server)
        self.assertIn('STARTTLS', steps['EHLO']['text'])
        self.assertIn('verified: name', steps['handshake']['text'])
        self.assertEqual(verdict['route'], 'out')
        server.break_tls(smtpd_tls_key_file='/nowhere')
        self.ill(server, 'starttls-refused', 'tls-refused',
                 'connect', 'banner', 'EHLO', fails=['STARTTLS'])
        server.present(None)
        self.ill(server, 'starttls-not-offered', 'tls-not-offered',
                 'connect', 'banner', 'EHLO', fails=['STARTTLS'])

    def test_opensmtpd(self):
        """Debian 12's answers every handshake with internal_error."""
        server = OpenSmtpd(self.certs.good)
        self.addCleanup(server.close)
        steps, _ = self.ill(server, 'tls-handshake', 'tls-handshake',
                            *BEFORE_TLS, fails=['handshake'])
        self.assertIn('internal_error', steps['handshake']['text'])
        server.present(None)
        self.ill(server, 'starttls-not-offered', 'tls-not-offered',
                 'connect', 'banner', 'EHLO', fails=['STARTTLS'])

    def test_exim(self):
        server = Exim(self.certs.good)
        self.addCleanup(server.close)
        self.well(server)
        server.present(self.certs.wrong_name)
        self.ill(server, 'tls-cert-name', 'tls-cert-name',
                 *BEFORE_TLS, 'chain', 'dates', fails=['names'])
        server.present(self.certs.expired)
        self.ill(server, 'tls-cert-expired', 'tls-cert-expired',
                 *BEFORE_TLS, 'chain', 'names', fails=['dates'])

    # ------- why STARTTLS is missing

    def test_masked_verbs(self):
        server = self.script('220 mx.example.net ESMTP',
                             EHLO='250-mx.example.net\n250-SIZE 0\n'
                                  '250-XXXXXXXA\n250 XXXB')
        steps, _ = self.ill(server, 'starttls-masked', 'tls-masked',
                            'connect', fails=['STARTTLS'])
        self.assertEqual(steps['EHLO']['result'], 'warn')
        self.assertIn('XXXXXXXA', steps['EHLO']['text'])
        self.assertNotIn('MAIL', server.heard)

    def test_masked_banner(self):
        server = self.script('220 ****************************2******',
                             EHLO='500 5.3.3 Unrecognized command',
                             HELO='250 mx.example.net')
        self.ill(server, 'starttls-masked', 'tls-masked',
                 'connect', fails=['EHLO', 'STARTTLS'])

    def test_smtp_only(self):
        server = self.script('220 old.example.net Sendmail 5.61',
                             EHLO='500 Command unrecognized',
                             HELO='250 old.example.net')
        steps, _ = self.ill(server, 'smtp-only', 'tls-masked',
                            'connect', 'banner', fails=['EHLO', 'STARTTLS'])
        self.assertIn('HELO is taken', steps['EHLO']['text'])

    def test_blocklisted_and_told_so_in_the_banner(self):
        server = self.script(
            '220-mx.example.net ESMTP\n220 127.0.0.1 is on a blocklist, see '
            'https://bl.example.org/', EHLO='250-mx.example.net\n250 SIZE')
        self.ill(server, 'blocklisted', 'tls-not-offered',
                 'connect', 'banner', 'EHLO', fails=['STARTTLS'])

    def test_blocklisted_and_refused(self):
        server = self.script('554 5.7.1 Service unavailable; client host '
                             'blocked using zen.spamhaus.org')
        self.ill(server, 'blocklisted', 'peer-blocklisted',
                 'connect', fails=['banner'])

    def test_exchange_lost_its_certificate(self):
        server = self.script(
            '220 EX01.contoso.com Microsoft ESMTP MAIL Service ready at Tue, '
            '24 Nov 2026 18:00:00 +0000',
            EHLO='250-EX01.contoso.com Hello [127.0.0.1]\n250-SIZE 37748736\n'
                 '250-PIPELINING\n250-DSN\n250-ENHANCEDSTATUSCODES\n'
                 '250-8BITMIME\n250-BINARYMIME\n250 CHUNKING')
        _, verdict = self.ill(server, 'exchange-certificate',
                              'tls-not-offered', 'connect', 'banner', 'EHLO',
                              fails=['STARTTLS'])
        self.assertIn('12014', verdict['probable_cause'])

    def test_exchange_online_hides_it(self):
        server = self.script(
            '220 DB5EUR03.mail.protection.outlook.com Microsoft ESMTP MAIL '
            'Service ready', EHLO='250-DB5EUR03.mail.protection.outlook.com '
            'Hello [127.0.0.1]\n250-SIZE 157286400\n250 CHUNKING')
        self.ill(server, 'blocklisted-by-cloud', 'tls-not-offered',
                 'connect', 'banner', 'EHLO', fails=['STARTTLS'])

    # ------- the handshake

    def test_454(self):
        server = self.sink(self.certs.good, starttls='refuse')
        steps, _ = self.ill(server, 'starttls-refused', 'tls-refused',
                            'connect', 'banner', 'EHLO', fails=['STARTTLS'])
        self.assertTrue(steps['STARTTLS']['text'].startswith('454'))

    def test_reset_in_the_hello(self):
        server = self.sink(self.certs.good, starttls='reset')
        self.ill(server, 'hello-reset', 'tls-handshake',
                 *BEFORE_TLS, fails=['handshake'])

    def test_version_floor(self):
        server = self.sink(self.certs.good,
                           minimum_tls=ssl.TLSVersion.TLSv1,
                           maximum_tls=ssl.TLSVersion.TLSv1_1,
                           ciphers='DEFAULT@SECLEVEL=0')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', DeprecationWarning)
            self.ill(server, 'version-floor', 'tls-version',
                     *BEFORE_TLS, fails=['handshake'])

    # ------- the certificate

    def test_inspection_box(self):
        box = certs.Authority(self.dir, 'Fortinet')
        server = self.sink(box.issue('box', NAME))
        steps, _ = self.ill(server, 'tls-inspection', 'tls-cert-untrusted',
                            *BEFORE_TLS, 'names', 'dates', fails=['chain'])
        self.assertIn('Fortinet', steps['chain']['text'])

    def test_untrusted(self):
        self.ill(self.sink(self.certs.untrusted), 'tls-cert-untrusted',
                 'tls-cert-untrusted', *BEFORE_TLS, 'names', 'dates',
                 fails=['chain'])

    def test_self_signed(self):
        self.ill(self.sink(self.certs.self_signed), 'tls-cert-self-signed',
                 'tls-cert-self-signed', *BEFORE_TLS, 'names', 'dates',
                 fails=['chain'])

    def test_two_faults_are_both_shown(self):
        strange = certs.Authority(self.dir, 'strange')
        server = self.sink(strange.issue('old', NAME, begins=-30, ends=-1))
        self.ill(server, 'tls-cert-untrusted', 'tls-cert-untrusted',
                 *BEFORE_TLS, 'names', fails=['chain', 'dates'])

    # ------- addresses

    def nodes(self, good, other):
        """Two servers under one name and port."""
        while True:
            port = net.free_port()
            try:
                servers = [Sink(good, port=port)]
                self.addCleanup(servers[0].close)
                servers.append(Sink(other, neighbour(), port))
                self.addCleanup(servers[1].close)
                break
            except OSError:
                continue
        self.dns.add('farm.example.net', 'A', *[s.host for s in servers])
        return f'farm.example.net:{port}'

    def test_one_bad_node(self):
        target = self.nodes(self.certs.good, self.certs.expired)
        found, verdict = self.examine(target, '--route', 'out')
        self.assertEqual({f['address'].split(':')[0]: f['cause']
                          for f in found},
                         {net.own_host(): '',
                          neighbour(): 'tls-cert-expired'})
        self.assertEqual((verdict['diagnosis'], verdict['cause'],
                          verdict['failing'], verdict['addresses']),
                         ('bad-node', 'tls-cert-expired', 1, 2))
        bad, = verdict['failing_at']
        self.assertTrue(bad.startswith(neighbour()))
        self.assertIn(f'at:       {bad}\n', self.relay.ctl(
            'check', 'tls', target, '--route', 'out', expect=1).stdout)

    def test_no_bad_node(self):
        target = self.nodes(self.certs.good, self.certs.good)
        found, _ = self.examine(target, '--route', 'out', expect=0)
        self.assertEqual(len(found), 2)

    def test_no_such_name(self):
        (one,), verdict = self.examine('nowhere.example.net')
        self.assertEqual(one['address'], '')
        self.assertEqual(one['steps'][0]['result'], 'fail')
        self.assertEqual(verdict['diagnosis'], 'dns-nxdomain')

    def test_nobody_listens(self):
        (one,), verdict = self.examine(f'{net.own_host()}:{net.free_port()}')
        self.assertEqual(one['steps'][1]['result'], 'fail')
        self.assertEqual(verdict['diagnosis'], 'connect-refused')

    # ------- the login

    def test_login(self):
        server = self.sink(self.certs.good, auth_offer=('PLAIN',))
        steps, _ = self.well(server, '--route', 'login')
        self.assertEqual(steps['AUTH']['result'], 'ok')
        self.assertEqual(server.connections[0].logins,
                         [('PLAIN', 'me', 'correct horse')])
        server.behaviour.auth = lambda *_: '535 5.7.8 Bad credentials'
        self.ill(server, 'auth-failed', 'auth-failed', *BEFORE_TLS,
                 'handshake', *CERTIFICATE, fails=['AUTH'], by='login')

    # ------- which policy, and what it blocks

    def test_what_the_policy_does_not_mind(self):
        server = self.sink(self.certs.self_signed)
        (one,), verdict = self.examine(f'{server.host}:{server.port}',
                                       '--route', 'lax', expect=0)
        self.assertEqual(verdict['policy']['tls'], 'opportunistic')
        self.assertEqual({s['step'] for s in one['steps']
                          if s['result'] == 'warn'}, {'chain', 'names'})

    def test_without_a_route_the_strictest(self):
        server = self.sink(self.certs.good)
        _, verdict = self.examine(f'{server.host}:{server.port}')
        self.assertEqual((verdict['route'], verdict['policy']['verify']),
                         ('', 'name'))
        text = self.relay.ctl('check', 'tls', f'{server.host}:{server.port}',
                              expect=1).stdout
        self.assertIn('no route has this host', text)

    def test_what_it_blocks(self):
        sender.send_many(self.relay.host, self.relay.port, 5)
        net.wait_for('all are deferred', lambda: [
            (row['state'], row['recipients']) for row in self.relay.summary()
        ] == [('deferred', 5)])
        target = f'{self.hop.host}:{self.hop.port}'
        _, verdict = self.examine(target)
        self.assertEqual((verdict['route'], verdict['destination'],
                          verdict['messages'], verdict['recipients']),
                         ('mail', f'mail/{target}', 5, 5))
        self.assertIn('blocks:   5 queued messages for 5 recipients',
                      self.relay.ctl('check', 'tls', target, expect=1).stdout)
        self.relay.ctl('exception', 'add', '--destination', f'mail/{target}',
                       '--allow', 'clear', '--until', '1h', '--reason', 'x')
        self.hop.wait(5)
        self.relay.wait_empty()
        _, verdict = self.examine(target)
        self.assertEqual(verdict['exception']['allow'], ['clear'])
        self.assertEqual(verdict['messages'], 0)
        self.relay.ctl('exception', 'remove', f'mail/{target}')

    def test_refused(self):
        wrong = self.relay.ctl('check', 'tls', 'not a host', expect=2)
        self.assertIn('wants HOST', wrong.stderr)
        none = self.relay.ctl('check', 'tls', 'mx.example.net', '--route',
                              'none', expect=1)
        self.assertIn('no route "none"', none.stderr)
        self.relay.ctl('check', 'tls', expect=2)


if __name__ == '__main__':
    unittest.main()
