#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The dialogues of client/ over real sockets against relayd.

A peer says the lines of S: and must hear those of C:; relayd is handed
messages with the envelopes of the script.  Then the history of each recipient
must tell what the script's results do: delivered, deferred or failed, with the
words that the peer said.

Differences that are meant: each script has a domain of its own in place of
d.example, and so a route and a peer.  In front of a message stands relayd's
Received field.  What a script has in TLS from the start is got there by
STARTTLS.  A piece of a body is made as large as relayd reads at once where
another piece follows, and a message that is refused while it is sent is large
enough to be refused then.  Where a script has no message, one is there.
"""

import re
import shutil
import socket
import ssl
import threading
import unittest

import script
from harness import certs, net, sender                   # noqa: E402
from harness.relay import Relay, identity, route         # noqa: E402
from harness.sink import Sink                            # noqa: E402

HOSTNAME = 'relay.example'
PIECE = 64 * 1024           # of a body, as relayd reads it
LARGE = 6 << 20             # more than fits between relayd and a deaf peer
RECEIVED = re.compile(rb'Received:.*?\r\n(?![ \t])', re.S)
SIZE = re.compile(rb' SIZE=\d+')
PATIENCE_S = 60
PLAIN = b'x\r\n'
NOTIFY = {1: 'NEVER', 2: 'SUCCESS', 12: 'FAILURE,DELAY',
          14: 'SUCCESS,FAILURE,DELAY'}
SETTLED = ('delivered', 'deferred', 'failed')

NO_AUTH = 'relayd.conf refuses auth where TLS is not forced'
NOT_OVER_A_SOCKET = {
    '4954-4-not-in-clear': NO_AUTH,
    '4954-4-not-in-clear-if-offered': NO_AUTH,
    '4954-4-login-empty-name': 'relayd.conf refuses auth without auth_user',
    '4616-2-empty-password': 'relayd takes no empty file for a password',
    '3030-2-empty': 'an empty message has no bare newline: it goes by DATA',
    '3030-2-every-byte': 'relayd takes no NUL in a message',
    '5321-4.2-unsolicited': 'relayd is never idle before its first message',
}
UNSEEN = {
    'is timeout': 'up to 10 minutes (see tests/deliver/test_patience.py)',
    'is rcpt-max, mail-max': 'need many recipients and messages '
                             '(tests/deliver/test_split.py)',
    'is offers STARTTLS, ENHANCED, CHUNKING, AUTH, MASKED':
        'change nothing of what is said at MAIL',
    'is greeting, in-tls, ehlo-refused': 'what is said and comes of it shows',
}


class Message:
    """What relayd is handed, and what the script says of its end."""

    def __init__(self, words, settings):
        self.sender = script.unescape(words[0]).replace(b'<>', b'')
        self.recipients = [script.unescape(w) for w in words[1:]]
        self.settings = dict(settings)
        self.id = None              # that relayd gave it
        self.asks = []              # [bytes, is it the end?]
        self.lines = None           # of the body, as DATA has them
        self.content = None
        self.is_large = False       # refused while it is sent
        self.results = {}           # number: (stage, reply)
        self.uncertain = None
        self.failure = None         # (stage, code or 'protocol')
        self.failed_with = b''

    @property
    def is_bare(self):
        return self.settings.get('bare-newlines') == 'yes'

    def make_content(self, offers):
        if self.lines is not None:
            text = b''.join(self.lines)
            content = (b'\r\n' + text).replace(b'\r\n.', b'\r\n')[2:]
        elif self.is_bare:
            content = self.chunks()
        else:
            content = PLAIN
        if self.settings.get('8bit') == 'yes' and '8BITMIME' in offers:
            content += b'\xe4\r\n'
        if self.is_large:
            content += (b'y' * 76 + b'\r\n') * (LARGE // 78)
        self.content = content

    def chunks(self):
        """Pieces in the size that relayd reads, but for the last one."""
        if self.asks and self.asks[-1] == [b'', False]:
            self.asks.pop()         # nothing was given any more
        if not self.asks:
            return b'a\nb\r\n'
        for ask in self.asks[:-1]:
            ask[0] += b'p' * (PIECE - len(ask[0]))
        last = self.asks[-1]
        if last[1]:
            last[0] = last[0] or b'z'
        else:
            last[0] += b'p' * (PIECE - len(last[0]))
        content = b''.join(ask[0] for ask in self.asks)
        return content if last[1] else content + b'more\r\n'

    def mail_words(self, offers):
        words = ''
        if self.settings.get('smtputf8') == 'yes' and 'SMTPUTF8' in offers:
            words += ' SMTPUTF8'
        for key in ('ret', 'envid'):
            if key in self.settings:
                words += f' {key.upper()}={self.settings[key]}'
        return words.encode()

    def rcpt_words(self, n):
        words = ''
        if f'notify {n}' in self.settings:
            words += f' NOTIFY={NOTIFY[int(self.settings[f"notify {n}"])]}'
        if f'orcpt {n}' in self.settings:
            words += f' ORCPT={self.settings[f"orcpt {n}"]}'
        return words.encode()


class Plan:
    """A script as what the peer does: (what, ...) in self.steps."""

    def __init__(self, world, number, s):
        self.world = world
        self.number = number
        self.script = s
        self.messages = []
        self.steps = []
        self.facts = {}
        self.offers = ''            # what stands in the last answer to EHLO
        self.listening = socket.create_server((world.host, 0), backlog=1)
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        self.port = self.listening.getsockname()[1]
        self.listening.settimeout(PATIENCE_S)
        self.read()
        if not self.messages:
            self.add_default()
        for m in self.messages:
            m.make_content(self.offers)

    # ------- reading

    def own(self, wire):
        """With the domain of this script."""
        return re.sub(rb'(?i)(?<=@)(d)\.example',
                      rb'\g<1>%d.example' % self.number, wire)

    def read(self):
        settings = {}
        self.in_body = False
        for line in self.script.lines:
            if line.word == 'set':
                words = line.rest.split(' ')
                n = 2 if words[0] in ('notify', 'orcpt') else 1
                settings[' '.join(words[:n])] = ' '.join(words[n:])
            elif line.word == 'mail':
                self.messages.append(Message(
                    self.own(line.rest.encode()).decode().split(' '),
                    settings))
            elif hasattr(self, 'on_' + line.word):
                getattr(self, 'on_' + line.word)(line)
        self.secure_first()

    def on_C(self, line):
        wire = self.own(line.wire)
        message = self.messages[-1] if self.messages else None
        if self.in_body and message.is_bare:
            if not wire.startswith(b'BDAT '):
                self.steps.append(('chunk', line, message,
                                   self.chunk_number, self.chunk_last))
                self.chunk_number += 1
            else:
                self.chunk_last = wire.endswith(b'LAST\r\n')
                if wire == b'BDAT 0 LAST\r\n':
                    self.steps.append(('chunk', line, message,
                                       self.chunk_number, True))
        elif self.in_body and wire == b'.\r\n':
            self.steps.append(('data', line, message))
            self.in_body = False
        elif self.in_body:
            message.lines.append(wire)
        else:
            self.steps.append(('hear', line, wire))

    def on_S(self, line):
        message = self.messages[-1] if self.messages else None
        if self.in_body and not (message.is_bare and self.chunk_number):
            message.is_large = True
            self.steps.append(('begin', line, message))
            self.in_body = False
        if self.steps and self.steps[-1][0] == 'hear':
            if self.steps[-1][2].startswith((b'EHLO', b'HELO')):
                self.offers = ''
        self.offers += line.wire.decode('latin-1').upper()
        self.steps.append(('say', line, line.wire))

    def on_asks(self, line):
        if line.rest == 'body':
            message = self.messages[-1]
            if not self.in_body:
                self.chunk_number = 0
            self.in_body = True
            if not message.is_bare:
                message.lines = []
            message.asks.append([b'', False])

    def on_body(self, line):
        self.messages[-1].asks[-1][0] += script.unescape(line.rest)

    def on_dot(self, _):
        self.messages[-1].asks[-1][1] = True

    def on_settled(self, _):
        self.in_body = False

    def on_secure(self, line):
        self.steps.append(('secure', line))

    def on_ready(self, line):
        if not {'mail', 'quit'} & {x.word for x in self.script.lines}:
            self.steps.append(('ready', line))

    def on_closed(self, line):
        self.steps.append(('closed', line))

    def on_failed(self, line):
        stage, _, code = line.rest.rpartition(' ')
        if stage == 'QUIT':
            return                  # relayd does not wait for its answer
        if not self.messages:
            self.add_default()
        self.messages[-1].failure = (stage, code)
        self.messages[-1].failed_with = self.last_said()
        self.steps.append(('failed', line))

    def last_said(self):
        said = [s[2] for s in self.steps if s[0] == 'say']
        return said[-1].splitlines()[-1] if said else b''

    def on_result(self, line):
        number, _, rest = line.rest.partition(' ')
        self.messages[-1].results[int(number)] = rest

    def on_is(self, line):
        key, _, value = line.rest.partition(' ')
        if key == 'uncertain' and self.messages:
            self.messages[-1].uncertain = value == 'yes'
        self.facts[key] = value

    def secure_first(self):
        if self.script.settings.get('in-tls') != 'yes':
            return
        greeting = self.steps[0]
        line = greeting[1]
        self.steps[1:1] = [
            ('hear', line, b'EHLO relay.example\r\n'),
            ('say', line, b'250-mx.example\r\n250 STARTTLS\r\n'),
            ('hear', line, b'STARTTLS\r\n'),
            ('say', line, b'220 Go\r\n'),
            ('secure', line)]

    def add_default(self):
        """A message that shows what was offered."""
        wanted = self.facts.get('offers', '').split(' ')
        settings = {'ret': 'HDRS', 'envid': 'e'}
        if '8BITMIME' in wanted:
            settings['8bit'] = 'yes'
        if 'SMTPUTF8' in wanted:
            settings['smtputf8'] = 'yes'
        self.messages.append(Message(
            ['a@b.example', f'1@d{self.number}.example'], settings))

    @property
    def limit(self):
        """Of the size, where it is under that of the default message."""
        found = re.search(r'^250[ -]\s*SIZE\s+(\d+)\s*$', self.offers, re.M)
        limit = int(found[1]) if found and len(found[1]) < 4 else 0
        said = {x.word for x in self.script.lines}
        return 0 if {'mail', 'failed'} & said else limit

    # ------- the route

    @property
    def is_probe(self):
        """It ends without a message: relayd has to have none to send."""
        words = [x.word for x in self.script.lines]
        return ('quit' in words and 'mail' not in words
                and 'failed' not in words[:words.index('quit')])

    def route(self):
        s = self.script.settings
        options = {
            'hosts': [f'[{self.world.host}]:{self.port}'],
            'tls': {'forced': 'forced', 'offered': 'opportunistic'}.get(
                s.get('tls'), 'off'),
            'verify': 'none', 'max_connections': 1}
        if s.get('in-tls') == 'yes':
            options['tls'] = 'forced'
        if options['tls'] == 'off':
            del options['verify']
        if 'auth' in s:
            path = f'{self.world.dir}/{self.number}.secret'
            with open(path, 'wb') as f:
                f.write(script.unescape(s['secret']) + b'\n')
            options.update(auth=s['auth'],
                           auth_user=script.unescape(s['user']).decode(),
                           auth_secret_file=path)
        return route(f'r{self.number}', self.domains(), **options)

    def domains(self):
        """Of its recipients."""
        domains = {f'd{self.number}.example'}
        for m in self.messages:
            for r in m.recipients:
                domain = r.decode().rpartition('@')[2].lower()
                if domain == 'postmaster':
                    domain = HOSTNAME
                if not domain.startswith('['):
                    domain = domain.encode('idna').decode()
                domains.add(domain.replace('[ipv6', '[IPv6'))
        return sorted(domains)


# ------- the peer

class Peer:
    """The server's side of one connection."""

    def __init__(self, plan):
        self.plan = plan
        self.offers = ''
        self.is_answer_to_ehlo = False
        self.socket, _ = plan.listening.accept()
        self.socket.settimeout(PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile('rb')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
            self.drain()
        except OSError:
            pass
        self.file.close()
        self.socket.close()

    def drain(self):
        """Reads up to the end, but nothing of a message that was refused
        before relayd has heard that."""
        for message in self.plan.messages:
            if message.is_large:
                self.plan.world.first_settled(message)
        while self.file.read(1 << 16):
            pass

    def line(self):
        try:
            return self.file.readline()
        except ConnectionResetError:
            return b''

    def run(self, steps):
        for n, step in enumerate(steps):
            try:
                if getattr(self, 'do_' + step[0])(*step[2:]) is False:
                    return
            except script.Differs as e:
                raise script.Differs(f'line {step[1]}: {e}') from None

    def do_say(self, wire):
        self.socket.sendall(wire)
        if self.is_answer_to_ehlo:
            self.offers += wire.decode('latin-1').upper()

    def do_hear(self, wanted):
        said = self.line()
        self.is_answer_to_ehlo = said.startswith((b'EHLO', b'HELO'))
        if self.is_answer_to_ehlo:
            self.offers = ''
        if said.startswith(b'MAIL'):
            self.check_size(said)
            said, wanted = SIZE.sub(b'', said), SIZE.sub(b'', wanted)
        if said != wanted:
            raise script.Differs(f'said is {said[:200]}')

    def check_size(self, said):
        """RFC 1870: it is declared where it was offered."""
        offered = re.search(r'^250[ -]\s*SIZE\b', self.offers, re.M)
        if bool(offered) != bool(SIZE.search(said)):
            raise script.Differs(f'said is {said}')

    def do_secure(self):
        self.file.close()
        self.socket = self.plan.world.context.wrap_socket(
            self.socket, server_side=True)
        self.file = self.socket.makefile('rb')

    def do_data(self, message):
        """Up to the final dot, byte for byte behind relayd's field."""
        lines = []
        while not lines or lines[-1] != b'.\r\n':
            lines.append(self.line())
            if not lines[-1]:
                raise script.Differs(f'the message ends: {lines[-5:]}')
        wanted = b''.join(message.lines) + b'.\r\n'
        if message.content.endswith(b'\xe4\r\n'):
            wanted = wanted[:-3] + b'\xe4\r\n.\r\n'
        self.compare(RECEIVED.sub(b'', b''.join(lines), count=1), wanted)

    def do_begin(self, message):
        """The first lines of a message that will be refused."""
        wanted = b''.join(message.lines or [])
        said = b''
        while len(RECEIVED.sub(b'', said, count=1)) < len(wanted) + 1:
            said += self.line()
        said = RECEIVED.sub(b'', said, count=1)
        self.compare(said[:len(wanted)], wanted)

    def do_chunk(self, message, number, is_last):
        head = self.line()
        match = re.fullmatch(rb'BDAT (\d+)( LAST)?\r\n', head)
        if not match or bool(match.group(2)) != is_last:
            raise script.Differs(f'said is {head[:200]}')
        body = self.file.read(int(match.group(1)))
        if number == 0:
            body = RECEIVED.sub(b'', body, count=1)
        self.compare(body, message.asks[number][0])

    @staticmethod
    def compare(said, wanted):
        if said != wanted:
            raise script.Differs(f'the body is {len(said)} bytes '
                                 f'{said[:200]} and not {len(wanted)} '
                                 f'{wanted[:200]}')

    def do_ready(self):
        """What was offered is seen in the next command."""
        if self.plan.limit:
            self.expect_end(b'QUIT\r\n')    # too large: nothing is said
            return False
        message = self.plan.messages[0]
        said = self.line()
        wanted = b'MAIL FROM:<a@b.example>'
        self.check_size(said)
        if '8bit' in message.settings:
            wanted += b' BODY=8BITMIME'
        wanted += message.mail_words(self.offers) \
            if 'DSN' in self.words() else \
            b' SMTPUTF8' * ('smtputf8' in message.settings)
        self.compare(SIZE.sub(b'', said), wanted + b'\r\n')
        return True

    def words(self):
        return re.findall(r'^250[ -]\s*(\S+)', self.offers, re.M)[1:]

    def do_closed(self):
        if any(m.is_large for m in self.plan.messages):
            self.drain()
        self.expect_end(b'')

    def do_failed(self):
        """QUIT may come, and nothing else."""

    def expect_end(self, *others):
        said = self.line()
        if said not in (b'', *others):
            raise script.Differs(f'it goes on with {said[:200]}')


class World:
    """relayd, with a route to a peer for each script."""

    def __init__(self):
        self.dir = net.temp_dir('dialog')
        self.host = net.own_host()
        self.certificate = certs.self_signed(self.dir, 'mx.example')
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*self.certificate)
        self.home = Sink()          # of the senders, who hear of failures
        self.plans = [Plan(self, n, s)
                      for n, s in enumerate(script.scripts('client'))
                      if s.name not in NOT_OVER_A_SOCKET]
        self.relay = Relay(
            identity('own', self.certificate),
            route('home', ['b.example', 'home.example'], tls='off',
                  hosts=[self.home.address]),
            *[p.route() for p in self.plans],
            queue={'retry': ['1h'], 'probe': '1h', 'keep_delivered': '1h'},
            listener={'chunking': 'passthrough'},
            top={'hostname': HOSTNAME, 'postmaster': 'pm@home.example'})

    def close(self):
        self.relay.close()
        self.home.close()
        for p in self.plans:
            p.listening.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def submit(self, message, offers):
        """Hands it to relayd; returns its id."""
        with sender.Client(self.relay.host, self.relay.port) as client:
            client.hello()
            for line in (b'MAIL FROM:<' + message.sender + b'>'
                         + message.mail_words(offers),
                         *[b'RCPT TO:<' + r + b'>' + message.rcpt_words(n)
                           for n, r in enumerate(message.recipients)]):
                client.send(line + b'\r\n')
                reply = client.reply()
                if not reply.startswith('250'):
                    raise script.Differs(f'{line}: {reply}')
            client.send(b'BDAT %d LAST\r\n' % len(message.content)
                        + message.content)
            reply = client.reply()
            match = sender.QUEUED.match(reply)
            if not match:
                raise script.Differs(f'not queued: {reply}')
            return match.group(1)

    def first_settled(self, message, n=-1):
        """What became first of its n-th recipient."""
        recipient = message.recipients[n].decode()

        def there():
            for event in self.relay.ctl_json('trace', message.id):
                if (event['event'] in SETTLED
                        and event['recipient'] == recipient):
                    return event
            return None
        return net.wait_for(f'{message.id} is settled', there, PATIENCE_S,
                            0.1)


# ------- outcomes

def expected_event(stage, code, text):
    """RFC 5321 4.2.1, and what diagnose.h says of the session."""
    if code // 100 == 2:
        return 'delivered'
    if code < 500 or code in (530, 535):
        return 'deferred'
    if code == 552 and stage == 'RCPT' and '5.3.4' not in text:
        return 'deferred'           # RFC 5321 4.5.3.1.10
    return 'failed'


def expected_causes(stage, code, facts):
    if code == 'protocol':
        return ('peer-protocol',)
    if stage == 'STARTTLS':
        hidden = ('MASKED' in facts.get('offers', '')
                  or facts.get('ehlo-refused') == 'yes')
        return {'0': ('tls-masked',) if hidden else ('tls-not-offered',),
                '421': ('tls-refused',)}.get(code, ('tls-refused',))
    if stage == 'AUTH':
        return ('peer-throttled',) if code == '421' else ('auth-failed',)
    if stage == 'RSET':
        return ('connect-refused', 'connection-lost')   # of another one
    return ('peer-throttled',) if code == '421' else (
        'peer-greeting', 'peer-throttled')


class Outcome:
    """Compares what came of a message with what its script says."""

    def __init__(self, plan, message):
        self.plan = plan
        self.message = message

    def event(self, n):
        return self.plan.world.first_settled(self.message, n)

    def differs(self, event, why):
        raise script.Differs(f'{why}: {event}')

    def check(self):
        limit = self.plan.limit
        if limit:
            event = self.event(0)
            if (event['event'], event['cause']) != ('failed', 'too-large') \
                    or f'at most {limit} bytes' not in event['reply']:
                self.differs(event, 'is not too large')
            return
        for n, result in self.message.results.items():
            if result != 'none':
                self.check_result(n, result)
            elif self.message.failure:
                self.check_failure(n)
            else:
                self.check_lost(n)
        if self.message.failure and not self.message.results:
            self.check_failure(0)

    def is_surplus(self, result):
        """Relayd sends it again at once, beside those that were taken."""
        return 'Too many recipients' in result and any(
            r.startswith('end of data 2')
            for r in self.message.results.values())

    def check_result(self, n, result):
        stage, code, text = re.fullmatch(
            r'(\D+) (\d{3}) ?(.*)', result).groups()
        if self.is_surplus(result):
            return
        event = self.event(n)
        if event['event'] != expected_event(stage, int(code), text):
            self.differs(event, result)
        if f'{code} {text}'.strip() not in event['reply']:
            self.differs(event, result)
        if event['uncertain']:
            self.differs(event, 'is uncertain')

    def check_failure(self, n):
        stage, code = self.message.failure
        event = self.event(n)
        causes = expected_causes(stage, code, self.plan.facts)
        if event['event'] != 'deferred' or event['cause'] not in causes:
            self.differs(event, f'failed {stage} {code} ({causes})')
        if code == 'protocol' and f' at {stage}' not in event['reply']:
            self.differs(event, 'another stage')
        reply = script.unescape(self.plan.facts.get('reply', ''))
        if reply.decode() not in event['reply']:
            self.differs(event, f'is reply {reply}')
        if (code.isdigit() and int(code) and stage != 'RSET'
                and code not in event['reply']):
            self.differs(event, 'another reply')
        self.check_uncertain(event)

    def check_lost(self, n):
        event = self.event(n)
        if (event['event'], event['cause']) != ('deferred',
                                                'connection-lost'):
            self.differs(event, 'not lost')
        self.check_uncertain(event)

    def check_uncertain(self, event):
        if self.message.uncertain is not None \
                and event['uncertain'] != self.message.uncertain:
            self.differs(event, 'uncertain')


class Client(script.Dialogues):
    side = 'client'
    not_over_a_socket = NOT_OVER_A_SOCKET
    outcomes = {}

    @classmethod
    def setUpClass(cls):
        cls.world = world = World()
        cls.addClassCleanup(world.close)
        cls.plans = {p.script.name: p for p in world.plans}
        cls.run_all(p.script for p in world.plans)
        cls.say_what_is_missing(UNSEEN)

    @classmethod
    def run_one(cls, s):
        plan = cls.plans[s.name]
        for message in plan.messages:
            message.id = cls.world.submit(message, plan.offers)
        if plan.is_probe:
            cls.make_fail(plan)
        with Peer(plan) as peer:
            plan.listening.close()
            peer.run(plan.steps)
        for message in plan.messages:
            Outcome(plan, message).check()

    @classmethod
    def make_fail(cls, plan):
        """So that the next connection is a probe, without a message."""
        with Peer(plan) as peer:
            peer.do_say(b'421 4.3.2 Not yet\r\n')
        name = f'r{plan.number}/{cls.world.host}:{plan.port}'
        net.wait_for('it fails', lambda: any(
            d['destination'] == name and d['state'] == 'failing'
            for d in cls.world.relay.ctl_json('destination', 'list')), 30)
        # It waits for the outcome.
        threading.Thread(target=cls.world.relay.ctl,
                         args=('destination', 'probe', name)).start()

    def test_zz_relayd_is_well(self):
        self.world.relay.stop()


Client.add_tests()

if __name__ == '__main__':
    unittest.main()
