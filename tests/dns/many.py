#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""many - figures, no test: what mail for very many domains costs whose name
server says nothing.

    tests/dns/many.py [DOMAINS]

Prints the processor time of the dispatcher and of the whole daemon for a time
in which nothing can be done but wait, and how long other mail takes
meanwhile.
"""

import os
import sys
import time

# It knows where the harness is.
from scene import net, sender
from broken import Broken
from harness.relay import Relay, route
from harness.sink import Sink

RECIPIENTS = 200        # of a message
OTHERS = 200            # messages to another route
WATCH_S = 20


def cpu_s(path):
    with open(path, encoding='ascii') as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def thread(pid, name):
    """The path of its stat."""
    for task in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{task}/comm', encoding='ascii') as f:
            if f.read().strip() == name:
                return f'/proc/{pid}/task/{task}/stat'
    raise LookupError(name)


def fill(relay, domains):
    with sender.Client(relay.host, relay.port) as client:
        client.hello()
        for start in range(0, domains, RECIPIENTS):
            reply = client.deliver('', [
                f'bob@d{n}.many.test'
                for n in range(start, min(start + RECIPIENTS, domains))],
                b'Subject: many\r\n\r\nHello.\r\n')
            assert sender.QUEUED.match(reply), reply
        client.ask('QUIT')


def others(relay, sink):
    """How long they take until they have arrived."""
    began = time.monotonic()
    before = len(sink.arrivals)
    with sender.Client(relay.host, relay.port) as client:
        client.hello()
        for n in range(OTHERS):
            client.deliver('', [f'bob{n}@fixed.test'], b'Subject: x\r\n\r\n')
        client.ask('QUIT')
    sink.wait(before + OTHERS)
    return time.monotonic() - began


def main(domains):
    with Broken() as dns, Sink() as sink:
        dns.mute('*')
        os.environ['RELAYD_RESOLVER'] = dns.address
        with Relay(route('out', mx=True, tls='off'),
                   route('fixed', domains=['fixed.test'], tls='off',
                         hosts=[sink.address]),
                   queue={'retry': ['1h'], 'warn_after': '0s'}) as relay:
            print(f'empty: {OTHERS} others in {others(relay, sink):.1f} s')
            began = time.monotonic()
            fill(relay, domains)
            print(f'{domains} domains taken in '
                  f'{time.monotonic() - began:.1f} s')
            net.wait_for('all are deferred', lambda: sum(
                row['recipients']
                for row in relay.summary('--by', 'cause')
                if row['state'] == 'deferred') >= domains, 1800, 5)
            print(f'all deferred {time.monotonic() - began:.1f} s after')
            paths = {'dispatch': thread(relay.process.pid, 'dispatch'),
                     'relayd': f'/proc/{relay.process.pid}/stat'}
            before = {name: cpu_s(path) for name, path in paths.items()}
            time.sleep(WATCH_S)
            for name, path in paths.items():
                print(f'{name}: {cpu_s(path) - before[name]:.2f} s of '
                      f'processor in {WATCH_S} s')
            print(f'full: {OTHERS} others in {others(relay, sink):.1f} s')
            for name, path in paths.items():
                print(f'{name}: {cpu_s(path):.2f} s of processor in all')
            print(f'memory: {relay.rss_anon_kib()} KiB')
            relay.kill()


if __name__ == '__main__':
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50000)
