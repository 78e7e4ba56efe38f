#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""test_start - the command line of relayd: exit statuses, one line why, -n,
-V, --set."""
import os
import socket
import unittest

from daemon import ServiceTest, free_address, is_alive, me


class CommandLine(ServiceTest):
    def test_usage_is_status_2(self):
        for wrong in (["-x"], ["extra"], ["-c"], ["--set"], ["--set", "novalue"],
                      ["--set", "=1"], ["--nonsense"]):
            with self.subTest(wrong):
                done = self.run_relayd(*wrong)
                self.assertEqual(done.returncode, 2)
                self.assertIn("usage: relayd", done.stderr)
                self.assertEqual(done.stdout, "")

    def test_version(self):
        done = self.run_relayd("-V")
        self.assertEqual(done.returncode, 0)
        lines = done.stdout.splitlines()
        self.assertRegex(lines[0], r"^relayd \S+$")
        for library in ("libevent", "GnuTLS", "LMDB", "libconfuse"):
            self.assertRegex(done.stdout, r"(?m)^%s \d+\.\d+" % library)

    def test_works_with_closed_standard_descriptors(self):
        def close_all():
            os.closerange(0, 3)
        d = self.daemon()
        d.start(preexec=close_all)
        self.assertEqual(d.stop(), 0, d.log())


class Check(ServiceTest):
    def test_a_good_file_is_silent(self):
        d = self.daemon()
        done = self.run_relayd("-n", "-c", d.conf)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_every_problem_has_file_and_line(self):
        d = self.daemon(more='identity "a" { certificate = "/nowhere/a.pem" '
                        'key = "/nowhere/a.key" }\n'
                        'trust "t" { ca = { "/nowhere/ca.pem" } crl = "off" }')
        done = self.run_relayd("-n", "-c", d.conf)
        self.assertEqual(done.returncode, 1)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 2, done.stdout)
        for line in lines:
            self.assertRegex(line, r"^%s:\d+: " % d.conf)

    def test_syntax_is_a_problem(self):
        d = self.daemon(more="nonsense = 1")
        done = self.run_relayd("-n", "-c", d.conf)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"(?m)^%s:10: " % d.conf)

    def test_it_opens_neither_sockets_nor_queue(self):
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        d = self.daemon(addresses=["127.0.0.1:%d" % taken.getsockname()[1]])
        done = self.run_relayd("-n", "-c", d.conf)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(sorted(os.listdir(d.dir)), ["notify", "relayd.conf"])

    def test_a_missing_file_is_a_problem(self):
        done = self.run_relayd("-n", "-c", "/nowhere/relayd.conf")
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stdout.startswith("/nowhere/relayd.conf"),
                        done.stdout)


class Start(ServiceTest):
    def fails(self, d, *options):
        """Status 1, and one line why, which is returned."""
        done = self.run_relayd("-f", "-c", d.conf, *options)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stdout, "")
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertTrue(lines[0].startswith("relayd: "), lines[0])
        self.assertFalse(os.path.exists(d.control))
        return lines[0]

    def test_a_taken_port(self):
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        why = self.fails(self.daemon(addresses=[address]))
        self.assertIn(address, why)

    def test_bad_configuration(self):
        d = self.daemon(more="nonsense = 1\nfolly = 2")
        self.assertIn(d.conf + ":", self.fails(d))

    def test_unreadable_certificate(self):
        d = self.daemon(more='identity "a" { certificate = "/nowhere/a.pem" '
                        'key = "/nowhere/a.key" }')
        self.assertIn("/nowhere/a.pem", self.fails(d))

    def test_a_queue_that_cannot_be(self):
        d = self.daemon()
        why = self.fails(d, "--set", "queue.path=/proc/no/queue")
        self.assertIn("/proc/no/queue", why)

    def test_a_queue_that_is_a_file(self):
        d = self.daemon()
        with open(os.path.join(d.dir, "queue"), "w", encoding="ascii"):
            pass
        self.assertIn("queue", self.fails(d))

    def test_a_second_one_on_the_same_control_socket(self):
        d = self.daemon()
        d.start()
        done = self.run_relayd("-f", "-c", d.conf)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertTrue(os.path.exists(d.control))
        self.assertTrue(is_alive(d.process.pid))
        self.assertEqual(d.stop(), 0, d.log())

    def test_set_overrides_the_file(self):
        d = self.daemon()
        other = os.path.join(d.dir, "elsewhere")
        d.start("--set", "queue.path=" + other)
        self.assertTrue(os.path.isdir(other))
        self.assertFalse(os.path.exists(os.path.join(d.dir, "queue")))
        self.assertEqual(d.stop(), 0, d.log())

    def test_what_the_log_says(self):
        addresses = [free_address(), free_address()]
        d = self.daemon(addresses=addresses)
        d.start()
        started = d.wait_event("started")
        self.assertEqual(started["pid"], str(d.process.pid))
        self.assertEqual(started["queued"], "0")
        self.assertEqual([e["address"] for e in d.events("listening")],
                         addresses)
        self.assertEqual(d.stop(), 0, d.log())
        self.assertEqual(len(d.events("stopping")), 1)
        self.assertEqual(len(d.events("stopped")), 1)

    def test_the_queue_and_the_control_socket_are_private(self):
        d = self.daemon(user=me())
        d.start()
        queue = os.path.join(d.dir, "queue")
        self.assertEqual(os.stat(queue).st_mode & 0o777, 0o700)
        for name in os.listdir(queue):
            mode = os.stat(os.path.join(queue, name)).st_mode
            self.assertEqual(mode & 0o077, 0, name)
        self.assertEqual(os.stat(d.control).st_mode & 0o777, 0o660)
        self.assertEqual(d.stop(), 0, d.log())


if __name__ == "__main__":
    unittest.main()
