#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The dialogues of server/ over real sockets against relayd.

The lines of C: are sent and those of S: must come.  What a script makes the
shell of the machine answer is arranged for real: recipients that policy
refuses, a password file that is right, wrong or gone, a queue that is full, a
disk that refuses to sync, clients that are over their rate, short timeouts.
Only the text of such an answer is relayd's own.

A fact that a script asks of the machine (`is`) is seen from outside: all that
leads to it is said again over a new connection, a message is handed in there,
and what arrives at the next hop (or is said to a probe) must show it.
"""

import itertools
import os
import re
import shutil
import socket
import ssl
import unittest

import script
from harness import certs, fault, net, sender            # noqa: E402
from harness.relay import Relay, identity, route, section       # noqa: E402
from harness.sink import Session, Sink                   # noqa: E402

HOSTNAME = 'relay.example'
MAX_ERRORS = 20             # of relayd, in a session
PASSWORD = 'pass'
HASH = ('$6$dialogs$AlJKUigUu1/gvQ4ThIS/NJ06U5I/QCphUozbqAEIIWsBZMdODsaCLwsc'
        'YIYzV7s7Enz7PkgTncK6YppeVZZaf/')
OTHER_HASH = HASH[:-1] + '.'
REFUSED = b'@refused.example'       # a domain that nobody may relay to
LARGE = b' SIZE=99000000'           # does not fit into the small queue
CODES = re.compile(rb'(\d{3}[ -]\d\.\d{1,3}\.\d{1,3}) ')
ADDRESS = re.compile(r'<(.*)>$')

NEVER_421 = 'relayd refuses that with 421 in no case'
NOT_OVER_A_SOCKET = {
    '3030-2-data-refused-421': NEVER_421,
    '4954-6-late': NEVER_421,
    '5321-3.8-refusal-closes': NEVER_421,
}
UNSEEN = {
    'is declared': 'used only to see whether there is room',
    'is 8bitmime': 'what counts is whether the body has 8-bit bytes',
    'is hops': 'used only against loops (tests/receive/test_clients.py)',
    'is left': 'what comes behind STARTTLS ends the session',
    'is state chunk': 'a chunk that is whole is taken at once',
}


# ------- the next hop

class Hop(Sink):
    """Keeps the parameters of each message, by relayd's id of it."""

    def __init__(self):
        super().__init__()
        self.behaviour.ehlo = ['PIPELINING', 'SIZE 0', '8BITMIME',
                               'SMTPUTF8', 'DSN', 'CHUNKING',
                               'ENHANCEDSTATUSCODES']
        self.mails = {}

    def wait_for(self, number):
        with self.lock:
            if not self.lock.wait_for(lambda: number in self.mails, 60):
                raise script.Differs(f'{number} did not arrive')
            return self.mails[number]


class HopSession(Session):
    mail = ''
    how = ''

    def do_mail(self, rest):
        self.mail, self.rcpts = rest, []
        super().do_mail(rest)

    def do_rcpt(self, rest):
        self.rcpts.append(rest)
        super().do_rcpt(rest)

    def do_data(self, rest):
        self.how = 'DATA'
        super().do_data(rest)

    def do_bdat(self, rest):
        self.how = 'BDAT'
        super().do_bdat(rest)

    def arrived(self, data):
        mail = Mail(self.mail, self.rcpts, self.how, data)
        with self.sink.lock:
            self.sink.mails[mail.id] = mail
        super().arrived(data)


Hop.session = HopSession


class Mail:
    """What came of a message, at the next hop."""

    def __init__(self, mail, rcpts, how, data):
        self.mail = mail.split(' ')
        self.rcpts = [r.split(' ') for r in rcpts]
        self.how = how
        top = re.match(rb'Received:.*?\r\n(?![ \t])', data, re.S).group(0)
        self.body = data[len(top):]
        words = re.sub(r'\s+', ' ', top.decode('latin-1'))
        self.helo, self.protocol, self.id = re.match(
            r'Received: from (\S+) \(.*?\) by \S+ with (\S+) .*?id (\S+?)[; ]',
            words).groups()

    @property
    def sender(self):
        return self.mail[0].partition(':')[2].encode('latin-1')

    @property
    def recipients(self):
        return [r[0].partition(':')[2].encode('latin-1') for r in self.rcpts]

    @staticmethod
    def parameter(words, name):
        for word in words[1:]:
            key, _, value = word.partition('=')
            if key == name:
                return value.encode('latin-1')
        return b''

    def fact(self, key):
        yes = {True: b'yes', False: b'no'}
        number = re.fullmatch(r'(notify|orcpt)(\d)', key)
        if number:
            return self.parameter(self.rcpts[int(number[2])],
                                  number[1].upper())
        if key in ('ret', 'envid'):
            return self.parameter(self.mail, key.upper())
        return {
            'helo': self.helo.encode('latin-1'),
            'esmtp': yes['SMTP' != self.protocol],
            'smtputf8': yes['SMTPUTF8' in self.mail],
            '8bit': yes['BODY=8BITMIME' in self.mail],
            'bare-newlines': yes[self.how == 'BDAT'],
        }[key]


# ------- what a script needs

class Ask:
    """A question to the shell, and its answer: '' (the script ends with it),
    'ok', or the code of a refusal, such as '4.7.1'."""

    def __init__(self, lines, at):
        self.at = at
        self.kind, _, self.argument = lines[at].rest.partition(' ')
        self.answer = ''
        self.said = None            # the line of S: that answers
        for line in lines[at + 1:]:
            if line.word in ('C', 'asks'):
                break
            if line.word == 'ok':
                self.answer = 'ok'
            elif line.word == 'refuse':
                self.answer = line.rest.split(' ')[1]
            elif line.word == 'S' and self.answer:
                self.said = line
                break


class Plan:
    """How a script is made to come true: the listener it needs, and what has
    to be done before and after lines of it."""

    def __init__(self, world, s):
        self.world = world
        self.script = s
        self.lines = s.lines
        self.before, self.after = {}, {}        # line: action
        self.asks = {a.at: a for a in (Ask(s.lines, n) for n, line in
                                       enumerate(s.lines)
                                       if line.word == 'asks')}
        self.loose = set()          # lines whose text is the shell's
        self.wants_ill = False
        self.options = self.listener()
        taken = {'mail': 0, 'rcpt': 0}
        for ask in self.asks.values():
            if ask.said and ask.kind != 'data' or ask.answer not in ('ok', ''):
                self.loose.add(ask.said)
            arrange = getattr(self, f'arrange_{ask.kind}', None)
            if arrange:
                arrange(ask, taken)
            if ask.answer == 'ok' and ask.kind in taken:
                taken[ask.kind] += 1
        for n, line in enumerate(s.lines):
            if line.word == 'begin':
                taken['mail'] += 1
            if line.word == 'expire':
                self.options['timeout'] = '5s'
                self.loose.add(s.lines[n + 1])
        self.arrange_greeting()

    def listener(self):
        settings = self.script.settings
        tls = {'forced': 'forced', 'offered': 'opportunistic',
               None: 'off'}[settings.get('tls')]
        options = {
            'tls': 'implicit' if settings.get('in-tls') == 'yes' else tls,
            'max_message_size': settings.get('size', '1000000'),
            'max_recipients': int(settings.get('recipients', 100)),
            'max_messages_per_connection': int(settings.get('mails', 0)),
            'chunking': settings.get('chunking', 'off'),
        }
        if options['tls'] != 'off':
            options['identity'] = ['own']
        if 'auth' in settings:
            self.users = f'{self.world.dir}/{self.script.name}.users'
            self.write_users('nobody', HASH)
            options['auth_file'] = self.users
        return options

    def write_users(self, user, hashed):
        with open(self.users + '.new', 'w', encoding='utf-8') as f:
            f.write(f'{user}:{hashed}\n')
        os.chmod(self.users + '.new', 0o644)
        os.rename(self.users + '.new', self.users)

    def last_said(self, at, *verbs):
        """The first line of those the client says in one go before `at`, or
        the first of them with such a verb."""
        first = at
        while first > 0 and self.lines[first - 1].word == 'C':
            first -= 1
        for n in range(first, at):
            if self.lines[n].wire.upper().startswith(verbs):
                return n
        raise AssertionError(f'{self.script.name}: nothing before '
                             f'{self.lines[at]}')

    def arrange_greeting(self):
        refusal = self.script.settings.get('refuse')
        self.early = bool(refusal) and refusal.startswith('5')
        self.crowded = bool(refusal) and refusal.startswith('4')
        if self.crowded:
            self.options['max_connections'] = 1
        if refusal:
            self.loose.add(next(x for x in self.lines if x.word == 'S'))
        self.errors = (MAX_ERRORS - int(self.script.settings['errors'])
                       if 'errors' in self.script.settings else 0)

    def arrange_mail(self, ask, taken):
        if ask.answer == '4.7.1':
            self.options['max_messages_per_minute'] = max(taken['mail'], 1)
        elif ask.answer == '4.3.1':
            self.trouble()
            at = max(n for n in range(ask.at)
                     if self.lines[n].word == 'C'
                     and self.lines[n].wire.startswith(b'MAIL FROM:'))
            line = self.lines[at]
            line.wire = line.wire.replace(b'\r\n', LARGE + b'\r\n')

    def arrange_rcpt(self, ask, taken):
        if ask.answer == '4.7.1':
            self.options['max_recipients_per_minute'] = taken['rcpt']
        elif ask.answer == '5.7.1':
            address = ask.argument[1:-1].encode()
            for line in self.lines:
                if line.word == 'C':
                    line.wire = line.wire.replace(
                        b'RCPT TO:<' + address,
                        b'RCPT TO:<' + address.partition(b'@')[0] + REFUSED)

    def arrange_data(self, ask, _):
        if ask.answer == '4.3.1':
            self.trouble()
            self.before[self.last_said(ask.at, b'DATA', b'BDAT')] = \
                self.world.become_full
            self.after[ask.said] = self.world.recover

    def arrange_commit(self, ask, _):
        at = ask.at - 1
        while self.lines[at].word != 'C':
            at -= 1
        if ask.answer == '4.3.1':
            self.trouble()
            self.before[at] = self.world.become_full
            self.after[ask.said] = self.world.recover
        elif ask.answer == '4.3.0':
            self.trouble()
            self.before[at] = self.world.disk.refuse_sync
            self.after[ask.said] = self.world.disk.recover

    def arrange_auth(self, ask, _):
        user, password = script.unescape(ask.argument).decode().split(' ')
        assert password == PASSWORD
        how = {'4.7.0': lambda: os.unlink(self.users),
               '5.7.8': lambda: self.write_users(user, OTHER_HASH),
               }.get(ask.answer, lambda: self.write_users(user, HASH))
        if ask.answer == '4.7.0':
            how = self.remove_users
        self.before[ask.at - 1] = how

    def remove_users(self):
        if os.path.exists(self.users):
            os.unlink(self.users)

    def trouble(self):
        """It goes to the relayd that has a small queue and an ill disk."""
        self.wants_ill = True
        if 'size' not in self.script.settings:
            self.options['max_message_size'] = '100M'


# ------- the world around

class World:
    """Two relayds and their next hop."""

    def __init__(self):
        self.dir = net.temp_dir('dialog')
        self.disk = fault.Disk(self.dir)
        self.certificate = certs.self_signed(self.dir, HOSTNAME)
        self.hop = Hop()
        self.host = net.own_host()
        self.numbers = itertools.count(1)
        self.taken = set()          # ids of messages that relayd took
        self.plans = [Plan(self, s) for s in script.scripts('server')
                      if s.name not in NOT_OVER_A_SOCKET]
        self.main = self.relay(False, {})
        self.ill = self.relay(True, {'max_size': '16M'},
                                self.disk.environment)

    def relay(self, ill, queue, environment=None):
        listeners = {}
        for plan in self.plans:
            if plan.wants_ill == ill:
                key = tuple(sorted((k, str(v))
                                   for k, v in plan.options.items()))
                plan.port, _ = listeners.setdefault(
                    key, (net.free_port(), plan.options))
        anybody = section('source', 'all', {
            'recipients': ['d.example', 'b.example', 'example', HOSTNAME,
                           'xn--r8jz45g.xn--zckzah',
                           '[192.0.2.7]', '[IPv6:2001:db8::7]']})
        return Relay(
            identity('own', self.certificate),
            *[section('listener', f'l{port}', {
                'address': [f'{self.host}:{port}'], **options}, anybody)
              for port, options in listeners.values()],
            route('out', hosts=[self.hop.address], tls='off'),
            queue=queue, top={'hostname': HOSTNAME}, environment=environment)

    def close(self):
        for relay in (self.main, self.ill):
            relay.close()
        self.hop.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def source(self):
        """An address that no other client has."""
        n = next(self.numbers)
        return f'127.200.{n >> 8}.{n & 255}'

    def become_full(self):
        self.disk.be_full()
        self.wait_for_room(False)

    def recover(self):
        self.disk.recover()
        self.wait_for_room(True)

    def wait_for_room(self, wanted):
        def there_is():
            with sender.Client(self.ill.host, self.ill.port) as client:
                client.hello()
                reply = client.ask('MAIL FROM:<>')
            return reply.startswith('250 ' if wanted else '452 4.3.1 ')
        net.wait_for('relayd has looked at the disk', there_is)


class Wire:
    """A connection of a client."""

    def __init__(self, world, port, early=False):
        self.socket = socket.create_connection(
            (world.host, port), 60, (world.source(), 0))
        if early:
            self.socket.sendall(b'EHLO early\r\n')
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile('rb')

    def close(self):
        self.file.close()
        self.socket.close()

    def secure(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.file.close()
        self.socket = context.wrap_socket(self.socket)
        self.file = self.socket.makefile('rb')

    def line(self):
        """b'': the server has closed the connection."""
        try:
            return self.file.readline()
        except ConnectionResetError:
            return b''

    def ask(self, command):
        self.socket.sendall(command + b'\r\n')
        return self.line()

    def tell(self, command, wanted):
        reply = self.ask(command)
        if not reply.startswith(wanted):
            raise script.Differs(f'{command}: {reply}')
        return reply


# ------- one run of a script

class Talk:
    """Says what a script says, up to a line of it."""

    def __init__(self, world, plan):
        self.world = world
        self.plan = plan
        self.unsent = b''
        self.asked = None           # not answered yet
        self.sender, self.recipients, self.body = None, [], None
        self.in_body = self.in_auth = self.mid_chunk = False
        self.over = False           # the connection is
        self.holder = None
        self.wire = self.connect()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.close()
        if self.holder:
            self.holder.close()

    def connect(self):
        port = self.plan.port
        if self.plan.crowded:
            self.holder = Wire(self.world, port)
            self.holder.line()
        # A greeting is quicker than an early talker, most of the time.
        for _ in range(500 if self.plan.early else 1):
            wire = Wire(self.world, port, self.plan.early)
            if not self.plan.early or \
                    wire.socket.recv(3, socket.MSG_PEEK) == b'554':
                break
            wire.close()
        if self.plan.options['tls'] == 'implicit':
            wire.secure()
        return wire

    def run(self, stop=None):
        for n, line in enumerate(self.plan.lines[:stop]):
            if line.word == 'C':
                self.say(n, line)
                continue
            self.flush()
            try:
                getattr(self, 'on_' + line.word.replace('-', '_'))(n, line)
            except script.Differs as e:
                raise script.Differs(f'line {line}: {e}') from None
            if self.over:
                return

    def flush(self):
        if self.unsent:
            self.wire.socket.sendall(self.unsent)
            self.unsent = b''

    # ------- lines

    def say(self, n, line):
        if n in self.plan.before:
            self.flush()
            self.plan.before[n]()
        self.unsent += line.wire
        self.mid_chunk = True           # perhaps, until relayd answers
        if line.wire == b'.\r\n':
            self.in_body = False

    def on_S(self, n, line):
        said = self.wire.line()
        if not said and self.is_injection(n):
            self.over = True
            return
        if line in self.plan.loose:
            wanted = CODES.match(line.wire)
            same = CODES.match(said) and said.startswith(wanted.group(1))
        else:
            same = said == line.wire
        if not same:
            raise script.Differs(f'said is {said}')
        self.mid_chunk = False
        self.in_auth = said.startswith(b'334')
        self.in_body = self.in_body or said.startswith(b'354')
        if self.asked and line is self.asked.said:
            self.answered(said)
        if line in self.plan.after:
            self.plan.after[line]()
        if said.startswith(b'220 relay'):
            self.use_up_errors()

    def use_up_errors(self):
        for _ in range(self.plan.errors):
            self.wire.tell(b'XYZZY', b'500 5.5.2')

    def answered(self, said):
        """The shell's answer was heard."""
        ask, self.asked = self.asked, None
        if not said.startswith(b'2'):
            return
        if ask.kind == 'mail':
            self.sender = script.unescape(ask.argument)
            self.recipients = []
        elif ask.kind == 'rcpt':
            self.recipients.append(script.unescape(ask.argument))
        elif ask.kind == 'commit':
            self.check_mail(said)

    def on_asks(self, n, _):
        ask = self.plan.asks[n]
        if ask.kind != 'tls':
            self.asked = ask
        if ask.kind == 'data':
            self.body = None

    def on_hello(self, *_):
        self.wire.line()
        self.use_up_errors()
        reply = self.wire.ask(b'EHLO client.example')
        while reply.startswith(b'250-'):
            reply = self.wire.line()
        if not reply.startswith(b'250 '):
            raise script.Differs(f'said is {reply}')

    def on_begin(self, _, line):
        words = [b'<' + w.encode() + b'>' for w in line.rest.split(' ')]
        self.wire.tell(b'MAIL FROM:' + words[0], b'250 2.1.0 ')
        for w in words[1:]:
            self.wire.tell(b'RCPT TO:' + w, b'250 2.1.5 ')
        self.sender, self.recipients = words[0], words[1:]

    def on_body(self, _, line):
        self.body = script.unescape(line.rest)

    def is_injection(self, n):
        """Line n is told when more than STARTTLS was said in clear: that ends
        the session, at once or behind its answer."""
        said = b''
        while self.plan.lines[n].word != 'C':
            n -= 1
        while self.plan.lines[n].word == 'C':
            said = self.plan.lines[n].wire + said
            n -= 1
        return said.startswith(b'STARTTLS\r\n') and said.count(b'\n') > 1

    def on_secure(self, n, _):
        if self.is_injection(n):
            self.on_closes()
        else:
            self.wire.secure()

    def on_closes(self, *_):
        more = self.wire.line()
        if more:
            raise script.Differs(f'it was not closed; said is {more}')
        self.over = True

    def nothing(self, *_):
        """Needs no doing, or is seen in what comes of it."""

    on_set = on_ok = on_refuse = on_drops = on_is = on_expire = nothing

    # ------- what came of it

    def end(self):
        """Nothing may be left that the script did not mention."""
        self.flush()
        self.hear_last()
        if not (self.over or self.in_body or self.in_auth or self.mid_chunk):
            self.wire.tell(b'QUIT', b'221 2.0.0 Bye\r\n')

    def hear_last(self):
        """A script may end with a question, and relayd answers it."""
        if self.asked and not self.asked.answer:
            said = self.wire.line()
            wanted = {'data': b'354', 'auth': b'235'}
            if not said.startswith(wanted.get(self.asked.kind, b'250')):
                raise script.Differs(f'{self.asked.kind}: said is {said}')
            self.in_body = said.startswith(b'354')
            self.mid_chunk = False
            self.answered(said)

    def queued(self, said):
        match = sender.QUEUED.match(said.decode('latin-1'))
        if not match:
            raise script.Differs(f'not queued: {said}')
        self.world.taken.add(match.group(1))
        return self.world.hop.wait_for(match.group(1))

    def check_mail(self, said):
        self.mail = mail = self.queued(said)
        if mail.sender != self.sender:
            raise script.Differs(f'sender is {mail.sender}')
        if mail.recipients != self.recipients:
            raise script.Differs(f'recipients are {mail.recipients}')
        if self.body is not None and mail.body != self.body:
            raise script.Differs(f'body is {mail.body[:200]}')

    # ------- facts

    def check_fact(self, key, wanted):
        """At this point of the dialogue."""
        self.flush()
        if key == 'state':
            self.check_state(wanted)
            return
        if key == 'helo' and wanted == b'':
            self.wire.tell(b'MAIL FROM:<>', b'503 5.5.1 Send EHLO first')
            return
        mail = self.finish()
        if key in ('message-id', 'user'):
            found = re.search(rf'msg={mail.id} event=received .*? '
                              rf'{key.replace("-", "_")}=(\S+)',
                              self.world.main.log())
            got = found.group(1).encode() if found else b''
        else:
            got = mail.fact(key)
        if got != wanted:
            raise script.Differs(f'is {key}: {got}')

    def check_state(self, wanted):
        command, reply = {
            b'hello': (b'MAIL FROM:<>', b'503 5.5.1 Send EHLO first'),
            b'mail': (b'RCPT TO:<c@d.example>', b'503 5.5.1 Need MAIL'),
            b'chunks': (b'DATA', b'503 5.5.1 The message comes by BDAT'),
            b'auth': (b'*', b'501 5.7.0 Login was cancelled'),
        }[wanted]
        self.wire.tell(command, reply)

    def finish(self):
        """Hands in what was begun, or a message of its own."""
        kind = self.asked and self.asked.kind
        if self.asked:
            said = self.wire.line()
            self.asked = None
            if kind == 'commit':
                return self.queued(said)
        said = self.wire.ask(b'RCPT TO:<finish@d.example>')
        if said.startswith(b'503 5.5.1 The message comes by BDAT'):
            return self.queued(self.wire.ask(b'BDAT 0 LAST'))
        if said.startswith(b'503 5.5.1 Need MAIL'):
            self.wire.tell(b'MAIL FROM:<finish@b.example>', b'250 ')
            said = self.wire.ask(b'RCPT TO:<finish@d.example>')
        if not said.startswith(b'250 '):
            raise script.Differs(f'finishing: {said}')
        self.wire.tell(b'DATA', b'354 ')
        return self.queued(self.wire.ask(b'\r\n.'))


class Server(script.Dialogues):
    side = 'server'
    not_over_a_socket = NOT_OVER_A_SOCKET
    outcomes = {}

    @classmethod
    def setUpClass(cls):
        cls.world = world = World()
        cls.addClassCleanup(world.close)
        plans = {p.script.name: p for p in world.plans}
        cls.run_all(plans[n].script for n in plans
                    if not plans[n].wants_ill)
        # One after the other: they share a queue that is full at times.
        for p in plans.values():
            if p.wants_ill:
                cls.run_all([p.script])
        cls.say_what_is_missing(UNSEEN)

    @classmethod
    def run_one(cls, s):
        plan = next(p for p in cls.world.plans if p.script is s)
        with Talk(cls.world, plan) as talk:
            talk.run()
            talk.end()
        for n, line in enumerate(s.lines):
            if line.word == 'is':
                cls.run_fact(plan, n, line)

    @classmethod
    def run_fact(cls, plan, n, line):
        key, _, value = line.rest.partition(' ')
        if f'is {key}' in UNSEEN or f'is {line.rest}' in UNSEEN:
            return
        with Talk(cls.world, plan) as talk:
            talk.run(n)
            try:
                if not talk.over:
                    talk.check_fact(key, script.unescape(value))
            except script.Differs as e:
                raise script.Differs(f'line {line}: {e}') from None

    def test_zz_nothing_else_came_through(self):
        """What was refused or given up is nowhere, and relayd is well."""
        self.world.main.wait_empty()
        self.assertEqual(set(self.world.hop.mails), self.world.taken)
        self.world.main.stop()
        self.world.ill.stop()


Server.add_tests()

if __name__ == '__main__':
    unittest.main()
