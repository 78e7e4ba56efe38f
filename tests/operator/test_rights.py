# SPDX-License-Identifier: ISC
"""Who may do what: members of control.group look, root and relayd's user
change; somebody else does not get in.  Without root all of that is one user,
who may do everything."""

import grp
import os
import pwd
import shutil
import subprocess
import tempfile
import unittest

import desk
from harness.relay import RELAYCTL, Relay, user

LOOKS = [('status',), ('queue', 'list'), ('queue', 'summary'), ('audit',),
         ('destination', 'list'), ('check', 'queue'), ('queue', 'verify')]
CHANGES = [('hold', '--all', '--yes'), ('release', '--all', '--yes'),
           ('resubmit', '--all', '--yes'), ('remove', '--all', '--yes'),
           ('extend', '--all', '--by', '1d', '--yes'),
           ('destination', 'suspend', 'out/*'),
           ('destination', 'resume', 'out/*'), ('reload',),
           ('log-level', 'info')]


class Rights(desk.Desk):

    def setUp(self):
        super().setUp()
        self.refuse_all()
        self.relay.close()
        self.dir = tempfile.mkdtemp(dir='/tmp')
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        os.chmod(self.dir, 0o755)
        self.tool = shutil.copy(RELAYCTL, self.dir)
        self.me = pwd.getpwnam(user())
        # Neither of them is relayd's.
        self.group = grp.getgrgid(
            next(g.gr_gid for g in grp.getgrall()
                 if g.gr_gid not in (0, self.me.pw_gid))
            if os.geteuid() == 0 else os.getegid())
        self.stranger = next(p for p in pwd.getpwall()
                             if p.pw_uid not in (0, self.me.pw_uid)
                             and p.pw_gid != self.group.gr_gid)
        self.relay = Relay(*self.sections(), queue=self.queue, start=False,
                           control={'group': self.group.gr_name})
        self.addCleanup(self.relay.close)
        run = f'{self.dir}/run'
        os.mkdir(run)
        if os.geteuid() == 0:
            shutil.chown(run, self.me.pw_uid)
        self.relay.socket = f'{run}/control.sock'
        self.relay.configure(*self.sections())
        self.relay.start()
        self.sent = self.send(2)
        self.relay.wait_deferred(2, 'peer-deferred')

    def run_as(self, args, uid=None, groups=()):
        who = {}
        if uid is not None:
            who = {'user': uid, 'group': self.stranger.pw_gid,
                   'extra_groups': list(groups)}
        return subprocess.run([self.tool, '-s', self.relay.socket, *args],
                              stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False, timeout=60, cwd='/',
                              **who)

    def test_members_of_the_group_look(self):
        if os.geteuid() != 0:
            return self.all_is_allowed()
        uid, gid = self.stranger.pw_uid, self.group.gr_gid
        for args in LOOKS:
            done = self.run_as(args, uid, [gid])
            self.assertEqual(done.returncode, 0, done)
        before = self.states()
        for args in CHANGES:
            done = self.run_as(args, uid, [gid])
            self.assertEqual((done.returncode, done.stdout), (1, ''), done)
            self.assertIn('not permitted', done.stderr)
        export = f'{self.dir}/export'
        os.mkdir(export, 0o777)
        os.chmod(export, 0o777)
        done = self.run_as(('queue', 'export', export), uid, [gid])
        self.assertEqual(done.returncode, 0, done)
        done = self.run_as(('queue', 'import', export), uid, [gid])
        self.assertEqual(done.returncode, 1, done)
        self.assertIn('not permitted', done.stderr)
        self.assertEqual(self.states(), before)
        self.assertEqual(self.relay.ctl_json('audit'), [])
        self.end()

    def test_strangers_do_not_get_in(self):
        if os.geteuid() != 0:
            return self.all_is_allowed()
        for args in (LOOKS[0], CHANGES[0]):
            done = self.run_as(args, self.stranger.pw_uid)
            self.assertEqual((done.returncode, done.stdout), (1, ''), done)
            self.assertIn('permission denied', done.stderr)
        self.end()

    def test_relayds_user_changes(self):
        uid = self.me.pw_uid if os.geteuid() == 0 else None
        done = self.run_as(('hold', self.sent[0].id), uid)
        self.assertEqual(done.returncode, 0, done)
        entry, = self.relay.ctl_json('audit')
        self.assertEqual((entry['uid'], entry['user']),
                         (self.me.pw_uid, self.me.pw_name))
        self.all_is_allowed()

    def all_is_allowed(self):
        for args in LOOKS + CHANGES:
            done = self.run_as(args)
            self.assertIn(done.returncode, (0, 4), done)
        self.end()


if __name__ == '__main__':
    unittest.main()
