# SPDX-License-Identifier: ISC
"""daemon - runs relayd for the tests of this folder: in a temporary
directory, on free loopback ports, watched through its log and through the
socket on which it notifies its service manager.

RELAYD and RELAYCTL name the programs; without them build/release is taken.
Python 3 standard library only.  Only processes started here are stopped.
"""
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from harness.net import free_port, own_host  # noqa: E402
RELAYD = os.path.abspath(os.environ.get("RELAYD", ROOT / "build/release/relayd"))
RELAYCTL = os.path.abspath(
    os.environ.get("RELAYCTL", ROOT / "build/release/relayctl"))

# No test asserts how long something takes; this only ends one that hangs.
PATIENCE_S = 60

CONF = """\
hostname = "relay.example.com"
user = "{user}"
stop_timeout = "{stop_timeout}"
workers = 2
log {{ level = "info" }}
queue {{ path = "{dir}/queue" max_size = "64M" min_free_disk = "0" }}
control {{ socket = "{dir}/run/control.sock" group = "" metrics = "" }}
listener "smtp" {{ address = {{ {addresses} }} tls = "off" }}
route "out" {{ domains = {{ "*" }} hosts = {{ "127.0.0.1:1" }} tls = "off" }}
{more}
"""

# Becomes relayd with descriptors that a service manager would pass; argv[1]
# is how many, in order from 3.
ACTIVATE = """\
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = sys.argv[1]
os.execv(sys.argv[2], sys.argv[2:])
"""


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError("never happened: " + what)


def free_address():
    return "%s:%d" % (own_host(), free_port())


def me():
    return pwd.getpwuid(os.geteuid()).pw_name


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open("/proc/%d/stat" % pid, encoding="ascii") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"


def skip_loudly(test, why):
    print("SKIPPED %s: %s" % (test.id(), why), file=sys.stderr)
    test.skipTest(why)


class Manager:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self, path):
        self.path = path
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        os.chmod(path, 0o777)
        self.sock.settimeout(PATIENCE_S)
        self.heard = []

    def hear(self, wanted):
        """Hears datagrams until one has a line that starts with `wanted`;
        returns its fields."""
        while True:
            fields = dict(line.split("=", 1) for line in
                          self.sock.recv(4096).decode().splitlines())
            self.heard.append(fields)
            if any(("%s=%s" % f).startswith(wanted) for f in fields.items()):
                return fields

    def close(self):
        self.sock.close()


class Daemon:
    """relayd -f (or, with background, what it leaves behind)."""

    def __init__(self, test, user=None, addresses=None, more="",
                 stop_timeout="5s"):
        self.dir = tempfile.mkdtemp(prefix="relayd-service.")
        os.chmod(self.dir, 0o755)
        self.conf = os.path.join(self.dir, "relayd.conf")
        self.log_path = os.path.join(self.dir, "log")
        self.control = os.path.join(self.dir, "run/control.sock")
        self.user = user or me()
        self.values = {"addresses": addresses or [free_address()],
                       "more": more, "stop_timeout": stop_timeout}
        self.process = None
        self.manager = Manager(os.path.join(self.dir, "notify"))
        self.write_conf()
        test.addCleanup(self.clean_up)

    def write_conf(self, **changes):
        values = dict(self.values, **changes)
        values["addresses"] = ", ".join('"%s"' % a for a in values["addresses"])
        with open(self.conf, "w", encoding="ascii") as f:
            f.write(CONF.format(dir=self.dir, user=self.user, **values))
        os.chmod(self.conf, 0o644)

    def command(self, *options):
        return [RELAYD, "-c", self.conf, *options]

    def start(self, *options, env=None, sockets=(), preexec=None, wait=True):
        environment = {k: v for k, v in os.environ.items()
                       if not k.startswith(("LISTEN_", "WATCHDOG_"))}
        environment["NOTIFY_SOCKET"] = self.manager.path
        environment.update(env or {})
        command = self.command("-f", *options)
        if sockets:
            command = [sys.executable, "-c", ACTIVATE, str(len(sockets)),
                       *command]

        def before():
            # In order, from 3 on; first out of each other's way.
            high = [os.dup(s.fileno()) for s in sockets]
            for i, fd in enumerate(high):
                os.dup2(fd, 100 + i)
            for i in range(len(sockets)):
                os.dup2(100 + i, 3 + i)
                os.set_inheritable(3 + i, True)
                os.close(100 + i)
            if preexec:
                preexec()

        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment, preexec_fn=before, cwd=self.dir,
                close_fds=not sockets)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        """READY=1, or an end with its log as the reason."""
        self.manager.sock.settimeout(0.1)
        try:
            deadline = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline:
                try:
                    self.manager.hear("READY=1")
                    return
                except TimeoutError:
                    if self.process.poll() is not None:
                        break
        finally:
            self.manager.sock.settimeout(PATIENCE_S)
        raise AssertionError("relayd is not ready; its log:\n" + self.log())

    def log(self):
        with open(self.log_path, encoding="utf-8") as f:
            return f.read()

    def events(self, event):
        """The lines of the log about this event, as dicts."""
        found = []
        for line in self.log().splitlines():
            pairs = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line)
            fields = {k: v.strip('"') for k, v in pairs}
            if fields.get("event") == event:
                found.append(fields)
        return found

    def wait_event(self, event, n=1):
        wait_until(lambda: len(self.events(event)) >= n,
                   "event=%s in the log:\n%s" % (event, self.log()))
        return self.events(event)[n - 1]

    def address(self, n=0):
        """The n-th address it listens at, as (host, port)."""
        wait_until(lambda: len(self.events("listening")) > n, "listening")
        host, _, port = self.events("listening")[n]["address"].rpartition(":")
        return host.strip("[]"), int(port)

    def connect(self, n=0):
        sock = socket.create_connection(self.address(n), timeout=PATIENCE_S)
        return sock, sock.makefile("rb")

    def greeting(self, n=0):
        sock, lines = self.connect(n)
        with sock, lines:
            return lines.readline().decode()

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(PATIENCE_S)

    def stop(self):
        self.signal(signal.SIGTERM)
        return self.wait()

    def clean_up(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.manager.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class ServiceTest(unittest.TestCase):
    """A test with daemons that are gone when it ends."""

    def daemon(self, **kw):
        return Daemon(self, **kw)

    def run_relayd(self, *options, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run([RELAYD, *options], capture_output=True,
                              text=True, timeout=PATIENCE_S, check=False, **kw)
