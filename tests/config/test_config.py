#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""test_config - what `relayd -n` says of wrong configurations and of the ones
that we show to people; it opens no socket and no queue.

RELAYD names the program; without it build/release is taken.
"""
import os
import pathlib
import pwd
import re
import shutil
import socket
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests'))

from harness import certs  # noqa: E402
from harness.net import temp_dir  # noqa: E402

RELAYD = os.path.abspath(
    os.environ.get('RELAYD', ROOT / 'build/release/relayd'))
SYSTEM_CA = '/etc/ssl/certs/ca-certificates.crt'
PATIENCE_S = 60         # ends what hangs; nothing else depends on it

IDENTITY = ('identity "i" '
            '{ certificate = "DIR/good.pem" key = "DIR/good.key" }\n')
TRUST = 'trust "t" { ca = { "DIR/ca.pem" } }\n'
LISTENER = 'listener "ok" { address = { "127.0.0.1:2525" } }\n'

# What is wrong, the file, what is said.  The line at fault ends in "#!".
# LISTENER follows each; DIR is the folder of the certificates.
WRONG = [
    # syntax
    ('unknown option', 'user = "x"\nhostnam = "x"  #!\n',
     "no such option 'hostnam'"),
    ('unknown section', '\n\nqueues { }  #!\n', "no such option 'queues'"),
    ('unknown option of a section', 'queue {\n  pth = "/q"  #!\n}\n',
     "queue: no such option 'pth'"),
    ('no equal sign', '\nworkers 3  #!\n', 'missing equal sign'),
    ('no title', 'listener {  #!\n}\n', "missing title for section 'listener'"),
    ('brace left open', 'log {  #!\n  level = "info"\n',
     'this { is never closed'),
    ('brace too many', 'log { }\n}  #!\n', 'unexpected closing brace'),
    ('string left open', 'user = "x  #!\nworkers = 1\n', 'closing quote'),
    ('star without quotes',
     'route "r" {\n  hosts = { "h" }\n  domains = { * }  #!\n}\n',
     'must stand in quotes'),
    ('section twice', 'queue { }\n\nqueue { }  #!\n',
     'section queue appears twice'),
    ('title twice', f'{IDENTITY}\nidentity "i" {{ }}  #!\n',
     "found duplicate title 'i'"),
    ('include of what is not there', '\ninclude("nowhere.conf")  #!\n',
     'cannot read DIR/nowhere.conf: No such file or directory'),

    # values
    ('duration without unit', 'stop_timeout = "30"  #!\n',
     'stop_timeout expects a duration such as 30s, 5m or 4h, not "30"'),
    ('number out of bounds', '\nworkers = 65  #!\n',
     'workers expects a number from 0 to 64'),
    ('size that is none', 'queue {\n  max_size = "big"  #!\n}\n',
     'queue.max_size expects a size such as'),
    ('word that is none', 'log {\n  level = "loud"  #!\n}\n',
     'log.level expects debug, info, warn or error, not "loud"'),
    ('list with one bad value',
     'queue {\n  retry = { "1m",\n    "2x",  #!\n    "3m" }\n}\n',
     'queue.retry expects a duration'),
    ('address that is none',
     'listener "l" {\n  address = { "host:25" }  #!\n}\n',
     'listener "l": address expects addresses such as'),
    ('network with stray bits',
     'listener "l" {\n  address = { "127.0.0.1:1" }\n  source "s" {\n'
     '    networks = { "10.0.0.1/8" }  #!\n  }\n}\n',
     'source "s": networks expects networks such as'),
    ('pin that is none',
     'route "r" {\n  domains = { "a" } hosts = { "h" }\n'
     '  pins = { "beef" }  #!\n}\n', 'pins expects SHA-256 pins'),

    # what does not go together
    ('address missing', '\nlistener "l" {  #!\n}\n', 'address is missing'),
    ('address twice', 'listener "l" {\n  address = { "127.0.0.1:1",\n'
     '    "127.0.0.1:1" }  #!\n}\n', 'already that of listener "l"'),
    ('TLS without identity',
     'listener "l" {\n  address = { "127.0.0.1:1" }\n  tls = "forced"  #!\n}\n',
     'tls = "forced" needs an identity'),
    ('unknown identity',
     'listener "l" {\n  address = { "127.0.0.1:1" }\n'
     '  identity = { "nobody" }  #!\n}\n',
     'names identity "nobody", which is not defined'),
    ('unknown trust',
     'route "r" {\n  domains = { "a" } hosts = { "h" }\n'
     '  trust = "nobody"  #!\n}\n',
     'names trust "nobody", which is not defined'),
    ('client certificate without trust',
     f'{IDENTITY}listener "l" {{\n  address = {{ "127.0.0.1:1" }} '
     'identity = { "i" }\n  client_certificate = "require"  #!\n}\n',
     'needs a trust'),
    ('client names without certificate',
     'listener "l" {\n  address = { "127.0.0.1:1" }\n  source "s" {\n'
     '    client_names = { "a.example" }  #!\n  }\n}\n',
     'client_names need a certificate'),
    ('open relay',
     'listener "l" {\n  address = { "127.0.0.1:1" }\n  source "s" {  #!\n'
     '  }\n}\n', 'lets anybody relay anywhere'),
    ('hosts missing', '\nroute "r" {  #!\n  domains = { "a" }\n}\n',
     'hosts is missing'),
    ('domain of two routes',
     'route "r" { domains = { "a" } hosts = { "h" } }\n'
     'route "s" {\n  hosts = { "h" }\n  domains = { "b", "A" }  #!\n}\n',
     'domain a is already that of route "r"'),
    ('names that nobody looks at',
     'route "r" {\n  domains = { "a" } hosts = { "h" } verify = "ca"\n'
     '  names = { "n" }  #!\n}\n',
     'names are looked at only with verify = "name"'),
    ('verify without TLS',
     'route "r" {\n  domains = { "a" } hosts = { "h" } tls = "off"\n'
     '  verify = "name"  #!\n}\n', 'verify means nothing with tls off'),

    ('passwords without TLS', 'listener "l" {\n'
     '  address = { "127.0.0.1:1" }\n  auth_file = "/x"  #!\n}\n',
     'auth_file needs TLS'),
    ('login without passwords',
     'listener "l" {\n  address = { "127.0.0.1:1" }\n  source "s" {\n'
     '    authenticated = true  #!\n  }\n}\n',
     'authenticated = true can never be met'),

    # certificates and keys
    ('certificate that is not there',
     '\nidentity "i" {  #!\n  certificate = "DIR/nowhere.pem"\n'
     '  key = "DIR/good.key"\n}\n',
     'identity "i": DIR/nowhere.pem: No such file or directory'),
    ('key that is not there',
     '\n\nidentity "i" {  #!\n  certificate = "DIR/good.pem"\n'
     '  key = "DIR/nowhere.key"\n}\n',
     'DIR/nowhere.key: No such file or directory'),
    ('key of another certificate',
     'identity "i" {  #!\n  certificate = "DIR/good.pem"\n'
     '  key = "DIR/other.key"\n}\n', 'DIR/other.key'),
    ('certificate that is not PEM',
     'identity "i" {  #!\n  certificate = "DIR/text"\n'
     '  key = "DIR/good.key"\n}\n', 'DIR/text'),
    ('key that is not PEM',
     'identity "i" {  #!\n  certificate = "DIR/good.pem"\n'
     '  key = "DIR/text"\n}\n', 'DIR/text'),
    ('encrypted key',
     'identity "i" {  #!\n  certificate = "DIR/good.pem"\n'
     '  key = "DIR/encrypted.key"\n}\n', 'DIR/encrypted.key'),
    ('certificate that has expired',
     '\nidentity "i" {  #!\n  certificate = "DIR/expired.pem"\n'
     '  key = "DIR/expired.key"\n}\n', 'the certificate expired on'),
    ('certificate that is not valid yet',
     '\nidentity "i" {  #!\n  certificate = "DIR/early.pem"\n'
     '  key = "DIR/early.key"\n}\n', 'the certificate is not valid before'),
    ('authority that is not there',
     '\ntrust "t" { ca = { "DIR/nowhere.pem" } }  #!\n',
     'trust "t": DIR/nowhere.pem: No such file or directory'),
    ('authority that is not PEM', 'trust "t" { ca = { "DIR/text" } }  #!\n',
     'DIR/text'),
]


# Warnings, likewise; the exit status is 0.
WARNED = [
    ('certificate that is about to expire',
     'hostname = "relay.example.com"\nidentity "i" {  #!\n'
     '  certificate = "DIR/soon.pem"\n  key = "DIR/soon.key"\n}\n'
     + TRUST, 'the certificate expires on'),
    ('certificate of another name',
     f'hostname = "other.example.org"\n{IDENTITY}{TRUST}\n'
     'listener "l" {  #!\n  address = { "127.0.0.1:1" }\n'
     '  tls = "opportunistic" identity = { "i" }\n}\n',
     'bears the hostname other.example.org'),
    ('intermediate certificate that is missing',
     '\nidentity "i" {  #!\n  certificate = "DIR/alone.pem"\n'
     '  key = "DIR/alone.key"\n}\n' + TRUST,
     'the chain is incomplete, or its root is not known here: '
     'CN=between of the tests is missing in DIR/alone.pem'),
    ('authority that nobody here knows', '\n' + IDENTITY.replace(
        '{', '{  #!\n', 1), 'is missing in DIR/good.pem'),
    ('address that no certificate bears',
     f'{TRUST}route "r" {{  #!\n  domains = {{ "a" }} trust = "t"\n'
     '  hosts = { "mx.example.org", "[192.0.2.1]:25" }\n'
     '  tls = "forced"\n}\n', "can't be met by host 192.0.2.1"),
]


def copy_pair(pair, base):
    shutil.copy(pair.pem, base + '.pem')
    shutil.copy(pair.key, base + '.key')


def make_certificates(directory):
    """Files for the rows above, under the names that they use there."""
    ca = certs.Authority(directory)
    names = ('relay.contoso.com', 'relay.example.com')
    for base, dates in (('good', {}), ('other', {}),
                        ('expired', {'begins': -30, 'ends': -1}),
                        ('early', {'begins': 1})):
        copy_pair(ca.issue(base, *names, **dates),
                  os.path.join(directory, base))
    copy_pair(ca.issue('soon', *names, begins=-30, ends=1),
              os.path.join(directory, 'soon'))
    between = certs.Authority(directory, 'between', issuer=ca)
    alone = between.issue('alone', *names, alone=True)
    copy_pair(alone, os.path.join(directory, 'alone'))
    with open(os.path.join(directory, 'whole.pem'), 'w',
              encoding='ascii') as f:
        for pem in (alone.pem, between.pem):
            with open(pem, encoding='ascii') as part:
                f.write(part.read())
    with open(os.path.join(directory, 'text'), 'w', encoding='ascii') as f:
        f.write('This is not a certificate.\n')
    subprocess.run(['certtool', '--to-p8', '--password', 'secret',
                    '--load-privkey', os.path.join(directory, 'good.key'),
                    '--outfile', os.path.join(directory, 'encrypted.key')],
                   check=True, capture_output=True)


class ConfigTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.certificates = temp_dir('config-certs')
        cls.addClassCleanup(shutil.rmtree, cls.certificates)
        make_certificates(cls.certificates)

    def setUp(self):
        self.dir = temp_dir('config')
        self.addCleanup(shutil.rmtree, self.dir)
        self.file = os.path.join(self.dir, 'relayd.conf')

    def write(self, text, name='relayd.conf'):
        path = os.path.join(self.dir, name)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text.replace('DIR', self.certificates))
        return path

    def check(self, *sets, file=None):
        """The exit status of relayd -n, and the lines it printed."""
        command = [RELAYD, '-n', '-c', file or self.file]
        for text in sets:
            command += ['--set', text]
        done = subprocess.run(command, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True,
                              timeout=PATIENCE_S, check=False)
        return done.returncode, done.stdout.splitlines()

    def warnings(self):
        """What a good file is warned of."""
        done = subprocess.run([RELAYD, '-n', '-c', self.file, '--set',
                               self.user()], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True,
                              timeout=PATIENCE_S, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ''))
        return done.stderr.splitlines()

    def user(self):
        return 'user=' + pwd.getpwuid(os.geteuid()).pw_name

    def assert_refused(self, place, says, *sets):
        status, lines = self.check(*sets)
        self.assertEqual(status, 1, lines)
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].startswith(place + ': '),
                        f'not at {place}: {lines[0]}')
        self.assertIn(says, lines[0])

    def assert_accepted(self, *sets, file=None):
        status, lines = self.check(self.user(), *sets, file=file)
        self.assertEqual((status, lines), (0, []))


class Wrong(ConfigTest):
    def test_each_has_its_line(self):
        for what, text, says in WRONG:
            with self.subTest(what):
                before, mark, _ = text.partition('#!')
                self.assertTrue(mark)
                line = before.count('\n') + 1
                self.write(text + LISTENER)
                self.assert_refused(
                    f'{self.file}:{line}',
                    says.replace('DIR/nowhere.conf', self.dir + '/nowhere.conf')
                    .replace('DIR', self.certificates))

    def test_a_file_that_is_not_there(self):
        self.assert_refused(self.file, 'No such file or directory')

    def test_nothing_to_listen_at(self):
        self.write('hostname = "relay.example.com"\n')
        self.assert_refused(self.file, 'no listener')

    def test_a_problem_in_an_included_file(self):
        more = self.write('\n\nworkers = "many"\n', 'more.conf')
        self.write('include("more.conf")\n' + LISTENER)
        self.assert_refused(f'{more}:3', 'workers expects')

    def test_a_problem_in_an_override(self):
        self.write(LISTENER)
        self.assert_refused('--set queue.lifetime', 'expects a duration',
                            'queue.lifetime=5')
        self.assert_refused('--set queue.lifetme', 'no such option',
                            'queue.lifetme=5d')

    def test_all_are_told_at_once(self):
        self.write('workers = "many"\nlog { level = "loud" }\n'
                   'identity "i" { certificate = "/x" }\n' + LISTENER)
        status, lines = self.check()
        self.assertEqual(status, 1)
        self.assertEqual([line.split(': ')[0] for line in lines],
                         [f'{self.file}:{n}' for n in (1, 2, 3)])
        self.write('identity "i" { certificate = "/x" key = "/y" }\n'
                   'identity "j" { certificate = "/x" key = "/y" }\n'
                   'trust "t" { ca = { "/x" } }\n' + LISTENER)
        status, lines = self.check()
        self.assertEqual(status, 1)
        self.assertEqual([line.split(': ')[0] for line in lines],
                         [f'{self.file}:{n}' for n in (1, 2, 3)])


class Warned(ConfigTest):
    def test_each_has_its_line(self):
        for what, text, says in WARNED:
            with self.subTest(what):
                before, mark, _ = text.partition('#!')
                self.assertTrue(mark)
                line = before.count('\n') + 1
                self.write(text + LISTENER)
                warned, = self.warnings()
                self.assertTrue(warned.startswith(f'{self.file}:{line}: '),
                                warned)
                self.assertTrue(warned.endswith(' (warning)'), warned)
                self.assertIn(says.replace('DIR', self.certificates), warned)

    def test_what_is_well(self):
        for text in (
                IDENTITY + TRUST,
                'identity "i" { certificate = "DIR/whole.pem" '
                'key = "DIR/alone.key" }\n' + TRUST,
                f'{TRUST}route "r" {{ domains = {{ "a" }} trust = "t"\n'
                'hosts = { "[192.0.2.1]" } tls = "forced"\n'
                'names = { "mx.example.org" } }\n'):
            with self.subTest(text):
                self.write(text + LISTENER)
                self.assertEqual(self.warnings(), [])


class Good(ConfigTest):
    def test_all_that_the_wrong_ones_are_made_of(self):
        self.write(IDENTITY + TRUST + LISTENER)
        self.assert_accepted()

    def test_nothing_is_opened(self):
        """Not its port, which is taken; no queue, no control socket."""
        with socket.create_server(('127.0.0.1', 0)) as taken:
            port = taken.getsockname()[1]
            self.write(f'queue {{ path = "{self.dir}/queue" }}\n'
                       f'control {{ socket = "{self.dir}/run/ctl" }}\n'
                       f'listener "l" {{ address = "127.0.0.1:{port}" }}\n')
            self.assert_accepted()
        self.assertEqual(os.listdir(self.dir), ['relayd.conf'])


class Shown(ConfigTest):
    """What we show to people works when they copy it."""

    def setUp(self):
        super().setUp()
        if not os.path.exists(SYSTEM_CA):
            print(f'SKIPPED {self.id()}: no {SYSTEM_CA}', file=sys.stderr)
            self.skipTest(f'needs {SYSTEM_CA}')

    def use(self, text):
        """Takes it with our certificates, and its files in our folder."""
        for name in ('relay.pem', 'relay.key'):
            text = text.replace(f'/etc/relayd/tls/{name}',
                                'DIR/good' + name[-4:])
        text = text.replace('/etc/relayd/tls/internal-ca.pem', 'DIR/ca.pem')
        self.assertNotIn('/etc/relayd', text)
        self.write(text)
        self.assert_accepted(f'queue.path={self.dir}/queue',
                             f'control.socket={self.dir}/ctl')
        self.assertEqual(os.listdir(self.dir), ['relayd.conf'])

    def test_the_sample(self):
        self.use((ROOT / 'dist/relayd.conf').read_text(encoding='ascii'))

    def test_the_ten_lines_of_the_readme(self):
        text = (ROOT / 'README.md').read_text(encoding='utf-8')
        shown = re.search(r'^    hostname = .*\n(?:    .*\n)*', text, re.M)[0]
        self.assertEqual(shown.count('\n'), 10)
        self.use(shown)

    def test_the_first_example_of_the_manual(self):
        text = (ROOT / 'man/relayd.conf.5').read_text(encoding='ascii')
        examples = text.partition('\n.Sh EXAMPLES\n')[2]
        self.use(re.search(r'^\.Bd [^\n]*\n(.*?)^\.Ed$', examples,
                           re.M | re.S)[1])


if __name__ == '__main__':
    unittest.main()
