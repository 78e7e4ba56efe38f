# SPDX-License-Identifier: ISC
"""What relayd hands to Postfix, Exim and OpenSMTPD arrives unchanged in every
combination of the extensions that they can be told to hide; what a next hop
can't take fails, and is never changed to fit."""

import concurrent.futures
import hashlib
import os
import re
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

from harness import certs, hops, net, sender     # noqa: E402
from harness.ledger import Ledger                # noqa: E402
from harness.relay import Relay, route, trust    # noqa: E402

NAME = 'mx.example.net'
KEY = re.compile(rb'^X-Ledger: ([0-9a-f]{32})\r$', re.M)


def seven_bit():
    key, data = sender.message(1500)
    return key, data.translate(bytes(range(128)) + b'?' * 128)


def eight_bit():
    key, data = sender.message(1500)
    return key, data + b'\xe4\xf6\xfc\r\n'


class Hops:
    """What each of them is put through."""

    next_hop = None
    does_tls = True

    @classmethod
    def setUpClass(cls):
        cls.dir = net.temp_dir('hops')
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.authority = certs.Authority(cls.dir)
        cls.peer = cls.next_hop(cls.authority.issue('good', NAME))
        cls.addClassCleanup(cls.peer.close)
        # By number: the domain that is routed to the port.
        cls.hidden = list(cls.peer.ports)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            cls.offered = list(pool.map(cls.peer.offers,
                                        cls.peer.ports.values()))

    def setUp(self):
        self.peer.empty()
        self.relay = Relay(
            trust('ours', self.authority.pem),
            *[self.route(n, port, 'STARTTLS' in offered)
              for n, (port, offered) in enumerate(zip(
                  self.peer.ports.values(), self.offered))],
            # A busy Postfix answers STARTTLS with 454 now and then.
            queue={'retry': ['1s'], 'probe': '1s'})
        self.addCleanup(self.relay.close)
        self.client = sender.Client(self.relay.host, self.relay.port)
        self.addCleanup(self.client.close)
        self.ehlo = self.client.ask('EHLO client.example.com', '250')
        self.ledger = Ledger()
        self.port_of = {}       # number of the port by key

    def route(self, n, port, tls):
        options = {'tls': 'opportunistic'}
        if tls and self.does_tls:
            options = {'tls': 'forced', 'verify': 'name', 'names': [NAME],
                       'trust': 'ours'}
        return route(f'hop{n}', [f'c{n}.example.net'],
                     hosts=[f'[{self.peer.host}]:{port}'], **options)

    def hand_over(self, n, make, sender_='alice@example.com', mail='',
                  user='bob', rcpt=''):
        """A message for one of the ports."""
        key, data = make()
        self.client.ask(f'MAIL FROM:<{sender_}>{mail}', '250')
        self.client.ask(f'RCPT TO:<{user}@c{n}.example.net>{rcpt}', '250')
        self.client.ask('DATA', '354')
        self.client.send(sender.stuffed(data) + b'.\r\n')
        match = sender.QUEUED.match(self.client.reply())
        self.ledger.expect([sender.Sent(
            key, match[1], hashlib.sha256(data).hexdigest(), len(data),
            (user,))])
        self.port_of[key] = n

    def which(self, *words):
        """Ports where nothing but these is hidden."""
        return [n for n, hidden in enumerate(self.hidden)
                if hidden <= set(words)]

    def take_back(self, n):
        """What was handed over for this port is not to arrive."""
        for key in [k for k, port in self.port_of.items() if port == n]:
            del self.ledger.sent[key]

    def failed(self):
        """Enhanced codes by the number of the port."""
        codes = {}
        for message in self.relay.ctl_json('queue', 'list', '--state',
                                           'failed'):
            last = [e for e in self.relay.ctl_json('trace', message['id'])
                    if e['event'] == 'failed'][-1]
            port = re.search(r'@c(\d+)\.', last['recipient'])[1]
            codes[int(port)] = last['status']
        return codes

    def arrivals(self):
        """All that came, entered in the books, by the number of the port."""
        # A graceful stop waits for clients.
        self.client.close()
        self.relay.wait_empty()
        wanted = len(self.ledger.sent)
        net.wait_for(f'{wanted} messages arrived',
                     lambda: self.peer.count() >= wanted, 30, 0.1)
        came = {}
        for data in self.peer.arrivals():
            self.ledger.arrived(data)
            came[self.port_of[KEY.search(data)[1].decode()]] = data
        self.ledger.check()
        return came

    def test_hidden(self):
        """The combinations are what they say."""
        everything = self.peer.offers(self.peer.port)
        for hidden, offered in zip(self.hidden, self.offered):
            # An extension of PIPELINING.
            rest = {'PIPECONNECT'} if 'PIPELINING' in hidden else set()
            self.assertEqual(offered, everything - hidden - rest)

    def test_seven_bit(self):
        """What everybody can take, over TLS where it is offered and
        works."""
        for n, _ in enumerate(self.offered):
            self.hand_over(n, seven_bit)
        came = self.arrivals()
        for n, offered in enumerate(self.offered):
            trace = came[n][:came[n].index(b'X-Ledger')]
            self.assertEqual(bool(re.search(rb'with e?smtps', trace, re.I)),
                             'STARTTLS' in offered and self.does_tls, trace)
        self.assertFalse(self.failed())
        self.relay.stop()

    def test_eight_bit(self):
        """As it is where 8BITMIME is offered, else not at all."""
        ports = self.which('8BITMIME', 'CHUNKING', 'PIPELINING', 'SIZE')
        for n in ports:
            self.hand_over(n, eight_bit, mail=' BODY=8BITMIME')
        self.relay.wait_empty()
        failed = self.failed()
        self.assertEqual(failed, {n: '5.6.3' for n in ports
                                  if '8BITMIME' not in self.offered[n]})
        for n in failed:
            self.take_back(n)
        self.arrivals()
        self.relay.stop()

    def test_smtputf8(self):
        """Addresses that need it go where it is offered, and fail elsewhere
        before they are said."""
        self.assertIn('SMTPUTF8', self.ehlo)
        ports = self.which('SMTPUTF8', '8BITMIME', 'CHUNKING')
        for n in ports:
            self.hand_over(n, eight_bit, 'alic\u00e9@example.com',
                           ' BODY=8BITMIME SMTPUTF8', 'b\u00f6b')
        self.relay.wait_empty()
        failed = self.failed()
        codes = {n: self.code_without(self.offered[n]) for n in ports}
        self.assertEqual(failed, {n: c for n, c in codes.items() if c})
        for n in failed:
            self.take_back(n)
        self.arrivals()
        self.relay.stop()

    @staticmethod
    def code_without(offered):
        if 'SMTPUTF8' not in offered:
            return '5.6.7'
        return None if '8BITMIME' in offered else '5.6.3'

    def test_dsn(self):
        """Its parameters are said where they are offered, and keep nothing
        from being delivered."""
        self.assertIn('DSN', self.ehlo)
        for n in self.which('DSN', 'PIPELINING', 'SIZE', '8BITMIME'):
            self.hand_over(n, seven_bit, mail=' RET=HDRS ENVID=a+2Bb',
                           rcpt=' NOTIFY=FAILURE,DELAY '
                                'ORCPT=rfc822;bob+2B1@example.net')
        self.arrivals()
        self.assertFalse(self.failed())
        self.relay.stop()


class Postfix(Hops, unittest.TestCase):
    next_hop = hops.Postfix


class Exim(Hops, unittest.TestCase):
    next_hop = hops.Exim


class OpenSmtpd(Hops, unittest.TestCase):
    next_hop = hops.OpenSmtpd
    does_tls = False        # it offers it, but see tests/story


if __name__ == '__main__':
    unittest.main()
