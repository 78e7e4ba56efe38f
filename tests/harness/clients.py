# SPDX-License-Identifier: ISC
"""clients - mail programs written by others that hand a message to relayd: in
clear text, over STARTTLS or implicit TLS, with the server's certificate
checked.

    Curl().send(Target(host, port, 'starttls', ca), data)

A program that this machine lacks is unpacked under build/; where it can't be
had, the test is skipped, loudly.
"""

import collections
import glob
import json
import os
import shutil
import smtplib
import ssl
import subprocess

from . import certs, net, peer, sender

FROM, TO = 'alice@example.com', 'bob@example.net'
NAME = 'relay.example.com'
TIMEOUT_S = 60

# security: plain | starttls | implicit; ca: PEM file, the only one to trust.
Target = collections.namedtuple('Target', 'host port security ca')


class Failed(AssertionError):
    """The program did not hand it over, and says why."""


def certificate(authority, host):
    """One for NAME and for its address: not every program can be told what
    name to expect."""
    # No template of harness.certs has addresses.
    # pylint: disable=protected-access
    return certs._make(
        os.path.join(authority.directory, f'{authority.name}-address'),
        # s-nail looks for an address among the names.
        certs._leaf([NAME, host], -1, 30) + f'ip_address = "{host}"\n',
        '--generate-certificate', '--load-ca-certificate', authority.pem,
        '--load-ca-privkey', authority.key)


def program(name, package=None):
    """The path of a program: the machine's own, or unpacked."""
    own = shutil.which(name)
    if own:
        return own
    files = peer.unpacked(package or name)
    found = glob.glob(f'{files}/usr/*bin/{name}')
    return found[0]


def libraries(package):
    """Where those are that this machine may lack."""
    return {'LD_LIBRARY_PATH':
            f'{peer.TOP}/build/peers/{package}/usr/lib/x86_64-linux-gnu'}


class Client:
    """A subclass has command() or its own send()."""

    securities = ('plain', 'starttls', 'implicit')
    line_end = b'\r\n'          # that it wants in what it is given
    ending = line_end           # of the last line
    adds = b''                  # what it puts behind all that
    says_ehlo = True
    is_composer = False         # writes the header itself, from a body

    def __init__(self):
        self.dir = net.temp_dir('client')
        self.file = f'{self.dir}/message'

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def environment(self):
        return {}

    def command(self, target):
        """What to run; the message is in self.file and on its standard
        input."""
        raise NotImplementedError

    def send(self, target, data):
        """Hands over data, which has CRLF; raises Failed."""
        with open(self.file, 'wb') as f:
            f.write(data.removesuffix(b'\r\n').replace(
                b'\r\n', self.line_end) + self.ending)
        with open(self.file, 'rb') as f:
            done = subprocess.run(
                self.command(target), stdin=f, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, timeout=TIMEOUT_S, check=False,
                env=dict(os.environ, HOME=self.dir, LC_ALL='C',
                         **self.environment()))
        if done.returncode:
            raise Failed(f'exit {done.returncode}: '
                         f'{done.stdout.decode("latin-1")}')


class Swaks(Client):
    # It takes a last dot for the end of data.
    ending = b'\r\n.\r\n'

    def environment(self):
        files = peer.unpacked('libnet-ssleay-perl')
        return {'PERL5LIB': ':'.join(
            glob.glob(f'{files}/usr/lib/*/perl5/5.*'))}

    def command(self, target):
        options = {'plain': [], 'starttls': ['--tls'],
                   'implicit': ['--tls-on-connect']}[target.security]
        if options:
            options += ['--tls-verify', '--tls-ca-path', target.ca]
        return ['perl', f'{peer.unpacked("swaks")}/usr/bin/swaks',
                '--server', target.host, '--port', str(target.port),
                '--from', FROM, '--to', TO, '--data', f'@{self.file}',
                *options]


class SmtpSource(Client):
    securities = ('plain',)
    line_end = ending = b'\n'
    adds = b'\r\n'
    says_ehlo = False

    def environment(self):
        files = peer.unpacked('postfix')
        return {'LD_LIBRARY_PATH': f'{files}/usr/lib/postfix:'
                f'{files}/usr/lib/x86_64-linux-gnu'}

    def command(self, target):
        return [f'{peer.unpacked("postfix")}/usr/sbin/smtp-source',
                '-m', '1', '-f', FROM, '-t', TO, '-F', self.file,
                f'{target.host}:{target.port}']


class Curl(Client):
    def environment(self):
        return libraries('curl')

    def command(self, target):
        scheme = 'smtps' if target.security == 'implicit' else 'smtp'
        options = ['--ssl-reqd'] if target.security == 'starttls' else []
        return [program('curl'), '--silent', '--show-error', '--disable',
                '--connect-to', f'::{target.host}:{target.port}',
                '--cacert', target.ca, '--mail-from', FROM,
                '--mail-rcpt', TO, '--upload-file', self.file, *options,
                f'{scheme}://{NAME}:{target.port}/client.example.com']


class Msmtp(Client):
    line_end = ending = b'\n'

    def environment(self):
        return libraries('msmtp')

    def command(self, target):
        tls = 'off' if target.security == 'plain' else 'on'
        start = 'on' if target.security == 'starttls' else 'off'
        # Without a trust file it takes its configuration to be wrong.
        options = [f'--tls-trust-file={target.ca}'] * (tls == 'on')
        return [program('msmtp'), '--file=/dev/null', f'--from={FROM}',
                f'--host={target.host}', f'--port={target.port}',
                '--auth=off', f'--tls={tls}', f'--tls-starttls={start}',
                *options, '--', TO]


class SNail(Client):
    """It writes header and MIME itself."""
    is_composer = True
    says_ehlo = False           # but to ask for STARTTLS
    line_end = ending = b'\n'

    def environment(self):
        return libraries('s-nail')

    def command(self, target):
        scheme = 'smtps' if target.security == 'implicit' else 'smtp'
        settings = {
            'v15-compat': 'yes', 'sendwait': '', 'smtp-auth': 'none',
            'mta': f'{scheme}://{target.host}:{target.port}',
            'hostname': 'client.example.com', 'DEAD': '/dev/null',
            'tls-verify': 'strict', 'tls-ca-file': target.ca,
            'tls-ca-no-defaults': ''}
        if target.security == 'starttls':
            settings['smtp-use-starttls'] = ''
        options = [word for k, v in settings.items()
                   for word in ('-S', f'{k}={v}' if v else k)]
        return [program('s-nail'), '-:/', *options, '-r', FROM,
                '-s', 'by s-nail', TO]


NODEMAILER = '''
const o = JSON.parse(process.argv[1]), fs = require("fs");
const tls = { ca: fs.readFileSync(o.ca), servername: o.name };
require("nodemailer").createTransport({
    host: o.host, port: o.port, name: "client.example.com", tls,
    secure: o.security == "implicit", requireTLS: o.security == "starttls",
    ignoreTLS: o.security == "plain",
}).sendMail({
    envelope: { from: o.from, to: [o.to] }, raw: fs.readFileSync(o.file),
}).catch(e => { console.log(e); process.exitCode = 1; });
'''


class Nodemailer(Client):
    def environment(self):
        return {'NODE_PATH':
                f'{peer.unpacked("nodemailer")}/node_modules'}

    def command(self, target):
        return ['node', '-e', NODEMAILER, json.dumps(
            {**target._asdict(), 'name': NAME, 'file': self.file,
             'from': FROM, 'to': TO})]


class Smtplib(Client):
    """Python's own."""

    def send(self, target, data):
        context = ssl.create_default_context(cafile=target.ca)
        try:
            with self.connect(target, context) as client:
                if target.security == 'starttls':
                    client.starttls(context=context)
                client.sendmail(FROM, [TO], data)
        except (smtplib.SMTPException, OSError) as e:
            raise Failed(str(e)) from e

    def connect(self, target, context):
        options = {'local_hostname': 'client.example.com',
                   'timeout': TIMEOUT_S}
        if target.security == 'implicit':
            return smtplib.SMTP_SSL(target.host, target.port,
                                    context=context, **options)
        return smtplib.SMTP(target.host, target.port, **options)


class Scripted(sender.Client):
    """A dialogue through the standard input and output of a program."""

    def __init__(self, command, greets):
        # Not a socket: the usual beginning does not apply.
        # pylint: disable=super-init-not-called
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        self.file = self.process.stdout
        self.pipelining = False
        self.greeting = self.reply() if greets else ''
        if greets and not self.greeting.startswith('220'):
            self.close()
            raise sender.Refused(f'greeting: {self.greeting!r}')

    def send(self, data):
        self.process.stdin.write(data.encode() if isinstance(data, str)
                                 else data)
        self.process.stdin.flush()

    def close(self):
        self.process.kill()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.stdout.close()
        self.process.wait()


class Dialogue(Client):
    """A program that does TLS and leaves SMTP to us."""

    securities = ('starttls', 'implicit')

    def send(self, target, data):
        try:
            with Scripted(self.command(target),
                          target.security == 'implicit') as client:
                client.hello()
                reply = client.deliver(FROM, [TO], data)
                if not reply.startswith('250'):
                    raise sender.Refused(reply)
                client.ask('QUIT', '221')
        except (sender.Refused, OSError) as e:
            raise Failed(repr(e)) from e


class OpensslSClient(Dialogue):
    def command(self, target):
        options = (['-starttls', 'smtp', '-name', 'client.example.com']
                   if target.security == 'starttls' else [])
        # -quiet: a line that begins with R or Q is no order to it.
        return [program('openssl'), 's_client', '-quiet', '-connect',
                f'{target.host}:{target.port}', '-CAfile', target.ca,
                '-no-CApath', '-no-CAstore', '-verify_hostname', NAME,
                '-verify_return_error', '-servername', NAME, *options]


class GnutlsCli(Dialogue):
    def command(self, target):
        options = (['--starttls-proto=smtp']
                   if target.security == 'starttls' else [])
        return [program('gnutls-cli', 'gnutls-bin'), '--x509cafile',
                target.ca, f'--verify-hostname={NAME}', '--sni-hostname',
                NAME, f'--port={target.port}',
                f'--logfile={self.dir}/log', *options, target.host]
