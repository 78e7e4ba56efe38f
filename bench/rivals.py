# SPDX-License-Identifier: ISC
"""rivals - relayd and the peers it is measured beside, each set up to take
mail on a loopback port and hand it to one next hop.  Every one has a
directory of its own and syncs before it says 250, as it is shipped."""

import os
import signal
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f'{TOP}/tests')

from harness import exim, net, opensmtpd, peer, postfix, relay  # noqa: E402

MANY = 2000             # connections at a time that anybody must take


class Job:
    """What a system is set up for: hop, an address:port of the next hop;
    sessions; certificate with which it offers STARTTLS, and then it asks the
    next hop for TLS, too; None: clear text on both sides."""

    def __init__(self, hop, sessions, certificate):
        self.hop_host, port = hop.rsplit(':', 1)
        self.hop_port = int(port)
        self.hop = hop
        self.sessions = sessions
        self.certificate = certificate


def family(pid):
    """The pid and those of all its descendants."""
    children = {}
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            fields = stat(entry)
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def stat(pid):
    """The fields of /proc/PID/stat behind the name; None: it has ended."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8',
                  errors='replace') as f:
            return f.read().rsplit(')', 1)[1].split()
    except OSError:
        return None


def cpu_s(pid):
    """CPU time of a process, its descendants, and those that were reaped."""
    ticks = 0
    for p in family(pid):
        fields = stat(p)
        if fields:
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf('SC_CLK_TCK')


def pss_mb(pid):
    """Memory, what is shared counted once."""
    kib = 0
    for p in family(pid):
        try:
            with open(f'/proc/{p}/smaps_rollup', encoding='ascii') as f:
                kib += sum(int(line.split()[1]) for line in f
                           if line.startswith('Pss:'))
        except OSError:
            pass        # it has ended
    return kib / 1024


def disk_mb(path):
    """What lies in a directory, in blocks of the disk."""
    blocks = 0
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                blocks += os.lstat(f'{folder}/{name}').st_blocks
            except OSError:
                pass    # it is gone
    return blocks * 512 / 1e6


class Relayd:
    title = 'relayd'
    slowness = 1        # it gets so many times fewer messages
    idle = 1            # share of the idle connections that it is asked for

    def __init__(self, job):
        options = {'tls': 'off'}
        sections = []
        listener = {'max_connections_per_client': 12000,
                    'max_connections': 12000}
        if job.certificate:
            # Any certificate will do, as it does for the peers.
            options = {'tls': 'forced', 'verify': 'none'}
            sections = [relay.identity('own', job.certificate)]
            listener.update(tls='opportunistic', identity='own')
        self.relay = relay.Relay(
            *sections, relay.route(
                'out', hosts=[job.hop],
                max_connections=max(job.sessions, 20),
                max_messages_per_connection=1000000, **options),
            queue={'max_size': '8G'}, listener=listener)
        self.spool_dir = f'{self.relay.dir}/queue'

    @property
    def address(self):
        return f'{self.relay.host}:{self.relay.port}'

    @property
    def pid(self):
        return self.relay.process.pid

    def waits(self, n):
        """Has it tried and put off n messages?"""
        return sum(row['recipients'] for row in self.relay.summary()
                   if row['state'] == 'deferred') >= n

    def list(self):
        return [relay.RELAYCTL, '-s', self.relay.socket, 'queue', 'list']

    def flush(self):
        self.relay.ctl('resubmit', '--deferred')

    def restart(self):
        self.relay.stop()
        begin = time.monotonic()
        self.relay.start()
        return time.monotonic() - begin

    def close(self):
        self.relay.close()


class Rival:
    """Of a peer's class in the tests, which delivers to boxes, one that
    sends on.  A class that follows sets how."""

    slowness = 1
    idle = 1

    def __init__(self, job):
        self.job = job
        super().__init__(job.certificate)

    @property
    def address(self):
        return f'{self.host}:{self.port}'

    @property
    def pid(self):
        return self.process.pid

    def restart(self):
        self.stop()
        begin = time.monotonic()
        self.start()
        return time.monotonic() - begin


POSTFIX_MAIN = '''
maillog_file = {dir}/data/log
relayhost = [{hop_host}]:{hop_port}
disable_dns_lookups = yes
default_process_limit = {limit}
smtpd_client_event_limit_exceptions = static:all
smtpd_recipient_limit = 1000
default_destination_concurrency_limit = {sessions}
initial_destination_concurrency = {sessions}
smtp_connection_cache_on_demand = yes
smtp_connection_cache_destinations = [{hop_host}]:{hop_port}
qmgr_message_active_limit = 20000
'''

POSTFIX_TLS = '''
smtp_tls_security_level = encrypt
smtp_tls_connection_reuse = yes
smtp_tls_loglevel = 0
smtpd_tls_loglevel = 0
'''

POSTFIX_MASTER = '''
smtp unix - - n - {limit} smtp
relay unix - - n - {limit} smtp
scache unix - - n - 1 scache
tlsproxy unix - - n - 0 tlsproxy
showq unix n - n - - showq
pickup unix n - n 60 1 pickup
flush unix n - n 1000? 0 flush
postlog unix-dgram n - n - 1 postlogd
'''


class Postfix(Rival, postfix.Postfix):
    title = 'Postfix'
    idle = 0.2          # each is a process of 1.2 MB

    @property
    def limit(self):
        return max(self.job.sessions, 100) + 150

    def prepare(self):
        super().prepare()
        self.spool_dir = f'{self.dir}/spool'
        with open(f'{self.dir}/etc/master.cf', 'w', encoding='ascii') as f:
            f.write(postfix.MASTER.format(host=self.host, port=self.port)
                    .replace('n - 100 smtpd', f'n - {self.limit} smtpd')
                    + POSTFIX_MASTER.format(limit=self.limit))

    def configure(self):
        super().configure()
        with open(f'{self.dir}/etc/main.cf', 'a', encoding='ascii') as f:
            f.write(POSTFIX_MAIN.format(
                dir=self.dir, hop_host=self.job.hop_host,
                hop_port=self.job.hop_port, sessions=self.job.sessions,
                limit=self.limit))
            if self.certificate:
                f.write(POSTFIX_TLS)

    def start(self):
        peer.Peer.start(self)           # its own postlogd logs

    def tool(self, *words):
        return ['env', *(f'{k}={v}' for k, v in self.environment().items()),
                *self.root, f'{self.files}/usr/sbin/{words[0]}',
                '-c', f'{self.dir}/etc', *words[1:]]

    def waits(self, n):
        return len(self.files_in(f'{self.dir}/spool/deferred')) >= n

    def list(self):
        return self.tool('postqueue', '-p')

    def flush(self):
        subprocess.run(self.tool('postqueue', '-f'), check=True)


EXIM = '''
primary_hostname = {name}
local_interfaces = {host}
daemon_smtp_ports = {port}
disable_ipv6
log_file_path = /var/log/exim4/%slog
acl_smtp_rcpt = accept
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
message_size_limit = 0
host_lookup =
rfc1413_query_timeout = 0s
queue_run_max = 20
split_spool_directory = true
{tls}
begin routers
out:
  driver = manualroute
  transport = out
  route_list = * {hop_host}::{hop_port}
  self = send
begin transports
out:
  driver = smtp
  port = {hop_port}
  allow_localhost
  connection_max_messages = 0
  {tls_out}
begin retry
* * F,5d,1h
'''


class Exim(Rival, exim.Exim):
    title = 'Exim'
    slowness = 10
    idle = 0.2

    def prepare(self):
        super().prepare()
        self.spool_dir = f'{self.jail.path}/var/spool/exim4'

    def configure(self):
        super().configure()             # the certificate's files
        self.jail.write('etc/exim4/exim4.conf', EXIM.format(
            name=self.name, host=self.host,
            port=self.port, hop_host=self.job.hop_host,
            hop_port=self.job.hop_port,
            tls=exim.TLS if self.certificate else 'tls_advertise_hosts =',
            tls_out='hosts_require_tls = *\n  tls_verify_certificates =\n'
            '  tls_try_verify_hosts =' if self.certificate
            else 'hosts_avoid_tls = *'))

    def waits(self, n):
        return sum(f.endswith(b'-H') for f in self.files_in(
            f'{self.spool_dir}/input')) >= n

    def list(self):
        return [*self.root, *self.jail.command('/usr/sbin/exim4', '-bp')]

    def flush(self):
        subprocess.run([*self.root, *self.jail.command(
            '/usr/sbin/exim4', '-qff')], check=True)


OPENSMTPD = '''
{pki}
listen on {host} port {port} hostname {name} {tls}
action "out" relay host {scheme}://{hop_host}:{hop_port} {any}
match from any for any action "out"
'''


class OpenSmtpd(Rival, opensmtpd.OpenSmtpd):
    title = 'OpenSMTPD'
    slowness = 50

    def prepare(self):
        super().prepare()
        self.spool_dir = f'{self.jail.path}/var/spool/smtpd'

    def configure(self):
        super().configure()
        self.jail.write('etc/smtpd.conf', OPENSMTPD.format(
            host=self.host, port=self.port, name=self.name,
            hop_host=self.job.hop_host, hop_port=self.job.hop_port,
            pki=opensmtpd.PKI.format(name=self.name)
            if self.certificate else '',
            tls='tls pki mx.example.net' if self.certificate else '',
            scheme='smtp+tls' if self.certificate else 'smtp',
            any='tls no-verify' if self.certificate else ''))


RIVALS = {r.title.lower(): r for r in (Postfix, Exim, OpenSmtpd)}


class Program:
    """A generator or a sink of bench/."""

    def __init__(self, path, *args):
        self.process = subprocess.Popen([path, *map(str, args)],
                                        stdout=subprocess.PIPE, text=True)

    def wait_ready(self):
        if self.process.stdout.readline() != 'ready\n':
            raise RuntimeError(f'{self.process.args} did not start')

    def end(self, timeout_s):
        """What it prints at the end; stopped if it is late."""
        try:
            return self.process.communicate(timeout=timeout_s)[0]
        except subprocess.TimeoutExpired:
            raise TimeoutError(self.process.args[0]) from None

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
        self.process.stdout.close()
