# SPDX-License-Identifier: ISC
"""Certificates, keys and authorities are taken when their files change, by
whatever means; broken ones are refused until they are mended."""

import os
import shutil
import threading
import unittest

import keeper
from harness import certs, net, sender

SESSIONS = 100
SOON_S = 2              # a bound on what is waited for


class Replaced(keeper.Keeper):
    """No command is given, and no session is disturbed."""

    def setUp(self):
        super().setUp()
        self.before = self.client()

    def check(self):
        """The new one is shown; who was there before goes on."""
        self.wait_shown(self.new)
        self.assertEqual(self.before.socket.getpeercert(True),
                         certs.der(self.old.pem))
        self.assertTrue(self.before.ask('NOOP').startswith('250 '))
        self.assertEqual(self.status()['refused'], [])
        self.assertIn('not_after_before=',
                      self.wait_log('event=certificate-renewed'))
        self.before.close()
        self.end()

    def test_by_rename(self):
        keeper.put(self.new.key, self.files.key)
        keeper.put(self.new.pem, self.files.pem)
        self.check()

    def test_in_place(self):
        """Cut to nothing, then written piece by piece."""
        with open(self.new.pem, 'rb') as f:
            data = f.read()
        shutil.copyfile(self.new.key, self.files.key)
        with open(self.files.pem, 'wb', buffering=0) as f:
            for at in range(0, len(data), 100):
                f.write(data[at:at + 100])
        self.check()

    def test_directory_replaced(self):
        os.mkdir(f'{self.dir}/next')
        shutil.copy(f'{self.tls}/ca.pem', f'{self.dir}/next/ca.pem')
        shutil.copy(self.new.pem, f'{self.dir}/next/relay.pem')
        shutil.copy(self.new.key, f'{self.dir}/next/relay.key')
        os.rename(self.tls, f'{self.dir}/last')
        os.rename(f'{self.dir}/next', self.tls)
        self.check()

    def test_reload_during_edit(self):
        """Of relayd.conf nothing is read."""
        with open(self.relay.conf, 'a', encoding='ascii') as f:
            f.write('listener "half a')
        keeper.put(self.new.key, self.files.key)
        keeper.put(self.new.pem, self.files.pem)
        self.check()
        self.assertNotIn('reload-refused', self.relay.log())


class Linked(Replaced):
    """As certbot keeps them: live/ has links into archive/."""

    def lay_out(self):
        os.makedirs(f'{self.dir}/archive')
        os.mkdir(self.tls)
        shutil.copy(self.ca.pem, f'{self.tls}/ca.pem')
        for end in ('pem', 'key'):
            shutil.copy(getattr(self.old, end), f'{self.dir}/archive/1.{end}')
            os.symlink(f'../archive/1.{end}', f'{self.tls}/relay.{end}')

    def test_by_rename(self):
        for end in ('pem', 'key'):
            shutil.copy(getattr(self.new, end), f'{self.dir}/archive/2.{end}')
            os.symlink(f'../archive/2.{end}', f'{self.tls}/next')
            os.rename(f'{self.tls}/next', f'{self.tls}/relay.{end}')
        self.check()

    test_directory_replaced = None
    test_reload_during_edit = None


class Projected(Replaced):
    """As Kubernetes keeps them: links by way of ..data, which is swapped."""

    def lay_out(self):
        os.mkdir(self.tls)
        self.fill('..1', self.old)
        os.symlink('..1', f'{self.tls}/..data')
        for file in ('relay.pem', 'relay.key', 'ca.pem'):
            os.symlink(f'..data/{file}', f'{self.tls}/{file}')

    def fill(self, directory, certificate):
        os.mkdir(f'{self.tls}/{directory}')
        shutil.copy(certificate.pem, f'{self.tls}/{directory}/relay.pem')
        shutil.copy(certificate.key, f'{self.tls}/{directory}/relay.key')
        shutil.copy(self.ca.pem, f'{self.tls}/{directory}/ca.pem')

    def test_by_rename(self):
        self.fill('..2', self.new)
        os.symlink('..2', f'{self.tls}/..tmp')
        os.rename(f'{self.tls}/..tmp', f'{self.tls}/..data')
        shutil.rmtree(f'{self.tls}/..1')
        self.check()

    test_in_place = None
    test_directory_replaced = None
    test_reload_during_edit = None


class Broken(keeper.Keeper):

    def check_refused(self, reason):
        status = self.wait_refused(1)
        row, = status['refused']
        self.assertEqual(row['identity'], 'relay')
        self.assertIn(reason, row['reason'])
        own, = (c for c in status['certificates'] if 'identity' in c)
        self.assertEqual(own['refused'], row['reason'])
        self.assertIn('level=error', self.wait_log(
            'event=certificate-refused'))
        self.assertIn(reason, self.relay.ctl('status').stdout)
        self.assertEqual(self.shown(), certs.der(self.old.pem))

    def check_mended(self):
        self.wait_shown(self.new)
        self.assertEqual(self.wait_refused(0)['certificates'][0]['refused'],
                         '')
        self.end()

    def test_not_a_pair(self):
        keeper.put(self.new.pem, self.files.pem)
        self.check_refused('not the key of the first certificate')
        keeper.put(self.new.key, self.files.key)
        self.check_mended()

    def test_rubbish(self):
        with open(self.files.pem, 'w', encoding='ascii') as f:
            f.write('-----BEGIN nothing')
        self.check_refused(self.files.pem)
        done = self.relay.ctl('reload', expect=1)
        self.assertIn(self.files.pem, done.stderr)
        keeper.put(self.new.key, self.files.key)
        keeper.put(self.new.pem, self.files.pem)
        self.check_mended()

    def test_removed(self):
        os.remove(self.files.key)
        self.check_refused(self.files.key)
        keeper.put(self.new.pem, self.files.pem)
        keeper.put(self.new.key, self.files.key)
        self.check_mended()

    def test_authority(self):
        keeper.put(self.old.key, f'{self.tls}/ca.pem')
        row, = self.wait_refused(1)['refused']
        self.assertEqual(row['trust'], 'ours')
        self.send()
        self.check_books()
        keeper.put(self.ca.pem, f'{self.tls}/ca.pem')
        self.wait_refused(0)
        self.end()


class WaitingMail(keeper.Keeper):
    """What waits for a certificate of ours goes when it is there, long before
    the next probe."""

    def test_client_certificate(self):
        self.hop.behaviour.client_ca = self.other_ca.pem
        self.send(3)
        self.relay.wait_deferred(3, 'tls-client-cert')
        good = self.other_ca.issue('relay', keeper.NAME)
        keeper.put(good.key, self.files.key)
        keeper.put(good.pem, self.files.pem)
        self.check_books()
        self.end()

    def test_authority(self):
        self.hop.behaviour.certificate = self.other_ca.issue('hop',
                                                             keeper.PEER)
        self.send(3)
        self.relay.wait_deferred(3, 'tls-cert-untrusted')
        keeper.put(self.other_ca.pem, f'{self.tls}/ca.pem')
        self.check_books()
        self.end()


class UnderLoad(keeper.Keeper):
    """A certificate is replaced under many sessions that send: none of them
    fails, and who comes afterwards is shown the new one."""

    def deliver(self, client, over, wrong):
        try:
            while not over.wait(0.1):
                key, data = sender.message()
                reply = client.deliver('a@example.com', ['b@example.net'],
                                       data)
                with self.lock:
                    self.accepted[key] = reply
        except (OSError, AssertionError) as e:
            wrong.append(e)

    def test_no_session_fails(self):
        self.accepted, self.lock = {}, threading.Lock()
        over, wrong = threading.Event(), []
        clients = [self.client() for _ in range(SESSIONS)]
        threads = [threading.Thread(target=self.deliver,
                                    args=(client, over, wrong))
                   for client in clients]
        for t in threads:
            t.start()
        net.wait_for('all send', lambda: len(self.accepted) > SESSIONS)
        keeper.put(self.new.key, self.files.key)
        keeper.put(self.new.pem, self.files.pem)
        self.wait_shown(self.new, SOON_S)
        then = len(self.accepted)
        net.wait_for('all go on sending',
                     lambda: len(self.accepted) > then + SESSIONS or wrong)
        over.set()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])
        self.assertEqual({reply[:9] for reply in self.accepted.values()},
                         {'250 2.0.0'})
        for client in clients:
            self.assertEqual(client.socket.getpeercert(True),
                             certs.der(self.old.pem))
            self.assertTrue(client.ask('QUIT').startswith('221 '))
        self.hop.wait(len(self.accepted))
        self.end()


if __name__ == '__main__':
    unittest.main()
