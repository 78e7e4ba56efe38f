# SPDX-License-Identifier: ISC
"""relay - relayd under test, and relayctl.

    with Relay(routes=[route('out', hosts=[sink.address])]) as relay:
        send_many(relay.host, relay.port, 10)
        relay.ctl('queue', 'summary')

Everything it writes is in a directory of its own; it listens on a loopback
port; it is stopped by its pid.  RELAYD and RELAYCTL name the programs.
"""

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

from . import net, peer

RELAYD = os.path.abspath(os.environ.get('RELAYD')
                         or f'{peer.TOP}/build/release/relayd')
RELAYCTL = os.path.abspath(os.environ.get('RELAYCTL')
                           or f'{peer.TOP}/build/release/relayctl')
STOP_S = 60
FAULT = re.compile(r'AddressSanitizer|LeakSanitizer|ThreadSanitizer|'
                   r'runtime error:|relayd: (?:bug|out of memory):')


def user():
    """Who relayd is to be: root must be given up, and that is tested too."""
    return 'nobody' if os.geteuid() == 0 else pwd.getpwuid(
        os.geteuid()).pw_name


def value(v):
    if isinstance(v, bool):
        return 'true' if v else 'false'
    if isinstance(v, (list, tuple)):
        return '{ ' + ', '.join(value(x) for x in v) + ' }'
    return str(v) if isinstance(v, int) else f'"{v}"'


def section(kind, title, options, inner=''):
    head = f'{kind} "{title}"' if title else kind
    body = ''.join(f'    {k} = {value(v)}\n' for k, v in options.items())
    return f'{head} {{\n{body}{inner}}}\n'


def route(name, domains=('*',), **options):
    return section('route', name, {'domains': domains, **options})


def trust(name, *ca, **options):
    return section('trust', name, {'ca': ca, 'crl': 'off', **options})


def identity(name, certificate):
    return section('identity', name, {'certificate': certificate.pem,
                                      'key': certificate.key})


class Relay:
    """sections: text made by route(), trust(), identity(); queue, listener,
    control and top: options that differ from the tests' usual ones; environment:
    variables besides ours; program: another build of relayd."""

    def __init__(self, *sections, queue=None, listener=None, top=None,
                 sources='', start=True, environment=None, control=None,
                 program=RELAYD):
        self.dir = net.temp_dir('relay')
        self.host = net.own_host()
        self.port = net.free_port()
        self.conf = f'{self.dir}/relayd.conf'
        self.socket = f'{self.dir}/run/control.sock'
        self.logfile = f'{self.dir}/log'
        self.queue = {'path': f'{self.dir}/queue', 'max_size': '1G',
                      'min_free_disk': '16M', **(queue or {})}
        self.listener = {'address': [f'{self.host}:{self.port}'],
                         'tls': 'off', 'max_connections_per_client': 1000,
                         **(listener or {})}
        self.top = {'hostname': 'relay.example.com', 'user': user(),
                    'workers': 2, 'stop_timeout': '20s', **(top or {})}
        self.control = control or {}
        self.sources = sources
        self.environment = environment or {}
        self.program = program
        self.process = None
        try:
            for d in ('queue', 'run'):
                os.mkdir(f'{self.dir}/{d}')
                if os.geteuid() == 0:
                    shutil.chown(f'{self.dir}/{d}', user())
            self.configure(*sections)
            if start:
                self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        """Stopping it gracefully is a test as well, unless one failed."""
        try:
            if kind is None and self.process:
                self.stop()
        finally:
            self.close()

    # ------- configuration

    def configure(self, *sections):
        """Writes relayd.conf; takes effect at the next start or reload."""
        with open(self.conf, 'w', encoding='utf-8') as f:
            for k, v in self.top.items():
                f.write(f'{k} = {value(v)}\n')
            f.write(section('log', '', {'level': 'info'}))
            f.write(section('queue', '', self.queue))
            f.write(section('control', '', {'socket': self.socket,
                                            'group': '', 'metrics': '',
                                            **self.control}))
            f.write(''.join(sections[n] for n in range(len(sections))
                            if not sections[n].startswith('route')))
            f.write(section('listener', 'in', self.listener, self.sources))
            f.write(''.join(s for s in sections if s.startswith('route')))

    def reload(self, *sections):
        self.configure(*sections)
        self.ctl('reload')

    # ------- life

    def start(self):
        """Starts it and waits until it says that it is ready."""
        if not os.access(self.program, os.X_OK):
            raise AssertionError(f'there is no {self.program}: build it, or '
                                 'set RELAYD')
        name = f'relayd-test/{self.dir}/{time.monotonic_ns()}'
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind('\0' + name)
        with open(self.logfile, 'ab') as log:
            self.process = subprocess.Popen(
                [self.program, '-f', '-c', self.conf], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.dir,
                env=dict(os.environ, NOTIFY_SOCKET='@' + name,
                         **self.environment))
        ready = threading.Event()
        threading.Thread(target=self._listen, args=(notify, ready),
                         daemon=True).start()
        net.wait_for('relayd is ready', lambda: ready.is_set()
                     or self.process.poll() is not None, 60, 0.01)
        if not ready.is_set():
            raise AssertionError(f'relayd did not start:\n{self.log()}')

    def _listen(self, notify, ready):
        """Reads what it notifies for as long as it lives."""
        process = self.process
        notify.settimeout(0.5)
        while process.poll() is None:
            try:
                if b'READY=1' in notify.recv(4096).split(b'\n'):
                    ready.set()
            except TimeoutError:
                pass
        notify.close()

    def kill(self):
        """As a crash would: nothing is finished, nothing said."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self):
        """Asks it to stop and checks that it ended well."""
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            process.wait()
            raise AssertionError(f'relayd did not stop within {STOP_S} s\n'
                                 + self.log()[-4000:]) from None
        if status != 0:
            raise AssertionError(f'relayd ended with status {status}:\n'
                                 + self.log()[-8000:] + self.report())
        self.check_log()

    def close(self):
        if self.process:
            self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    # ------- what it says of itself

    def log(self):
        with open(self.logfile, encoding='utf-8', errors='replace') as f:
            return f.read()

    def report(self):
        """What is in the log beside its facts, whole; a sanitizer's words
        mostly (those of tools/run-tests are in files of their own)."""
        return ''.join(line for line in self.log().splitlines(True)
                       if not line.startswith('time='))

    def check_log(self):
        if FAULT.search(self.log()):
            raise AssertionError(f'in the log of relayd:\n{self.report()}')

    def ctl(self, *args, expect=0, timeout_s=120):
        """Runs relayctl; expect: its exit status, None: any."""
        done = subprocess.run([RELAYCTL, '-s', self.socket, *args],
                              stdin=subprocess.DEVNULL,
                              capture_output=True, check=False,
                              timeout=timeout_s)
        # Bodies are bytes; nothing may be lost or mended.
        done.stdout = done.stdout.decode(errors='surrogateescape')
        done.stderr = done.stderr.decode(errors='surrogateescape')
        if FAULT.search(done.stderr):
            raise AssertionError(f'relayctl {" ".join(args)}: {done.stderr}')
        if expect is not None and done.returncode != expect:
            raise AssertionError(
                f'relayctl {" ".join(args)}: exit {done.returncode}, not '
                f'{expect}\n{done.stdout[-2000:]}{done.stderr[-2000:]}\n'
                f'{self.log()[-4000:]}')
        return done

    def ctl_json(self, *args, **options):
        """The objects that relayctl --json prints."""
        done = self.ctl('--json', *args, **options)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def summary(self, *args):
        return self.ctl_json('queue', 'summary', *args)

    def waiting(self):
        """Recipients that are not settled."""
        return sum(row['recipients'] for row in self.summary()
                   if row['state'] in ('queued', 'active', 'deferred',
                                       'held'))

    def wait_empty(self, timeout_s=60):
        """Waits until nothing is left to deliver."""
        try:
            net.wait_for('the queue is empty',
                         lambda: self.waiting() == 0, timeout_s, 0.1)
        except net.TimedOut as e:
            raise net.TimedOut(f'{e}: {self.summary()}\n'
                               f'{self.log()[-4000:]}') from None

    def wait_deferred(self, n, cause, timeout_s=60):
        """Waits until exactly n recipients are there, all of them deferred
        with this cause, and returns the summary's one row."""
        def there():
            rows = self.summary()
            return (len(rows) == 1 and rows[0]['recipients'] == n
                    and rows[0]['state'] == 'deferred'
                    and rows[0]['cause'] == cause and rows[0])
        try:
            return net.wait_for(f'{n} deferred with {cause}', there,
                                timeout_s, 0.1)
        except net.TimedOut as e:
            raise net.TimedOut(f'{e}; instead {self.summary()}\n'
                               f'{self.log()[-4000:]}') from None

    def uncertain(self, ids):
        """Those of ids whose history has an uncertain attempt."""
        return {i for i in ids
                if any(event.get('uncertain')
                       for event in self.ctl_json('trace', i))}

    # ------- memory

    def is_sanitized(self):
        """Memory and speed of such builds say nothing."""
        with open(f'/proc/{self.process.pid}/maps', encoding='ascii',
                  errors='replace') as f:
            return re.search(r'lib[at]san', f.read()) is not None

    def rss_anon_kib(self):
        with open(f'/proc/{self.process.pid}/status', encoding='ascii') as f:
            return int(re.search(r'^RssAnon:\s+(\d+) kB', f.read(),
                                 re.M).group(1))


class Peak:
    """Samples relayd's anonymous memory while a block runs."""

    def __init__(self, relay):
        self.relay = relay
        self.kib = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._sample)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def _sample(self):
        while True:
            self.kib = max(self.kib, self.relay.rss_anon_kib())
            if self.over.wait(0.02):
                break
