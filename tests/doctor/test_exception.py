# SPDX-License-Identifier: ISC
"""TLS exceptions: what they let pass and nothing else, that they end by
themselves and survive a restart, and where they are seen."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

# The path comes first.
from harness import certs, net, sender           # noqa: E402
from harness.relay import Relay, route, trust    # noqa: E402
from harness.sink import Sink                    # noqa: E402

NAME = 'mx.example.net'


def key_hash(certificate):
    """The SHA-256 of the certificate's SubjectPublicKeyInfo, in hex."""
    pem = subprocess.run(['certtool', '--load-privkey', certificate.key,
                          '--pubkey-info'], check=True, capture_output=True,
                         text=True).stdout
    body = pem.split('-----')[2]
    return hashlib.sha256(base64.b64decode(body)).hexdigest()


class Exceptions(unittest.TestCase):
    """Each test has a next hop, at first with an expired certificate, and a
    relayd that demands a good one."""

    @classmethod
    def setUpClass(cls):
        cls.dir = net.temp_dir('exception')
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.certs = certs.Assortment(cls.dir, NAME)

    def setUp(self):
        self.hop = Sink(self.certs.expired)
        self.addCleanup(self.hop.close)
        self.name = f'out/{self.hop.host}:{self.hop.port}'
        # Nothing is probed or retried by itself while a test runs.
        self.relay = Relay(*self.sections(),
                           queue={'probe': '1h', 'retry': ['1h']})
        self.addCleanup(self.relay.close)

    def sections(self, **options):
        return (trust('ours', self.certs.trusted),
                route('out', **{'hosts': [self.hop.address], 'tls': 'forced',
                                'verify': 'name', 'names': [NAME],
                                'trust': 'ours', **options}))

    def send(self, n=3):
        return sender.send_many(self.relay.host, self.relay.port, n)

    def defer(self, cause, n=3):
        sent = self.send(n)
        self.relay.wait_deferred(n, cause)
        self.assertEqual(self.hop.arrivals, [])
        return sent

    def add(self, allow, *more, until='1h', expect=0):
        return self.relay.ctl('exception', 'add', '--destination', self.name,
                              '--allow', allow, '--until', until,
                              '--reason', 'renewal is ordered', *more,
                              expect=expect)

    def list(self):
        return self.relay.ctl_json('exception', 'list')

    def attempts(self, sent):
        return [row for row in self.relay.ctl_json('trace', sent.id)
                if row['event'] in ('delivered', 'deferred')]

    def wait_probed(self):
        """The destination was tried and has failed again."""
        before = len(self.hop.connections)

        def tried():
            # One that is asked for while another is under way is that one.
            self.relay.ctl('destination', 'probe', self.name)
            return len(self.hop.connections) > before
        net.wait_for('a probe', tried, pause_s=0.3)

    def wait_ended(self):
        net.wait_for('the exception has ended', lambda: not self.list())

    # ------- what they let pass

    def test_mail_goes_and_it_is_seen(self):
        sent = self.defer('tls-cert-expired')
        self.assertIn('ends in', self.add('expired').stdout)
        self.hop.wait(3)
        self.relay.wait_empty()
        events = self.attempts(sent[0])
        self.assertEqual(events[-1]['event'], 'delivered')
        self.assertEqual(events[-1]['verified'], 'exception')
        self.assertTrue(events[-1]['tls'].startswith('TLS1.'))
        self.assertIn('verified=exception', self.relay.log())
        one, = self.list()
        self.assertEqual((one['destination'], one['allow'], one['reason']),
                         (self.name, ['expired'], 'renewal is ordered'))
        status, = self.relay.ctl_json('status')
        self.assertEqual(status['exceptions'], [one])
        shown = self.relay.ctl('status').stdout
        self.assertIn('1 TLS exception in force', shown)
        self.assertIn('renewal is ordered', shown)
        entry = self.relay.ctl_json('audit')[0]
        self.assertEqual(entry['verb'], 'exception add')
        self.assertEqual(entry['request']['destination'], self.name)
        self.relay.stop()

    def test_just_the_faults_that_are_named(self):
        self.hop.behaviour.certificate = self.certs.wrong_name
        self.defer('tls-cert-name')
        self.add('expired,untrusted,crl')
        self.wait_probed()
        self.assertEqual(self.hop.arrivals, [])
        self.add('name')
        self.hop.wait(3)
        self.assertEqual(self.list()[0]['allow'], ['name'])

    def test_only_for_the_pinned_key(self):
        self.defer('tls-cert-expired')
        self.add('expired', '--pin', key_hash(self.certs.good))
        self.wait_probed()
        self.assertEqual(self.hop.arrivals, [])
        self.add('expired', '--pin', key_hash(self.certs.expired))
        self.hop.wait(3)

    def test_untrusted(self):
        self.hop.behaviour.certificate = self.certs.self_signed
        self.defer('tls-cert-self-signed')
        self.add('untrusted')
        self.hop.wait(3)

    def test_clear_where_tls_is_not_offered(self):
        self.hop.behaviour.starttls = 'hide'
        sent = self.defer('tls-not-offered')
        self.add('expired,name,untrusted,crl')
        self.wait_probed()
        self.assertEqual(self.hop.arrivals, [])
        self.add('clear')
        self.hop.wait(3)
        self.relay.wait_empty()
        event = self.attempts(sent[0])[-1]
        self.assertEqual((event['verified'], event['tls']),
                         ('exception', ''))

    def test_clear_where_tls_fails(self):
        self.hop.behaviour.starttls = 'refuse'
        self.defer('tls-refused')
        self.add('clear')
        self.hop.wait(3)

    def test_clear_is_no_way_round_a_certificate(self):
        self.defer('tls-cert-expired')
        self.add('clear')
        self.wait_probed()
        self.assertEqual(self.hop.arrivals, [])
        self.assertNotIn(b'MAIL', b''.join(self.hop.clear_text()))

    def test_a_good_certificate_needs_none(self):
        self.hop.behaviour.certificate = self.certs.good
        self.add('expired,name,untrusted,crl,clear')
        sent = self.send(1)
        self.hop.wait(1)
        self.relay.wait_empty()
        self.assertEqual(self.attempts(sent[0])[-1]['verified'], 'name')

    # ------- their end

    def test_ends_by_itself(self):
        """No message goes after its end, not even over a connection that is
        open."""
        self.add('expired', until='3s')
        ends = time.monotonic() + 3     # or a moment before
        late = 0
        while time.monotonic() < ends + 1:
            began = time.monotonic()
            self.send(1)
            late += began > ends
        self.wait_ended()
        self.assertGreater(late, 0)
        self.assertGreater(len(self.hop.arrivals), 0)
        net.wait_for('the last are deferred',
                     lambda: self.relay.summary()[-1]['state'] == 'deferred'
                     and self.relay.waiting() >= late)
        self.assertIn('event=exception-ended', self.relay.log())
        self.relay.stop()

    def test_removed(self):
        self.add('expired')
        self.send(3)
        self.hop.wait(3)
        self.relay.ctl('exception', 'remove', self.name)
        self.assertEqual(self.list(), [])
        self.send(3)
        self.relay.wait_deferred(3, 'tls-cert-expired')
        self.assertEqual(len(self.hop.arrivals), 3)
        self.assertEqual(self.relay.ctl_json('audit')[0]['verb'],
                         'exception remove')
        gone = self.relay.ctl('exception', 'remove', self.name, expect=1)
        self.assertIn('has no exception', gone.stderr)

    def test_survives_a_crash_but_not_its_time(self):
        self.add('expired')
        self.relay.kill()
        self.relay.start()
        self.send(3)
        self.hop.wait(3)
        self.add('expired', until='1s')
        self.relay.kill()
        time.sleep(1.1)
        self.relay.start()
        self.wait_ended()
        self.send(3)
        self.relay.wait_deferred(3, 'tls-cert-expired')

    def test_a_route_may_come_to_have_none(self):
        self.add('expired')
        self.send(1)
        self.hop.wait(1)
        self.relay.reload(*self.sections(no_exceptions=True))
        self.send(3)
        self.relay.wait_deferred(3, 'tls-cert-expired')
        refused = self.add('expired', expect=1)
        self.assertIn('no_exceptions', refused.stderr)
        self.relay.reload(*self.sections())
        self.hop.wait(4)

    # ------- what is refused

    def test_refused(self):
        def add(**changes):
            options = {'destination': self.name, 'allow': 'expired',
                       'until': '24h', 'reason': 'r', **changes}
            return self.relay.ctl('exception', 'add',
                                  *[f'--{k}={v}' for k, v in options.items()
                                    if v is not None], expect=None)
        for changes, code, text in (
                ({'until': '31d'}, 1, '30d at the most'),
                ({'until': '0s'}, 2, 'wants a duration'),
                ({'until': 'tomorrow'}, 2, 'wants a duration'),
                ({'allow': 'expired,everything'}, 2, 'wants some of'),
                ({'allow': ''}, 2, 'wants some of'),
                ({'pin': 'beef'}, 2, 'pin: wants'),
                ({'allow': 'clear', 'pin': 64 * 'a'}, 2, 'no key'),
                ({'destination': 'out/other:25'}, 1, 'wants the name'),
                ({'destination': 'nowhere/x:25'}, 1, 'wants the name'),
                ({'destination': '*'}, 1, 'wants the name'),
                ({'reason': ''}, 2, 'reason: wants'),
                ({'reason': None}, 2, '--reason is missing'),
                ({'until': None}, 2, '--until is missing')):
            with self.subTest(**changes):
                done = add(**changes)
                self.assertEqual(done.returncode, code)
                self.assertIn(text, done.stderr)
        self.assertEqual(self.list(), [])
        self.assertEqual(add(until='30d').returncode, 0)


if __name__ == '__main__':
    unittest.main()
