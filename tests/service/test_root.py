#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""test_root - root is given up after binding, for good; or never had."""
import os
import pwd
import shutil
import signal
import unittest

from daemon import RELAYD, ServiceTest, me, skip_loudly

NOBODY = "nobody"


def ids(pid):
    """Real, effective, saved and file system uids and gids, and groups."""
    found = {}
    with open("/proc/%d/status" % pid, encoding="ascii") as status:
        for line in status:
            key, _, values = line.partition(":")
            if key in ("Uid", "Gid", "Groups", "NoNewPrivs"):
                found[key] = values.split()
    return found


class Root(ServiceTest):
    def setUp(self):
        if os.geteuid() != 0:
            skip_loudly(self, "only root can give up root")
        self.nobody = pwd.getpwnam(NOBODY)

    def start(self, **kw):
        d = self.daemon(user=NOBODY, **kw)
        return d.start()

    def test_everything_is_nobodys(self):
        # Groups that root has, and nobody has not.
        d = self.daemon(user=NOBODY)
        d.start(preexec=lambda: os.setgroups([0, 4, 5]))
        now = ids(d.process.pid)
        self.assertEqual(now["Uid"], [str(self.nobody.pw_uid)] * 4)
        self.assertEqual(now["Gid"], [str(self.nobody.pw_gid)] * 4)
        for group in ("0", "4", "5"):
            self.assertNotIn(group, now["Groups"])
        self.assertEqual(now["NoNewPrivs"], ["1"])
        for tid in os.listdir("/proc/%d/task" % d.process.pid):
            self.assertEqual(ids(int(tid))["Uid"],
                             [str(self.nobody.pw_uid)] * 4)
        queue = os.path.join(d.dir, "queue")
        self.assertEqual(os.stat(queue).st_uid, self.nobody.pw_uid)
        self.assertEqual(os.stat(queue).st_mode & 0o777, 0o700)
        self.assertTrue(d.greeting().startswith("220 "))
        d.signal(signal.SIGHUP)
        d.wait_event("reloaded")
        self.assertEqual(d.stop(), 0, d.log())
        self.assertFalse(os.path.exists(d.control))

    def test_a_port_below_1024_is_bound_first(self):
        d = self.daemon(user=NOBODY, addresses=["127.0.0.77:587"])
        d.start()
        self.assertTrue(d.greeting().startswith("220 "))
        self.assertEqual(d.stop(), 0, d.log())

    def test_it_starts_again_on_its_queue(self):
        d = self.start()
        self.assertEqual(d.stop(), 0, d.log())
        d.start()
        self.assertEqual(d.stop(), 0, d.log())

    def test_an_unknown_user_is_an_error(self):
        d = self.daemon(user="no-such-user")
        done = self.run_relayd("-f", "-c", d.conf)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn("no-such-user", done.stderr)

    def test_a_queue_of_another_is_an_error(self):
        d = self.daemon(user=NOBODY)
        queue = os.path.join(d.dir, "queue")
        os.mkdir(queue)
        with open(os.path.join(queue, "precious"), "w", encoding="ascii"):
            pass
        done = self.run_relayd("-f", "-c", d.conf)
        self.assertEqual(done.returncode, 1)
        self.assertIn("chown", done.stderr)
        self.assertEqual(os.stat(queue).st_uid, 0)

    def test_n_warns_of_what_the_user_cannot_read(self):
        d = self.daemon(user=NOBODY)
        os.chmod(d.conf, 0o600)
        done = self.run_relayd("-n", "-c", d.conf)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertIn("user nobody can't read", done.stderr)

    def test_user_root_stays_root(self):
        d = self.daemon(user="root").start()
        self.assertEqual(ids(d.process.pid)["Uid"], ["0"] * 4)
        self.assertEqual(d.stop(), 0, d.log())


class NeverRoot(ServiceTest):
    def test_it_stays_who_it_is(self):
        d = self.daemon(user="whoever-is-ignored")
        become = None
        expected = pwd.getpwnam(me()).pw_uid
        if os.geteuid() == 0:
            nobody = pwd.getpwnam(NOBODY)
            expected = nobody.pw_uid
            os.chown(d.dir, nobody.pw_uid, nobody.pw_gid)
            # Where the programs lie may be root's alone.
            program = shutil.copy(RELAYD, os.path.join(d.dir, "relayd"))
            os.chmod(program, 0o755)
            d.command = lambda *options: [program, "-c", d.conf, *options]
            with open(d.log_path, "wb"):
                pass

            def become():
                os.setgroups([])
                os.setgid(nobody.pw_gid)
                os.setuid(nobody.pw_uid)
        d.start(preexec=become)
        self.assertEqual(ids(d.process.pid)["Uid"], [str(expected)] * 4)
        self.assertTrue(d.greeting().startswith("220 "))
        self.assertEqual(d.stop(), 0, d.log())


if __name__ == "__main__":
    unittest.main()
