# SPDX-License-Identifier: ISC
"""bounce - a scene for notices: a next hop for recipients, and a mailbox for
senders; and how a notice is read."""

import email
import email.policy
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), 'queue'))

# The path comes first.
import scene                                     # noqa: E402
from harness.relay import Relay, route           # noqa: E402
from harness.sink import Sink                    # noqa: E402

SENDER = 'alice@example.com'
POSTMASTER = 'boss@example.org'


class Bounces(scene.Scene):
    """Mail for example.net goes to self.hop, for example.com to self.home,
    for example.org to self.office: the postmaster's."""

    queue = {'retry': ['1s'], 'keep_expired': '1d', 'hold_clock': '0s'}
    top = {'postmaster': POSTMASTER}

    def setUp(self):
        self.home = Sink()
        self.addCleanup(self.home.close)
        self.office = Sink()
        self.addCleanup(self.office.close)
        self.hop = Sink()
        self.addCleanup(self.hop.close)
        self.ledger = scene.Ledger()
        self.relay = Relay(*self.sections(), queue=self.queue, top=self.top)
        self.addCleanup(self.relay.close)

    def sections(self):
        return (route('out', **{'domains': ['example.net'],
                                'hosts': [self.hop.address], 'tls': 'off',
                                **self.out}),
                route('home', domains=['example.com'], tls='off',
                      hosts=[self.home.address]),
                route('office', domains=['example.org'], tls='off',
                      hosts=[self.office.address]))

    def submit(self, *recipients, sender=SENDER, data=None, mail='',
               rcpt=''):
        """One message; the number that relayd gave it."""
        client = self.client()
        client.ask(f'MAIL FROM:<{sender}>{mail}', '250')
        for r in recipients:
            client.ask(f'RCPT TO:<{r}>{rcpt}', '250')
        client.ask('DATA', '354')
        data = data or (b'From: alice@example.com\r\n'
                        b'Message-ID: <m1@example.com>\r\n'
                        b'Subject: hello\r\n\r\nHow are you?\r\n')
        client.send(scene.sender.stuffed(data) + b'.\r\n')
        reply = client.reply()
        self.assertTrue(reply.startswith('250'), reply)
        client.ask('QUIT')
        return scene.sender.QUEUED.match(reply).group(1)


class Notice:
    """A notice as it arrived."""

    def __init__(self, arrival):
        self.arrival = arrival
        self.text = arrival.data
        self.message = email.message_from_bytes(
            arrival.data, policy=email.policy.default)
        self.parts = list(self.message.iter_parts())

    @property
    def words(self):
        return self.parts[0].get_content()

    @property
    def about(self):
        """The fields about the message, and those about each recipient."""
        return self.parts[1].get_payload()

    @property
    def original(self):
        return self.parts[2]


def read_flufl(arrival):
    """The temporary and permanent failures that flufl.bounce finds."""
    from flufl.bounce import all_failures
    return all_failures(email.message_from_bytes(arrival.data))
