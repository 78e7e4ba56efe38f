# SPDX-License-Identifier: ISC
"""storm - relayd under load, killed again and again, and audited.

    python3 tests/crash/storm.py COUNT [SEED]       what `make crash` runs

The load: senders with and without TLS and messages of 600 bytes to 2 MB, one
of them so slow that there is always an unfinished body; recipients that are
taken, refused for good (a notice), refused for now (retries), or refused until
they expire (another notice); an operator who resubmits, holds, releases, and
reloads.  Everything leaves under forced TLS.  The books are kept by the sender
and by the sink, which are never killed.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

# The path comes first.
from harness import books, certs, net, sender    # noqa: E402
from harness.peer import TOP                     # noqa: E402
from harness.relay import Relay, identity, route, trust      # noqa: E402
from harness.sink import Sink                    # noqa: E402

# A relayd with the points of base/fault.h.
PROGRAM = os.path.abspath(os.environ.get('RELAYD_FAULTS')
                          or f'{TOP}/build/fault/relayd')
NAME = 'mx.example.net'
SIZES = (600, 600, 2000, 2000, 4096, 9000, 70000, 300000)
SLOW_BYTES = 2000000
BACKLOG = 120                   # messages that may be on their way
PATIENCE_S = 6                  # until a point counts as not reached
RARE = ('trim:', 'sweep:', 'recover:', 'order:', 'reload:')
KILLS_AT_ONCE = 50              # between two audits


def points():
    """The names of all fault points."""
    done = subprocess.run([PROGRAM, '--faults'], check=True, text=True,
                          stdout=subprocess.PIPE)
    return [line.split()[0] for line in done.stdout.splitlines()]


class Storm:
    """One queue, from its first message to its audit."""

    def __init__(self, chance):
        self.chance = chance
        self.dir = net.temp_dir('storm')
        self.over = threading.Event()
        self.threads = []
        self.kills = 0
        self.ready = False              # a signal is heard, not deadly
        self.reached = {}               # point -> times
        self.sent = books.Sender(f'{self.dir}/sent')
        self.arrived = books.Receiver(f'{self.dir}/arrived')
        authority = certs.Authority(self.dir)
        certificate = authority.issue('good', NAME)
        self.hop = Sink(certificate)
        self.hop.behaviour.rcpt = self._rcpt
        self.hop.behaviour.dot = self._dot
        hop = {'hosts': [self.hop.address], 'tls': 'forced', 'verify': 'name',
               'names': [NAME], 'trust': 'own', 'max_connections': 8}
        self.sections = (
            trust('own', authority.pem), identity('own', certificate),
            route('brief', domains=['brief.example'], lifetime='2s', **hop),
            route('out', **hop))
        self.relay = Relay(
            *self.sections, start=False, program=PROGRAM,
            queue={'retry': ['1s'], 'probe': '1s', 'keep_expired': '1s',
                   'warn_after': '0', 'lifetime': '1d'},
            listener={'tls': 'opportunistic', 'identity': ['own']})
        # Recipients are refused for now, and in the end no more.
        self.harsh = True

    def close(self):
        self.over.set()
        for t in self.threads:
            t.join()
        self.relay.close()
        self.hop.close()
        self.sent.book.close()
        self.arrived.book.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    # ------- the next hop

    def _rcpt(self, recipient):
        if recipient.startswith('bad'):
            return '550 5.1.1 No such user'
        if recipient.startswith('brief'):
            return '451 4.2.0 Not now'
        if self.harsh and recipient.startswith('later') and (
                random.random() < 0.5):
            return '451 4.2.0 Later'
        return '250 2.1.5 Ok'

    def _dot(self, arrival):
        self.arrived.enter(arrival)
        # Time in which relayd can die without having read the answer.
        time.sleep(random.choice((0, 0, 0.002, 0.02)))
        return '250 2.0.0 Ok'

    # ------- the load

    def begin(self):
        for work in (self._send, self._send, self._send, self._send_slowly,
                     self._operate):
            self.threads.append(threading.Thread(target=self._forever,
                                                 args=(work,)))
        for t in self.threads:
            t.start()

    def _forever(self, work):
        while not self.over.is_set():
            try:
                work()
            except (OSError, AssertionError, subprocess.SubprocessError):
                # relayd is down, or went away: that is what this is about.
                self.over.wait(0.02)

    def _connect(self):
        client = sender.Client(self.relay.host, self.relay.port)
        client.hello()
        if random.random() < 0.5:
            client.start_tls()
            client.hello()
        return client

    def _recipients(self):
        kind = random.random()
        if kind < 0.05:
            return ['bad@example.net']
        if kind < 0.09:
            return ['brief@brief.example', 'good@example.net']
        if kind < 0.2:
            return ['later@example.net', 'good@example.net',
                    'other@example.org']
        return ['good@example.net']

    def _deliver(self, client, size, transfer):
        recipients = self._recipients()
        key, data = sender.message(size, recipient=recipients[0])
        self.sent.begins(key, data, recipients)
        reply = transfer(client, recipients, data)
        match = sender.QUEUED.match(reply)
        if match:
            self.sent.read_250(key, match.group(1))
        elif not reply:
            raise OSError('relayd is gone')

    def _send(self):
        def transfer(client, recipients, data):
            return client.deliver('alice@example.com', recipients, data)
        with self._connect() as client:
            while not self.over.is_set():
                if self.sent.accepted - self.arrived.arrived > BACKLOG:
                    self.over.wait(0.02)
                    continue
                self._deliver(client, random.choice(SIZES), transfer)

    def _send_slowly(self):
        def transfer(client, recipients, data):
            client.ask('MAIL FROM:<alice@example.com>', '250')
            for recipient in recipients:
                client.ask(f'RCPT TO:<{recipient}>', '250')
            client.ask('DATA', '354')
            text = sender.stuffed(data) + b'.\r\n'
            for at in range(0, len(text), 50000):
                client.send(text[at:at + 50000])
                time.sleep(0.03)
            return client.reply()
        with self._connect() as client:
            while not self.over.is_set():
                self._deliver(client, SLOW_BYTES, transfer)

    def _operate(self):
        self.over.wait(random.random() / 5)
        act = random.choice(('resubmit', 'reload', 'hold', 'resubmit'))
        if act == 'reload' and self.ready:
            self.relay.process.send_signal(signal.SIGHUP)
        elif act == 'hold':
            self.relay.ctl('hold', '--recipient', 'later@example.net',
                           '--yes', expect=None)
            self.relay.ctl('release', '--all', '--yes', expect=None)
        else:
            self.relay.ctl('resubmit', '--all', '--yes', expect=None)

    # ------- the end of relayd

    def _start(self, **environment):
        """False: it ended before it was ready."""
        self.relay.environment = environment
        try:
            self.relay.start()
        except AssertionError:
            if self.relay.process.wait() != -signal.SIGKILL:
                raise
            return False
        self.ready = True
        return True

    def kill_anywhere(self):
        """At any moment, now and then while it starts."""
        if self.chance.random() < 0.2:
            at = self.chance.random() * 0.1
            killer = threading.Timer(at, self._kill_starting)
            killer.start()
            self._start()
            killer.join()
            # The timer may have been quicker than the start.
            self.relay.process.kill()
        else:
            self._start()
            time.sleep(self.chance.random() * 0.6)
            self.relay.process.kill()
        self._killed()

    def _kill_starting(self):
        self.relay.process.kill()

    def kill_at(self, point, nth):
        """True: it passed that point so often and ended there."""
        there = True
        if self._start(RELAYD_FAULT=f'{point},{nth}'):
            try:
                self.relay.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                there = False
                self.relay.process.kill()
        self._killed()
        if there:
            self.reached[point] = self.reached.get(point, 0) + 1
        return there

    def _killed(self):
        self.ready = False
        status = self.relay.process.wait()
        if status != -signal.SIGKILL:
            raise AssertionError(f'relayd ended with status {status}, and '
                                 f'was not killed:\n{self.relay.log()[-4000:]}'
                                 )
        self.relay.check_log()
        self.kills += 1

    # ------- the audit

    def audit(self):
        """The load ends, relayd starts once more and delivers what it has;
        then the books, the queue and the traces must agree."""
        self.over.set()
        for t in self.threads:
            t.join()
        self.harsh = False
        self._start()
        self.relay.ctl('release', '--all', '--yes', expect=None)
        self.relay.ctl('resubmit', '--all', '--yes', expect=None)
        self.relay.wait_empty(120)
        # Notices of what expired last are mail, too.
        self.relay.ctl('queue', 'verify')
        self.relay.ctl('check', 'queue')
        result = books.Audit(self.sent.book.lines(),
                             self.arrived.book.lines(),
                             lambda i: books.history(self.relay.socket, i))
        for fault in result.faults()[:10]:
            print('\n'.join([fault, *self._all_about(fault)]), flush=True)
        self.relay.stop()
        return result


    def _all_about(self, fault):
        """What relayd logged of the message that a fault names."""
        queue_id = fault.split(': ')[1].split(' ')[0]
        return [line for line in self.relay.log().splitlines()
                if queue_id in line or 'event=started' in line]


def once(chance, plan):
    """plan: points, or None for any moment.  (storm's reached, audit)"""
    storm = Storm(chance)
    try:
        storm.begin()
        for point in plan:
            if point:
                # Some are passed a hundred times a second, some at a start.
                often = not point.startswith(RARE)
                storm.kill_at(point, chance.choice((1, 1, 2, 5)) if often
                              else 1)
            else:
                storm.kill_anywhere()
        return storm, storm.audit()
    finally:
        storm.close()


def main(count, seed):
    chance = random.Random(seed)
    names = points()
    reached = dict.fromkeys(names, 0)
    kills = accepted = arrivals = marked = 0
    print(f'crash: {count} kills, {len(names)} fault points, seed {seed}',
          flush=True)
    queue = []
    while kills < count:
        while len(queue) < KILLS_AT_ONCE:
            # Every point in turn, and as often any moment.
            queue += [x for name in names for x in (name, None)]
        plan, queue = queue[:KILLS_AT_ONCE], queue[KILLS_AT_ONCE:]
        plan = plan[:count - kills]
        storm, audit = once(chance, plan)
        kills += storm.kills
        for name, times in storm.reached.items():
            reached[name] += times
        accepted += len(audit.accepted)
        arrivals += sum(audit.arrivals.values())
        marked += audit.marked
        print(f'crash: {kills} kills; {audit}', flush=True)
        if audit.faults():
            return 1
    print('\n'.join(f'    {times:5} {name}'
                    for name, times in reached.items()))
    print(f'measured: {kills} kills, {sum(reached.values())} of them at '
          f'{sum(t > 0 for t in reached.values())} of {len(names)} fault '
          f'points: {accepted} accepted, {arrivals} arrivals, {marked} marked '
          'duplicates, 0 lost, 0 unmarked duplicates, 0 altered')
    never = [name for name, times in reached.items() if times == 0]
    if never and kills >= 8 * len(names):
        print(f'never reached: {" ".join(never)}')
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000,
                  int(sys.argv[2]) if len(sys.argv) > 2
                  else random.SystemRandom().getrandbits(32)))
