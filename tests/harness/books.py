# SPDX-License-Identifier: ISC
"""books - the ledgers of a sender and of a sink, each in a file of its own that
is synced line by line, and an auditor that compares them with what relayd says
of itself.

A message is accepted when its sender has read 250.  It is lost when it is in no
visible place afterwards: not arrived, not in the queue, not failed or expired
with a notice to its sender.  It is an unmarked duplicate when a recipient got
it more often than its history has uncertain attempts, and once more.  What
arrives must be what was sent, byte for byte, below the trace fields.
"""

import collections
import hashlib
import http.client
import json
import os
import re
import socket
import threading

from .ledger import KEY, TRACE

QUEUE_ID = re.compile(rb'\bid ([0-9A-Z]{13})[;\s]')
ABOUT = re.compile(rb'^X-Relayd-Queue-Id: ([0-9A-Z]{13})\r$', re.M)
TOLD = re.compile(rb'^Final-Recipient: rfc822; (\S+)\r$', re.M)
FINAL = ('delivered', 'failed', 'expired', 'removed')


class Book:
    """A file of JSON lines.  A line that must outlive everything is synced
    before enter() returns."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        self.file = open(path, 'ab', buffering=0)

    def enter(self, sync=True, **line):
        with self.lock:
            self.file.write(json.dumps(line).encode() + b'\n')
            if sync:
                os.fdatasync(self.file.fileno())

    def close(self):
        self.file.close()

    def lines(self):
        with open(self.path, encoding='ascii') as f:
            return [json.loads(line) for line in f]


class Sender:
    """What was begun, and what was accepted."""

    def __init__(self, path):
        self.book = Book(path)
        self.accepted = 0

    def begins(self, key, data, recipients):
        """Before the first byte: also what is not accepted may arrive."""
        self.book.enter(False, begun=key, bytes=len(data),
                        sha256=hashlib.sha256(data).hexdigest(),
                        recipients=recipients)

    def read_250(self, key, queue_id):
        self.book.enter(accepted=key, id=queue_id)
        self.accepted += 1


class Receiver:
    """What arrived; entered before the sink says 250."""

    def __init__(self, path):
        self.book = Book(path)
        self.arrived = 0

    def enter(self, arrival):
        data = arrival.data
        key = KEY.search(data)
        queue_id = QUEUE_ID.search(data)
        line = {'id': queue_id.group(1).decode() if queue_id else '',
                'recipients': arrival.recipients}
        if arrival.sender:
            line['key'] = key.group(1).decode() if key else ''
            at = key.start() if key else 0
            line['sha256'] = hashlib.sha256(data[at:]).hexdigest()
            line['trace'] = TRACE.fullmatch(data[:at]) is not None
        else:
            about = ABOUT.search(data)
            line['about'] = about.group(1).decode() if about else ''
            line['told'] = [m.decode() for m in TOLD.findall(data)]
        self.book.enter(**line)
        self.arrived += 1


class History:
    """What relayd's trace of a message says of each recipient."""

    def __init__(self, events):
        self.known = bool(events)
        self.outcome = {}
        self.uncertain = collections.Counter()
        self.given_up = collections.Counter()
        for event in events:
            recipient = event['recipient']
            if event['event'] in FINAL:
                self.outcome[recipient] = event['event']
            # Not for good, if an operator has it resubmitted.
            if event['event'] in ('failed', 'expired'):
                self.given_up[recipient] += 1
            if event.get('uncertain'):
                self.uncertain[recipient] += 1


class _Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('relayd')
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


def history(control, queue_id):
    """Asked at the control socket: quicker than a relayctl for each."""
    connection = _Unix(control)
    try:
        connection.request('GET', f'/v1/trace/{queue_id}')
        answer = connection.getresponse()
        body = answer.read()
        if answer.status == 404:
            return History([])
        if answer.status != 200:
            raise AssertionError(f'trace {queue_id}: {answer.status} {body}')
        return History([json.loads(line) for line in body.splitlines()])
    finally:
        connection.close()


class Audit:
    """Reads the lines of both books and compares them with trace(id), the
    history of a message.  Numbers, and in words what is wrong."""

    def __init__(self, sent, arrived, trace):
        self.trace = trace
        self.begun = {}                 # key -> line
        self.accepted = {}              # id -> key
        self.arrivals = collections.Counter()   # (id, recipient)
        self.notices = collections.defaultdict(set)  # (id, recipient) -> ids
        self.lost, self.unmarked, self.altered, self.wrong = [], [], [], []
        self.marked = 0                 # arrivals more than one, marked
        self._read(sent, arrived)
        self._compare()

    def _read(self, sent, arrived):
        for line in sent:
            if 'begun' in line:
                self.begun[line['begun']] = line
            else:
                self.accepted[line['id']] = line['accepted']
        for line in arrived:
            for recipient in line['recipients']:
                self.arrivals[line['id'], recipient] += 1
            if 'about' in line:
                for recipient in line['told']:
                    self.notices[line['about'], recipient].add(line['id'])
                continue
            begun = self.begun.get(line['key'])
            if begun is None:
                self.wrong.append(f'{line["id"]}: arrived, but never sent')
            elif line['sha256'] != begun['sha256'] or not line['trace']:
                self.altered.append(f'{line["id"]}: bytes changed')
            if self.accepted.get(line['id'], line['key']) != line['key']:
                self.wrong.append(f'{line["id"]}: two messages with this id')

    def _compare(self):
        seen = {queue_id for queue_id, _ in self.arrivals}
        for queue_id in sorted(seen | set(self.accepted)):
            told = self.trace(queue_id)
            if not told.known:
                # What arrives without a trace left before it was durable.
                where = (self.lost if queue_id in self.accepted
                         else self.wrong)
                where.append(f'{queue_id}: relayd does not know it')
                continue
            recipients = {r for i, r in self.arrivals if i == queue_id} if (
                queue_id not in self.accepted) else set(
                    self.begun[self.accepted[queue_id]]['recipients'])
            for recipient in recipients:
                self._compare_one(queue_id, recipient, told)

    def _compare_one(self, queue_id, recipient, told):
        name = f'{queue_id} to {recipient}'
        outcome = told.outcome.get(recipient)
        times = self.arrivals[queue_id, recipient]
        doubts = told.uncertain[recipient]
        if outcome == 'delivered' and times == 0:
            self.lost.append(f'{name}: delivered, says the trace; it did not '
                             'arrive')
        if outcome is None:
            self.wrong.append(f'{name}: still waits')
        allowed = doubts + (outcome == 'delivered')
        if times > allowed:
            self.unmarked.append(f'{name}: arrived {times} times, of that '
                                 f'{doubts} uncertain; outcome {outcome}')
        elif times > 1:
            self.marked += times - 1
        notices = len(self.notices.get((queue_id, recipient), ()))
        if queue_id in self.accepted and notices != told.given_up[recipient]:
            (self.wrong if notices else self.lost).append(
                f'{name}: given up {told.given_up[recipient]} times, and its '
                f'sender was told {notices} times')

    def faults(self):
        return [f'{word}: {line}' for word, lines in (
            ('lost', self.lost), ('unmarked duplicate', self.unmarked),
            ('altered', self.altered), ('wrong', self.wrong))
            for line in lines]

    def __str__(self):
        return (f'{len(self.accepted)} accepted, '
                f'{sum(self.arrivals.values())} arrivals, '
                f'{self.marked} marked duplicates, {len(self.lost)} lost, '
                f'{len(self.unmarked)} unmarked duplicates, '
                f'{len(self.altered)} altered, {len(self.wrong)} wrong')
