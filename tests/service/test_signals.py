#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""test_signals - TERM and INT stop, HUP reloads, USR1 tells."""
import os
import signal
import socket
import unittest

from daemon import RELAYCTL, ServiceTest, free_address, wait_until


class Stop(ServiceTest):
    def test_term_and_int_end_with_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                d = self.daemon().start()
                address = d.address()
                d.signal(number)
                self.assertEqual(d.wait(), 0, d.log())
                self.assertFalse(os.path.exists(d.control))
                with self.assertRaises(ConnectionRefusedError):
                    d.connect()
                self.assertEqual(d.events("stopping")[0]["signal"],
                                 number.name[3:])
                self.assertEqual(d.address(), address)

    def test_an_idle_session_is_told(self):
        d = self.daemon(stop_timeout="60s").start()
        sock, lines = d.connect()
        with sock, lines:
            self.assertTrue(lines.readline().startswith(b"220 "))
            d.signal(signal.SIGTERM)
            self.assertTrue(lines.readline().startswith(b"421 "))
            self.assertEqual(lines.readline(), b"")
        self.assertEqual(d.wait(), 0, d.log())

    def begin_message(self, sock, lines):
        lines.readline()
        for command in (b"EHLO client.example.com\r\n",
                        b"MAIL FROM:<a@example.com>\r\n",
                        b"RCPT TO:<b@example.com>\r\n", b"DATA\r\n"):
            sock.sendall(command)
            while lines.readline()[3:4] == b"-":
                pass
        sock.sendall(b"Subject: in flight\r\n\r\n")

    def is_refused(self, d):
        try:
            socket.create_connection(d.address(), timeout=1).close()
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            pass
        return False

    def test_what_is_in_flight_is_finished_and_nothing_new_begins(self):
        d = self.daemon(stop_timeout="60s").start()
        sock, lines = d.connect()
        with sock, lines:
            self.begin_message(sock, lines)
            d.signal(signal.SIGTERM)
            d.manager.hear("STOPPING=1")
            wait_until(lambda: self.is_refused(d), "a refused connection")
            sock.sendall(b"done\r\n.\r\n")
            self.assertTrue(lines.readline().startswith(b"250 "))
            self.assertTrue(lines.readline().startswith(b"421 "))
        self.assertEqual(d.wait(), 0, d.log())
        d.start()
        started = d.wait_event("started", 2)
        self.assertEqual(int(started["queued"]) + int(started["deferred"]), 1)
        self.assertEqual(d.stop(), 0, d.log())

    def test_what_does_not_end_is_cut_off(self):
        d = self.daemon(stop_timeout="300ms").start()
        sock, lines = d.connect()
        with sock, lines:
            self.begin_message(sock, lines)
            d.signal(signal.SIGTERM)
            self.assertEqual(d.wait(), 0, d.log())
        d.start()
        self.assertEqual(d.wait_event("started", 2)["queued"], "0")
        self.assertEqual(d.stop(), 0, d.log())

    def test_a_second_signal_changes_nothing(self):
        d = self.daemon().start()
        d.signal(signal.SIGTERM)
        d.signal(signal.SIGINT)
        d.signal(signal.SIGTERM)
        d.signal(signal.SIGHUP)
        d.signal(signal.SIGUSR1)
        self.assertEqual(d.wait(), 0, d.log())

    def test_it_starts_again_on_its_queue(self):
        d = self.daemon().start()
        self.assertEqual(d.stop(), 0, d.log())
        d.start()
        self.assertEqual(d.stop(), 0, d.log())
        self.assertEqual(len(d.events("started")), 2)

    def test_after_a_kill_too(self):
        d = self.daemon().start()
        d.process.kill()
        d.process.wait()
        self.assertTrue(os.path.exists(d.control))
        d.start()
        self.assertEqual(d.stop(), 0, d.log())


class Reload(ServiceTest):
    def hup(self, d):
        d.signal(signal.SIGHUP)
        d.manager.hear("RELOADING=1")
        d.manager.hear("READY=1")

    def test_a_session_survives_and_the_new_one_is_in_force(self):
        d = self.daemon().start()
        sock, lines = d.connect()
        with sock, lines:
            self.assertIn(b"relay.example.com", lines.readline())
            with open(d.conf, encoding="ascii") as f:
                text = f.read()
            with open(d.conf, "w", encoding="ascii") as f:
                f.write(text.replace("relay.example.com", "new.example.com"))
            self.hup(d)
            self.assertEqual(len(d.events("reloaded")), 1)
            # Workers take it in their next turn.
            wait_until(lambda: "new.example.com" in d.greeting(),
                       "the new name in a greeting")
            sock.sendall(b"NOOP\r\n")
            self.assertTrue(lines.readline().startswith(b"250 "))
            sock.sendall(b"EHLO client.example.com\r\n")
            self.assertIn(b"relay.example.com", lines.readline())
        self.assertEqual(d.stop(), 0, d.log())

    def test_a_bad_one_is_refused_whole(self):
        d = self.daemon().start()
        d.write_conf(more='nonsense = 1\nidentity "a" { certificate = "/x" }')
        self.hup(d)
        refused = d.events("reload-refused")
        self.assertTrue(refused)
        self.assertIn(d.conf + ":10", refused[0]["text"])
        self.assertFalse(d.events("reloaded"))
        self.assertTrue(d.greeting().startswith("220 "))
        d.write_conf()
        self.hup(d)
        self.assertEqual(len(d.events("reloaded")), 1)
        self.assertEqual(d.stop(), 0, d.log())

    def test_missing_credentials_are_refused(self):
        d = self.daemon().start()
        d.write_conf(more='identity "a" { certificate = "/nowhere/a.pem" '
                     'key = "/nowhere/a.key" }')
        self.hup(d)
        self.assertIn("/nowhere/a.pem", d.events("reload-refused")[0]["text"])
        self.assertTrue(d.greeting().startswith("220 "))
        self.assertEqual(d.stop(), 0, d.log())

    def test_what_needs_a_restart_is_refused(self):
        d = self.daemon().start()
        d.write_conf(addresses=[free_address(), free_address()])
        self.hup(d)
        self.assertTrue(d.events("reload-refused"))
        self.assertFalse(d.events("reloaded"))
        self.assertTrue(d.greeting().startswith("220 "))
        self.assertEqual(d.stop(), 0, d.log())

    def test_many_in_a_row(self):
        d = self.daemon().start()
        for _ in range(20):
            self.hup(d)
        self.assertEqual(len(d.events("reloaded")), 20)
        self.assertTrue(d.greeting().startswith("220 "))
        self.assertEqual(d.stop(), 0, d.log())

    @unittest.skipUnless(os.access(RELAYCTL, os.X_OK), "no relayctl: " + RELAYCTL)
    def test_relayctl_reloads_and_hears_why_not(self):
        import subprocess
        d = self.daemon().start()
        command = [RELAYCTL, "-s", d.control, "reload"]
        done = subprocess.run(command, capture_output=True, text=True,
                              check=False, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        d.write_conf(more="nonsense = 1")
        done = subprocess.run(command, capture_output=True, text=True,
                              check=False, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn(d.conf + ":10", done.stdout + done.stderr)
        self.assertEqual(d.stop(), 0, d.log())


class Tell(ServiceTest):
    def test_usr1_logs_a_status_line(self):
        d = self.daemon().start()
        sock, lines = d.connect()
        with sock, lines:
            lines.readline()
            d.signal(signal.SIGUSR1)
            status = d.wait_event("status")
            self.assertEqual(status["connections_in"], "1")
            for key in ("queued", "deferred", "held", "expired", "failed",
                        "destinations_not_up"):
                self.assertEqual(status[key], "0", key)
        self.assertEqual(d.stop(), 0, d.log())

    def test_debug_shows_more(self):
        d = self.daemon().start("-v")
        self.assertEqual(d.stop(), 0, d.log())


if __name__ == "__main__":
    unittest.main()
