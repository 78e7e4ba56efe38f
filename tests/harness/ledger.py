# SPDX-License-Identifier: ISC
"""ledger - compares what was accepted with what arrived: everything, once,
and byte for byte the same below the trace header."""

import collections
import hashlib
import re

KEY = re.compile(rb'^X-Ledger: ([0-9a-f]{32})\r$', re.M)
# What relayd and the peers behind it put on top.
TRACE = re.compile(rb'(?:(?:Received|Return-Path|Delivered-To|X-Original-To|'
                   rb'Envelope-To|Delivery-Date): ?'
                   rb'[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)*', re.I)
RECEIVED = re.compile(rb'^Received: ', re.M)


class Ledger:
    """Books on messages made by sender.message()."""

    def __init__(self):
        self.sent = {}
        self.times = collections.Counter()      # arrivals by key
        self.wrong = []                         # in words

    def expect(self, sent):
        self.sent.update((s.key, s) for s in sent)

    def arrived(self, data, copies=1):
        """Enters a message as it came out; copies: recipients it had."""
        match = KEY.search(data)
        if not match:
            self.wrong.append(f'a stranger: {data[:200]!r}')
            return
        key = match.group(1).decode()
        self.times[key] += copies
        sent = self.sent.get(key)
        if not sent:
            self.wrong.append(f'never sent: {key}')
            return
        top, rest = data[:match.start()], data[match.start():]
        if hashlib.sha256(rest).hexdigest() != sent.sha256:
            self.wrong.append(f'{sent.id}: bytes changed: {len(rest)} came, '
                              f'{sent.bytes} were sent: {rest[:300]!r}')
        if not TRACE.fullmatch(top) or not RECEIVED.search(top):
            self.wrong.append(f'{sent.id}: odd trace header {top!r}')

    def missing(self):
        return [s for s in self.sent.values()
                if self.times[s.key] < len(s.recipients)]

    def repeated(self):
        return [s for s in self.sent.values()
                if self.times[s.key] > len(s.recipients)]

    def check(self, may_repeat=()):
        """Raises AssertionError unless all arrived once each, unchanged;
        may_repeat: ids of messages that may have come more than once."""
        wrong = list(self.wrong)
        wrong += [f'{s.id}: arrived {self.times[s.key]} times, not '
                  f'{len(s.recipients)}' for s in self.missing()]
        wrong += [f'{s.id}: arrived {self.times[s.key]} times and is not '
                  'marked uncertain' for s in self.repeated()
                  if s.id not in may_repeat]
        if wrong:
            more = f'\n... and {len(wrong) - 10} more' * (len(wrong) > 10)
            raise AssertionError('\n'.join(wrong[:10]) + more)

    def __str__(self):
        there = len(self.sent) - len(self.missing())
        return f'{there} of {len(self.sent)}'
