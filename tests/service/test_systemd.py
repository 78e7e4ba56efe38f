#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""test_systemd - notification, watchdog, socket activation, and the unit."""
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from daemon import ROOT, ServiceTest, free_address, skip_loudly

PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
WALL = 0x40000000


class Notify(ServiceTest):
    def test_ready_means_served(self):
        d = self.daemon().start()
        self.assertTrue(d.greeting().startswith("220 "))
        self.assertTrue(os.path.exists(os.path.join(d.dir, "queue")))
        self.assertTrue(os.path.exists(d.control))
        self.assertEqual(d.stop(), 0, d.log())

    def test_not_ready_if_it_fails(self):
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        d = self.daemon(addresses=["127.0.0.1:%d" % taken.getsockname()[1]])
        d.start(wait=False)
        self.assertEqual(d.wait(), 1)
        d.manager.sock.settimeout(0)
        with self.assertRaises(BlockingIOError):
            d.manager.hear("READY=1")

    def test_status_says_how_it_is(self):
        d = self.daemon().start()
        fields = d.manager.hear("STATUS=0 queued")
        self.assertIn("all destinations up", fields["STATUS"])
        self.assertEqual(d.stop(), 0, d.log())

    def test_reload_is_announced_with_its_time(self):
        d = self.daemon().start()
        before = time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6
        d.signal(signal.SIGHUP)
        fields = d.manager.hear("RELOADING=1")
        after = time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6
        self.assertGreaterEqual(int(fields["MONOTONIC_USEC"]), int(before))
        self.assertLessEqual(int(fields["MONOTONIC_USEC"]), int(after))
        d.manager.hear("READY=1")
        self.assertEqual(d.stop(), 0, d.log())

    def test_stop_is_announced(self):
        d = self.daemon().start()
        d.signal(signal.SIGTERM)
        d.manager.hear("STOPPING=1")
        self.assertEqual(d.wait(), 0, d.log())


class Watchdog(ServiceTest):
    def start(self, usec, pid=None):
        d = self.daemon()
        env = {"WATCHDOG_USEC": str(usec)}
        if pid:
            env["WATCHDOG_PID"] = str(pid)
        return d.start(env=env)

    def test_it_is_patted_again_and_again(self):
        d = self.start(3_000_000)
        for _ in range(3):
            d.manager.hear("WATCHDOG=1")
        self.assertFalse(d.events("thread-silent"), d.log())
        self.assertEqual(d.stop(), 0, d.log())

    def test_not_if_it_is_meant_for_another(self):
        d = self.start(100_000, pid=os.getpid())
        d.manager.hear("STATUS=0 queued")
        d.manager.sock.settimeout(1)
        with self.assertRaises(TimeoutError):
            d.manager.hear("WATCHDOG=1")
        self.assertEqual(d.stop(), 0, d.log())

    def test_a_thread_that_hangs_is_not_covered_up(self):
        d = self.start(2_000_000)
        tid = self.thread_of(d.process.pid, "worker0")
        if not self.freeze(d, tid):
            skip_loudly(self, "one thread alone can't be stopped here")
        d.wait_event("thread-silent")
        d.manager.sock.settimeout(0)
        try:
            while True:
                d.manager.sock.recv(4096)
        except BlockingIOError:
            pass
        d.manager.sock.settimeout(3)
        with self.assertRaises(TimeoutError):
            d.manager.hear("WATCHDOG=1")

    def thread_of(self, pid, name):
        """A thread names itself, a moment after it was started."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            for tid in os.listdir("/proc/%d/task" % pid):
                with open("/proc/%d/task/%s/comm" % (pid, tid),
                          encoding="ascii") as comm:
                    if comm.read().strip() == name:
                        return int(tid)
            time.sleep(0.01)
        raise AssertionError("no thread " + name)

    def freeze(self, d, tid):
        """Holds one thread as a debugger does, until the test ends."""
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(PTRACE_SEIZE, tid, None, None) != 0:
            return False

        def let_go():
            d.process.kill()
            os.waitpid(tid, WALL)
        if libc.ptrace(PTRACE_INTERRUPT, tid, None, None) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")
        os.waitpid(tid, WALL)
        self.addCleanup(let_go)
        return True


class Activation(ServiceTest):
    def listen(self, host="127.0.0.1", family=socket.AF_INET):
        sock = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, 0))
        sock.listen(10)
        self.addCleanup(sock.close)
        port = sock.getsockname()[1]
        text = "[%s]:%d" if family == socket.AF_INET6 else "%s:%d"
        return sock, text % (host, port)

    def test_a_passed_socket_is_served(self):
        sock, address = self.listen()
        d = self.daemon(addresses=[address])
        # It waits in the backlog of a service that is not there yet.
        early = socket.create_connection(sock.getsockname(), timeout=60)
        with early:
            d.start(sockets=[sock])
            self.assertTrue(early.recv(4096).startswith(b"220 "))
        self.assertFalse(d.events("socket-unused"))
        self.assertEqual(d.stop(), 0, d.log())

    def test_a_restart_refuses_nobody(self):
        sock, address = self.listen()
        d = self.daemon(addresses=[address])
        d.start(sockets=[sock])
        self.assertEqual(d.stop(), 0, d.log())
        meanwhile = socket.create_connection(sock.getsockname(), timeout=60)
        with meanwhile:
            d.start(sockets=[sock])
            self.assertTrue(meanwhile.recv(4096).startswith(b"220 "))
        self.assertEqual(d.stop(), 0, d.log())

    def test_they_are_matched_by_address_whatever_the_order(self):
        first, a = self.listen("127.0.0.1")
        second, b = self.listen("127.0.0.2")
        d = self.daemon(addresses=[a, b, free_address()])
        d.start(sockets=[second, first])
        for n in range(3):
            self.assertTrue(d.greeting(n).startswith("220 "))
        self.assertEqual(d.address(0), first.getsockname())
        self.assertEqual(d.address(1), second.getsockname())
        self.assertEqual(d.stop(), 0, d.log())

    def test_ipv6(self):
        try:
            sock, address = self.listen("::1", socket.AF_INET6)
        except OSError as why:
            skip_loudly(self, "no IPv6: %s" % why)
        d = self.daemon(addresses=[address])
        d.start(sockets=[sock])
        self.assertTrue(d.greeting().startswith("220 "))
        self.assertEqual(d.stop(), 0, d.log())

    def test_what_matches_nothing_is_closed_with_a_warning(self):
        sock, _ = self.listen("127.0.0.4")
        d = self.daemon().start(sockets=[sock])
        self.assertEqual(len(d.events("socket-unused")), 1)
        where = sock.getsockname()
        sock.close()
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(where, timeout=60)
        self.assertTrue(d.greeting().startswith("220 "))
        self.assertEqual(d.stop(), 0, d.log())


class Unit(ServiceTest):
    unit = ROOT / "dist/relayd.service"

    def analyze(self, *args):
        tool = shutil.which("systemd-analyze")
        if not tool:
            skip_loudly(self, "there is no systemd-analyze")
        return subprocess.run([tool, *args], capture_output=True, text=True,
                              timeout=60, check=False)

    def test_it_is_valid(self):
        # verify wants the programs to exist: a copy names ones that do.
        with tempfile.TemporaryDirectory() as place:
            for name in ("relayd.service", "relayd.socket"):
                text = (ROOT / "dist" / name).read_text()
                text = text.replace("/usr/sbin/relayd", "/bin/true")
                text = re.sub(r"(?m)^Documentation=.*\n", "", text)
                with open(os.path.join(place, name), "w",
                          encoding="ascii") as copy:
                    copy.write(text)
            done = self.analyze("verify", os.path.join(place, "relayd.socket"),
                                os.path.join(place, "relayd.service"))
        # Units of the machine may have faults of their own.
        ours = [line for line in done.stderr.splitlines() if "relayd" in line]
        self.assertEqual(ours, [])

    def test_it_is_hardened(self):
        done = self.analyze("security", "--offline=true", str(self.unit))
        self.assertRegex(done.stdout, r"Overall exposure level.*\bOK\b")


if __name__ == "__main__":
    unittest.main()
