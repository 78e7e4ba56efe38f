# SPDX-License-Identifier: ISC
"""sender - hands many messages to an SMTP server, quickly, and notes what was
accepted."""

import collections
import hashlib
import random
import re
import socket
import ssl
import threading
import uuid

Sent = collections.namedtuple('Sent', 'key id sha256 bytes recipients')
QUEUED = re.compile(r'^250 2\.0\.0 .*Queued as ([0-9A-Z]{13})', re.I)


class Refused(AssertionError):
    """The server did not say what it should; `reply` has its words."""

    def __init__(self, reply):
        super().__init__(reply)
        self.reply = reply


class Client:
    """One SMTP connection, for dialogues line by line."""

    def __init__(self, host, port, timeout_s=60, source=None):
        self.socket = socket.create_connection(
            (host, port), timeout_s, (source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile('rb')
        self.pipelining = False
        try:
            self.greeting = self.reply()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def reply(self):
        """A whole reply, lines joined by newlines; '' when the server has
        closed the connection."""
        lines = []
        while True:
            try:
                line = self.file.readline()
            except ConnectionResetError:
                line = b''
            if not line:
                return ''
            lines.append(line.decode('latin-1').rstrip('\r\n'))
            if lines[-1][3:4] != '-':
                return '\n'.join(lines)

    def ask(self, command, expect=None):
        self.send(command + '\r\n')
        reply = self.reply()
        if expect and not reply.startswith(expect):
            raise Refused(f'{command}: {reply}')
        return reply

    def start_tls(self, certificate=None):
        """certificate: what we show if we are asked for one."""
        self.ask('STARTTLS', '220')
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(certificate.pem, certificate.key)
        self.file.close()
        self.socket = context.wrap_socket(self.socket)
        self.file = self.socket.makefile('rb')

    def hello(self):
        self.pipelining = 'PIPELINING' in self.ask('EHLO client.example.com',
                                                   '250')

    def deliver(self, sender, recipients, data):
        """One message; returns the reply to the final dot."""
        commands = [(f'MAIL FROM:<{sender}>', '250'),
                    *[(f'RCPT TO:<{r}>', '250') for r in recipients],
                    ('DATA', '354')]
        if self.pipelining:
            self.send(''.join(command + '\r\n' for command, _ in commands))
        for command, wanted in commands:
            reply = self.reply() if self.pipelining else self.ask(command)
            if not reply.startswith(wanted):
                raise Refused(reply)
        self.send(stuffed(data) + b'.\r\n')
        return self.reply()


def stuffed(data):
    return (b'\r\n' + data).replace(b'\r\n.', b'\r\n..')[2:]


def message(size=2000, sender='alice@example.com', recipient='bob@example.net',
            shape=random.Random(4711)):
    """A message of about size bytes whose first line is its key, with what
    tends to be mangled: dots, spaces at line ends, 8-bit bytes, long lines
    within the limit.  Returns (key, bytes)."""
    key = uuid.uuid4().hex
    head = (f'X-Ledger: {key}\r\nFrom: <{sender}>\r\nTo: <{recipient}>\r\n'
            f'Subject: number {key[:8]}\r\n'
            f'Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n'
            f'Message-ID: <{key}@example.com>\r\n\r\n').encode()
    odd = [b'.', b'..', b'.x', b'trailing  ', b'\xe4\xf6\xfc', b'',
           b'From here on', b'=20', b'x' * 900]
    lines, have = [head], len(head)
    while have < size:
        line = shape.choice(odd) + b'%x' % shape.getrandbits(128) + b'\r\n'
        lines.append(line)
        have += len(line)
    lines.append(b'.\r\n')
    return key, b''.join(lines)


def send_many(host, port, n, size=2000, connections=4, tls=False,
              sender='alice@example.com', recipients=('bob@example.net',),
              source=None):
    """Sends n messages over some connections and returns a list of Sent.
    Raises Refused at the first one that is not accepted."""
    todo, sent, wrong = list(range(n)), [], []
    lock = threading.Lock()

    def work():
        with Client(host, port, source=source) as client:
            client.hello()
            if tls:
                client.start_tls()
                client.hello()
            while not wrong:
                with lock:
                    if not todo:
                        break
                    todo.pop()
                    key, data = message(size, sender, recipients[0])
                reply = client.deliver(sender, recipients, data)
                match = QUEUED.match(reply)
                if not match:
                    raise Refused(reply)
                with lock:
                    sent.append(Sent(key, match.group(1),
                                     hashlib.sha256(data).hexdigest(),
                                     len(data), tuple(recipients)))
            client.ask('QUIT')

    def guarded():
        try:
            work()
        except (OSError, AssertionError) as e:
            wrong.append(e)

    threads = [threading.Thread(target=guarded) for _ in range(connections)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if wrong:
        raise wrong[0]
    return sent
