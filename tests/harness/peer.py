# SPDX-License-Identifier: ISC
"""peer - what the real mail servers have in common: unpacked from Debian's
packages, never installed, run from private directories on a loopback port,
with a maildir that the test reads.

They need root.  Without it they run as root of a user namespace; where that
is not allowed either, the tests that need them are skipped, loudly.
"""

import io
import os
import shutil
import signal
import subprocess
import tarfile
import unittest

from . import net, sender

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))


def unpacked(package):
    """The directory with a peer's files; skips the test if there is none."""
    done = subprocess.run([f'{TOP}/tests/peers/fetch', package], text=True,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          check=False)
    if done.returncode:
        raise unittest.SkipTest(done.stderr.strip().splitlines()[-1])
    return f'{TOP}/build/peers/{package}'


def as_root():
    """What to put before a command that needs root and other users."""
    if os.geteuid() == 0:
        return []
    prefix = ['unshare', '--map-root-user', '--map-auto', '--']
    try:
        done = subprocess.run([*prefix, 'setpriv', '--reuid=nobody', 'true'],
                              stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode == 0:
            return prefix
        why = done.stderr.strip()
    except OSError as e:
        why = str(e)
    raise unittest.SkipTest('mail servers need root, or user namespaces and '
                            f'newuidmap (package uidmap): {why}')


class Peer:
    """A mail server at [host]:port that puts all it gets in a maildir.

    A subclass sets package and greets, and has prepare(), command(),
    configure() and reload()."""

    package = None
    name = 'mx.example.net'
    wants_group = True      # a process group; False: it makes its own

    def __init__(self, certificate):
        self.root = as_root()
        self.files = unpacked(self.package)
        self.dir = net.temp_dir(self.package)
        self.host = net.own_host()
        self.port = net.free_port()
        self.certificate = certificate          # None: no STARTTLS
        self.process = None
        self.output = open(f'{self.dir}/output', 'wb')
        try:
            self.prepare()
            self.configure()
            self.start()
        except BaseException:
            self.close()
            raise

    # ------- of the subclass

    mail = None             # the maildir's path, as seen from outside
    spool = ()              # directories with what is not delivered yet

    def prepare(self):
        """Makes directories and what does not change."""
        raise NotImplementedError

    def configure(self):
        """Writes the configuration for self.certificate."""
        raise NotImplementedError

    def command(self):
        """What to run; it stays in the foreground."""
        raise NotImplementedError

    def environment(self):
        return {}

    def reload(self):
        """Makes the running server read its configuration again."""
        self.stop()
        self.start()

    def log(self):
        """What the server said."""
        with open(f'{self.dir}/output', encoding='utf-8',
                  errors='replace') as f:
            return f.read()

    # ------- for tests

    @property
    def address(self):
        return f'[{self.host}]:{self.port}'

    def present(self, certificate):
        """From now on new connections see this certificate (None: no
        STARTTLS)."""
        self.certificate = certificate
        self.configure()
        self.reload()
        self.wait_ready()

    def count(self):
        """How many messages have arrived."""
        return sum(b'/new/' in file for file in self.files_in(self.mail))

    def arrivals(self):
        """Every message, with the line ends it had on the wire; waits until
        nothing more is on its way."""
        net.wait_for(f'{self.package} has delivered everything',
                     lambda: not self.files_in(*self.spool))
        done = self.run('tar', '-C', self.mail, '-cf', '-', '.')
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            return [tar.extractfile(member).read().replace(b'\n', b'\r\n')
                    for member in tar
                    if member.isfile() and '/new/' in member.name]

    def empty(self):
        """Forgets what has arrived."""
        self.run('find', self.mail, '-type', 'f', '-delete')

    # ------- inside

    def run(self, *command, check=True):
        return subprocess.run([*self.root, *command], check=check,
                              stdout=subprocess.PIPE,
                              stderr=None if check else subprocess.DEVNULL)

    def files_in(self, *directories):
        # Files that vanish meanwhile make find fail.
        return self.run('find', *directories, '-type', 'f',
                        check=False).stdout.splitlines()

    def start(self):
        self.process = subprocess.Popen(
            # It must not outlive this test, however that ends.
            [*self.root, 'setpriv', '--pdeathsig', 'KILL', '--',
             *self.command()],
            env=dict(os.environ, **self.environment()),
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output,
            process_group=0 if self.wants_group else None)
        self.wait_ready()

    def wait_ready(self):
        try:
            net.wait_for(f'{self.package} is ready', self.ready, 30)
        except net.TimedOut as e:
            raise net.TimedOut(f'{e}\n{self.log()}') from None

    def ready(self):
        """Does it greet, and offer STARTTLS or not, as it should?"""
        if self.process.poll() is not None:
            raise AssertionError(f'{self.package} ended: {self.log()}')
        try:
            with sender.Client(self.host, self.port, 10) as client:
                if not client.greeting.startswith('220'):
                    return False
                offers = 'STARTTLS' in client.ask('EHLO test.example.com')
                client.ask('QUIT')
                return offers == (self.certificate is not None)
        except OSError:
            return False

    def stop(self):
        if self.process is None:
            return
        for sig in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, sig)
            except ProcessLookupError:
                pass
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                continue
        self.process = None

    def close(self):
        self.stop()
        self.output.close()
        if self.root:
            self.run('rm', '-rf', self.dir)
        shutil.rmtree(self.dir, ignore_errors=True)


DEVICES = {'dev/null': '3', 'dev/urandom': '9'}        # minor numbers


class Jail:
    """A root directory for servers that insist on users and paths of their
    own: their binary, its libraries, a passwd file."""

    def __init__(self, peer, users):
        self.peer = peer
        self.path = f'{peer.dir}/root'
        for d in ('etc', 'dev', 'tmp', 'run', 'var/run', 'mail'):
            os.makedirs(f'{self.path}/{d}')
        os.chmod(f'{self.path}/tmp', 0o1777)
        names = ['root', *users, 'box']
        self.write('etc/passwd', ''.join(
            f'{u}:x:{600 + n if n else 0}:{600 + n if n else 0}:'
            f'{u}:{"/mail" if u == "box" else "/"}:/bin/sh\n'
            for n, u in enumerate(names)))
        self.write('etc/group', ''.join(
            f'{u}:x:{600 + n if n else 0}:\n' for n, u in enumerate(names)))
        self.write('etc/hosts', '127.0.0.1 localhost\n')
        for device, minor in DEVICES.items():
            if peer.root:
                self.write(device, '')          # command() mounts it
            else:
                self.run('mknod', '-m', '666', device, 'c', '1', minor)
        self.own('mail', 'box')

    def run(self, *command):
        subprocess.run([*self.peer.root, *command], cwd=self.path,
                       check=True)

    def write(self, path, text):
        os.makedirs(os.path.dirname(f'{self.path}/{path}'), exist_ok=True)
        with open(f'{self.path}/{path}', 'w', encoding='ascii') as f:
            f.write(text)

    def own(self, path, user, mode='755'):
        """Gives a directory, made if need be, to one of our users."""
        with open(f'{self.path}/etc/passwd', encoding='ascii') as f:
            uid = next(line.split(':')[2] for line in f
                       if line.startswith(user + ':'))
        self.run('mkdir', '-p', path)
        self.run('chown', f'{uid}:{uid}', path)
        self.run('chmod', mode, path)

    def add(self, file, inside=None):
        """Copies a program and the libraries it is linked with."""
        self.copy(file, inside or file)
        libraries = f'{self.peer.files}/usr/lib/x86_64-linux-gnu'
        done = subprocess.run(['ldd', file], stdout=subprocess.PIPE,
                              text=True, check=True,
                              env=dict(os.environ,
                                       LD_LIBRARY_PATH=libraries))
        for word in done.stdout.split():
            if word.startswith(self.peer.files):
                self.copy(word, '/usr/lib/' + os.path.basename(word))
            elif word.startswith('/'):
                self.copy(word, word)

    def copy(self, file, inside):
        to = self.path + inside
        if not os.path.exists(to):
            os.makedirs(os.path.dirname(to), exist_ok=True)
            shutil.copy(file, to)       # follows links

    def command(self, *command):
        """What runs a command in here."""
        if not self.peer.root:
            return ['chroot', self.path, *command]
        # Devices can't be made in a user namespace.
        mounts = ''.join(f'mount --bind /{d} "$0/{d}" && ' for d in DEVICES)
        return ['unshare', '--mount', 'sh', '-c',
                mounts + 'exec chroot "$0" "$@"', self.path, *command]
