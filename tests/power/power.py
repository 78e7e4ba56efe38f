# SPDX-License-Identifier: ISC
"""power - records what relayd does to its disk while mail comes and goes, and
audits what a power cut could leave of it.

    python3 tests/power/power.py COUNT [SEED]       what `make power` runs

The record is made by a preloaded library (record.c), the states are built and
audited by replay.c, which is linked with the queue of relayd.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

# The path comes first.
from harness import net, sender                  # noqa: E402
from harness.ledger import KEY                   # noqa: E402
from harness.peer import TOP                     # noqa: E402
from harness.relay import Relay, route           # noqa: E402
from harness.sink import Sink                    # noqa: E402

BUILT = os.path.abspath(os.environ.get('POWER')
                        or f'{TOP}/build/release/tests/power')
SIZES = (600, 600, 2000, 4096, 9000, 70000, 200000)
KINDS = (['good@example.net'], ['good@example.net'],
         ['later@example.net', 'good@example.net'], ['bad@example.net'],
         ['brief@brief.example', 'other@example.net'])


class Record:
    """What happened on the disk while `mails` messages passed."""

    def __init__(self, mails):
        self.dir = net.temp_dir('power')
        self.path = f'{self.dir}/record'
        self.expected = f'{self.dir}/expected'
        self.mails = mails
        self.lock = threading.Lock()
        self.hop = Sink()
        self.harsh = True
        self.hop.behaviour.rcpt = self._rcpt
        self.hop.behaviour.dot = self._dot
        hop = {'hosts': [self.hop.address], 'tls': 'off'}
        self.relay = Relay(
            route('brief', domains=['brief.example'], lifetime='1s', **hop),
            route('out', **hop), start=False,
            queue={'retry': ['1s'], 'probe': '1s', 'keep_expired': '1s',
                   'warn_after': '0'},
            environment={'LD_PRELOAD': f'{BUILT}/record.so',
                         'ASAN_OPTIONS': 'verify_asan_link_order=0:'
                         + os.environ.get('ASAN_OPTIONS', ''),
                         'POWER_RECORD': self.path})

    def close(self):
        self.relay.close()
        self.hop.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def _rcpt(self, recipient):
        if recipient.startswith('bad'):
            return '550 5.1.1 No such user'
        if recipient.startswith('brief') or (
                self.harsh and recipient.startswith('later')):
            return '451 4.2.0 Not now'
        return '250 2.1.5 Ok'

    def _dot(self, arrival):
        key = KEY.search(arrival.data)
        return (f'250 2.0.0 Taken {key.group(1).decode() if key else "-"} '
                + ','.join(arrival.recipients))

    def make(self):
        self.relay.start()
        self._send(self.mails // 2)
        # What is on the disk outlives the process.
        self.relay.kill()
        self.relay.start()
        self.relay.ctl('resubmit', '--all', '--yes', expect=None)
        self._send(self.mails - self.mails // 2)
        self.harsh = False
        self.relay.ctl('resubmit', '--all', '--yes', expect=None)
        self.relay.wait_empty()
        self.relay.stop()

    def _send(self, mails):
        threads = [threading.Thread(target=self._send_some,
                                    args=(range(i, mails, 4),))
                   for i in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def _send_some(self, numbers):
        with sender.Client(self.relay.host, self.relay.port) as client:
            client.hello()
            for n in numbers:
                recipients = KINDS[n % len(KINDS)]
                key, data = sender.message(SIZES[n % len(SIZES)],
                                           recipient=recipients[0])
                reply = client.deliver('alice@example.com', recipients, data)
                queue_id = sender.QUEUED.match(reply).group(1)
                with open(f'{self.dir}/{key}', 'wb') as f:
                    f.write(data)
                with self.lock, open(self.expected, 'a',
                                     encoding='ascii') as f:
                    f.write(f'{queue_id} {key} {self.dir}/{key} '
                            f'{",".join(recipients)}\n')

    def replay(self, count, seed):
        """The words of the audit; AssertionError if a state fails it."""
        # States are many and short-lived: memory is good enough for them.
        memory = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
        with tempfile.TemporaryDirectory(prefix='power-', dir=memory) as d:
            done = subprocess.run(
                [f'{BUILT}/replay', self.path, self.expected, d, str(count),
                 str(seed)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, check=False)
        if done.returncode:
            raise AssertionError(f'replay: exit {done.returncode}\n'
                                 f'{done.stdout}')
        return done.stdout.strip()


def once(count, seed, mails):
    record = Record(mails)
    try:
        record.make()
        return record.replay(count, seed)
    finally:
        record.close()


def main(count, seed):
    print(f'power: {count} states, seed {seed}', flush=True)
    try:
        print(once(count, seed, 240))
    except AssertionError as e:
        print(e)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10000,
                  int(sys.argv[2]) if len(sys.argv) > 2
                  else random.SystemRandom().getrandbits(31)))
