#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""test_background - relayd without -f: who started it hears how it went, and
is let go."""
import os
import signal
import socket
import subprocess
import unittest

from daemon import PATIENCE_S, ServiceTest, is_alive, wait_until


class Background(ServiceTest):
    def launch(self, d, stderr):
        """Starts it as a shell would; waits for the command to return."""
        env = {k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}
        return subprocess.run(d.command(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=stderr, env=env,
                              timeout=PATIENCE_S, check=False)

    def launch_to_log(self, d):
        with open(d.log_path, "ab") as log:
            return self.launch(d, log)

    def pid(self, d):
        pid = int(d.wait_event("started")["pid"])
        self.addCleanup(lambda: is_alive(pid) and os.kill(pid, signal.SIGKILL))
        return pid

    def stop(self, pid):
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not is_alive(pid), "the end of relayd")

    def test_it_returns_when_it_serves(self):
        d = self.daemon()
        done = self.launch_to_log(d)
        self.assertEqual(done.returncode, 0, d.log())
        self.assertEqual(done.stdout, b"")
        pid = self.pid(d)
        self.assertTrue(d.greeting().startswith("220 "))
        self.assertNotEqual(os.getsid(pid), os.getsid(0))
        self.assertNotEqual(os.getsid(pid), pid)
        for fd in (0, 1):
            where = "/proc/%d/fd/%d" % (pid, fd)
            if os.access(where, os.R_OK):
                self.assertEqual(os.readlink(where), "/dev/null")
        self.stop(pid)
        self.assertEqual(len(d.events("stopped")), 1)

    def test_a_failure_is_the_callers_to_see(self):
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        d = self.daemon(addresses=[address])
        done = self.launch(d, subprocess.PIPE)
        self.assertEqual(done.returncode, 1)
        lines = done.stderr.decode().splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].startswith("relayd: "))
        self.assertIn(address, lines[0])

    def test_nobody_waits_for_its_pipes(self):
        d = self.daemon()
        # Returns at the end of both pipes: a daemon that kept one would
        # make it wait until PATIENCE_S.
        done = self.launch(d, subprocess.PIPE)
        self.assertEqual(done.returncode, 0, done.stderr)
        # Its log went elsewhere: ask the control socket who it is.
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with sock:
            sock.connect(d.control)
            creds = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid = int.from_bytes(creds[:4], "little")
        self.assertTrue(is_alive(pid))
        self.stop(pid)

    def test_relative_names_keep_their_meaning(self):
        d = self.daemon()
        with open(d.log_path, "ab") as log:
            done = subprocess.run([d.command()[0], "-c", "relayd.conf"],
                                  cwd=d.dir, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=log,
                                  timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, 0, d.log())
        pid = self.pid(d)
        os.kill(pid, signal.SIGHUP)
        d.wait_event("reloaded")
        self.stop(pid)


if __name__ == "__main__":
    unittest.main()
