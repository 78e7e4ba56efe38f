# SPDX-License-Identifier: ISC
"""keeper - relayd with credentials that a test replaces while it runs: what
the tests of reload, foresight and the list of certificates have in common."""

import os
import re
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

# The path comes first.
from harness import certs, net, sender           # noqa: E402
from harness.ledger import Ledger                # noqa: E402
from harness.relay import (Relay, identity, route,      # noqa: E402
                           trust)
from harness.sink import Sink                    # noqa: E402

NAME = 'relay.example.com'
PEER = 'mx.example.net'
LATER = '1h'            # a probe that nobody waits for


def put(source, target):
    """Puts a copy of a file in the place of another, as programs that care
    do: whole, by rename."""
    shutil.copy(source, target + '.new')
    os.rename(target + '.new', target)


def logfmt(line):
    return {key: value.strip('"') for key, value in
            re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line)}


class Keeper(unittest.TestCase):
    """Each test has a next hop, self.hop, a directory, self.tls, with
    relay.pem, relay.key and ca.pem, and a relayd, self.relay, that uses
    them: towards clients, and towards the next hop."""

    queue = {'probe': LATER, 'retry': [LATER]}
    out = {}                # options of the route
    listener = {}
    sources = ''

    def setUp(self):
        self.dir = net.temp_dir('keeper')
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.tls = f'{self.dir}/tls'
        self.files = certs.Certificate(f'{self.tls}/relay.pem',
                                       f'{self.tls}/relay.key')
        self.ca = certs.Authority(self.dir)
        self.other_ca = certs.Authority(self.dir, 'other')
        self.old = self.ca.issue('old', NAME)
        self.new = self.ca.issue('new', NAME)
        self.lay_out()
        self.ledger = Ledger()
        self.hop = Sink(self.ca.issue('hop', PEER))
        self.addCleanup(self.hop.close)
        self.stage()
        self.relay = Relay(*self.sections(), queue=self.queue,
                           listener={'tls': 'opportunistic',
                                     'identity': ['relay'],
                                     **self.listener},
                           sources=self.sources)
        self.addCleanup(self.relay.close)

    def lay_out(self):
        os.mkdir(self.tls)
        shutil.copy(self.old.pem, self.files.pem)
        shutil.copy(self.old.key, self.files.key)
        self.believe(self.ca)

    def believe(self, *authorities):
        """What relayd trusts from now on."""
        with open(f'{self.tls}/ca.new', 'wb') as out:
            for ca in authorities:
                with open(ca.pem, 'rb') as f:
                    out.write(f.read())
        os.rename(f'{self.tls}/ca.new', f'{self.tls}/ca.pem')

    def install(self, certificate):
        """Makes it ours."""
        put(certificate.key, self.files.key)
        put(certificate.pem, self.files.pem)

    def stage(self):
        """What a test prepares before relayd starts."""

    def sections(self, **options):
        return (identity('relay', self.files),
                trust('ours', f'{self.tls}/ca.pem'),
                route('out', **{'hosts': [self.hop.address], 'tls': 'forced',
                                'names': [PEER], 'trust': 'ours',
                                'identity': 'relay', **self.out, **options}))

    def client(self, certificate=None):
        """A connection in TLS, with a certificate or without."""
        client = sender.Client(self.relay.host, self.relay.port)
        self.addCleanup(client.close)
        client.hello()
        client.start_tls(certificate)
        client.hello()
        return client

    def shown(self):
        """The certificate a new client is shown, DER."""
        with self.client() as client:
            return client.socket.getpeercert(True)

    def wait_shown(self, certificate, timeout_s=60):
        wanted = certs.der(certificate.pem)
        net.wait_for(f'{certificate.pem} is shown',
                     lambda: self.shown() == wanted, timeout_s, 0.02)

    def wait_log(self, text, timeout_s=60):
        """Waits for a line of the log and returns it."""
        def find():
            return next((line for line in self.relay.log().splitlines()
                         if text in line), None)
        try:
            return net.wait_for(f'"{text}" in the log', find, timeout_s)
        except net.TimedOut as e:
            raise net.TimedOut(f'{e}\n{self.relay.log()[-4000:]}') from None

    def facts(self, text):
        """The lines of the log that hold text, as dictionaries."""
        return [logfmt(line) for line in self.relay.log().splitlines()
                if text in line]

    def status(self):
        row, = self.relay.ctl_json('status')
        return row

    def wait_refused(self, n):
        return net.wait_for(f'{n} refused', lambda: (
            len(self.status()['refused']) == n) and self.status())

    def send(self, n=1):
        sent = sender.send_many(self.relay.host, self.relay.port, n)
        self.ledger.expect(sent)
        return sent

    def check_books(self):
        self.relay.wait_empty()
        for arrival in self.hop.arrivals:
            self.ledger.arrived(arrival.data, len(arrival.recipients))
        self.ledger.check()

    def end(self):
        """The end of a test: a graceful stop is part of it."""
        self.relay.stop()
