# SPDX-License-Identifier: ISC
"""sink - an SMTP server that does what a test tells it and keeps everything
it was sent: messages byte by byte, and per connection what travelled in clear
text.

The attributes of `Behaviour` may be changed at any time; a connection obeys
what holds when it gets there.
"""

import base64
import collections
import socket
import ssl
import struct
import threading
import time

from . import net

# The beginning of a record of 4096 bytes with a ServerHello that fills it.
RECORD = b'\x16\x03\x03\x10\x00\x02\x00\x0f\xfc\x03\x03' + bytes(200)

Arrival = collections.namedtuple('Arrival',
                                 'sender recipients data tls connection')


class Behaviour:
    """How the sink behaves; the default is a well-behaved server."""

    def __init__(self):
        self.certificate = None         # certs.Certificate; None: no TLS
        self.client_ca = None           # PEM file: clients must show one of it
        # How STARTTLS goes.  Before it: offer | hide | mask (as firewalls
        # do) | no-ehlo; at the command: refuse | drop | mute; after 220:
        # reset | stall | drip (a byte of a record at a time) | garbage | cut
        # (in the middle of a record)
        self.starttls = 'offer'
        self.behind_220 = b''           # sent along with it
        self.ciphers = None             # OpenSSL's names
        self.only_in_tls = None         # what is said to MAIL without
        self.minimum_tls = None         # ssl.TLSVersion
        self.maximum_tls = None
        self.ciphers = None             # in OpenSSL's words
        self.banner = '220 mx.example.net ESMTP'
        self.ehlo = ['PIPELINING', 'SIZE 0', '8BITMIME',
                     'ENHANCEDSTATUSCODES']
        self.mail = lambda sender: '250 2.1.0 Ok'
        self.rcpt = lambda recipient: '250 2.1.5 Ok'
        self.data = '354 Go ahead'
        self.dot = lambda arrival: '250 2.0.0 Ok'
        self.auth_offer = ()            # mechanisms, inside TLS; MAIL needs it
        self.auth = lambda mechanism, user, secret: '235 2.7.0 Ok'
        self.rcpt_limit = None          # more in a transaction: 452 4.5.3
        self.early = None               # (bytes, reply): said in the body
        self.drop_at_dot = 0            # close instead of answering, n times
        self.pause_s = 0.0              # before the answer to the final dot
        self.hung = threading.Event()   # set: accepts nothing any more


class Connection:
    """What one client did."""

    def __init__(self, number, peer):
        self.number = number
        self.peer = peer                # the client's address
        self.clear = bytearray()        # received before TLS
        self.commands = []
        self.tls = None                 # 'TLSv1.3'
        self.logins = []                # (mechanism, user, secret)
        self.error = None               # of the handshake


class Hangup(Exception):
    pass


class Sink:
    session = None              # what serves a connection: Session

    def __init__(self, certificate=None, host=None, port=0):
        self.host = host or net.own_host()
        self.behaviour = Behaviour()
        self.behaviour.certificate = certificate
        self.arrivals = []
        self.connections = []
        self.open = 0
        self.peak = 0                   # most connections at a time
        self.lock = threading.Condition()
        self.sockets = set()
        self.socket = socket.socket(
            socket.AF_INET6 if ':' in self.host else socket.AF_INET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((self.host, port))
        self.socket.listen(128)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return f'[{self.host}]:{self.port}'

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        # shutdown wakes the thread in accept().
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        with self.lock:
            for s in self.sockets:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def wait(self, n, timeout_s=60):
        """Waits until n messages have arrived."""
        with self.lock:
            if not self.lock.wait_for(lambda: len(self.arrivals) >= n,
                                      timeout_s):
                raise net.TimedOut(f'{len(self.arrivals)} of {n} messages '
                                   f'arrived within {timeout_s} s')

    def clear_text(self):
        """All that came in clear text, as a list of lines."""
        with self.lock:
            return b''.join(bytes(c.clear)
                            for c in self.connections).splitlines()

    def _accept(self):
        while True:
            try:
                client, peer = self.socket.accept()
            except OSError:
                return
            with self.lock:
                connection = Connection(len(self.connections), peer[0])
                self.connections.append(connection)
                self.sockets.add(client)
                self.open += 1
                self.peak = max(self.peak, self.open)
            threading.Thread(target=self._serve, args=(client, connection),
                             daemon=True).start()

    def _serve(self, client, connection):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = (self.session or Session)(self, client, connection)
        try:
            session.run()
        except (Hangup, OSError, ValueError) as e:
            if isinstance(e, ssl.SSLError):
                connection.error = str(e)
        finally:
            with self.lock:
                self.sockets.discard(client)
                self.open -= 1
            session.socket.close()


class Session:
    """The server's side of one connection."""

    def __init__(self, sink, client, connection):
        self.sink = sink
        self.behaviour = sink.behaviour
        self.socket = client
        self.connection = connection
        self.input = bytearray()
        self.sender = None
        self.recipients = []
        self.chunks = b''
        self.logged_in = False

    def run(self):
        self.say(self.behaviour.banner)
        if not self.behaviour.banner.startswith('220'):
            return
        while True:
            line = self.line().decode('latin-1')
            self.connection.commands.append(line)
            verb, _, rest = line.partition(' ')
            handler = getattr(self, 'do_' + verb.lower(), None)
            if handler is None:
                self.say('502 5.5.2 Command not recognized')
            else:
                handler(rest)

    def receive(self):
        if self.behaviour.hung.is_set():
            raise Hangup
        data = self.socket.recv(262144)
        if not data:
            raise Hangup
        if self.connection.tls is None:
            self.connection.clear += data
        self.input += data

    def line(self):
        while True:
            end = self.input.find(b'\r\n')
            if end >= 0:
                line = bytes(self.input[:end])
                del self.input[:end + 2]
                return line
            self.receive()

    def body(self):
        """Reads up to the final dot and undoes the dot-stuffing."""
        if self.input[:3] == b'.\r\n':
            del self.input[:3]
            return b''
        seen = 0
        while True:
            end = self.input.find(b'\r\n.\r\n', max(0, seen - 4))
            if end >= 0:
                break
            seen = len(self.input)
            if self.behaviour.early and seen > self.behaviour.early[0]:
                self.say(self.behaviour.early[1])
                self.socket.shutdown(socket.SHUT_WR)
                while True:             # until the client closes, too
                    self.input.clear()
                    self.receive()
            self.receive()
        data = b'\r\n' + bytes(self.input[:end + 2])
        del self.input[:end + 5]
        return data.replace(b'\r\n.', b'\r\n')[2:]

    def say(self, reply):
        self.socket.sendall(reply.encode() + b'\r\n')

    def do_ehlo(self, _):
        how = self.behaviour.starttls
        lines = ['mx.example.net', *self.behaviour.ehlo]
        if how == 'no-ehlo':
            self.say('502 5.5.2 Command not recognized')
            return
        if (how != 'hide' and self.behaviour.certificate
                and self.connection.tls is None):
            lines.append('XXXXXXXA' if how == 'mask' else 'STARTTLS')
        if self.connection.tls and self.behaviour.auth_offer:
            lines.append('AUTH ' + ' '.join(self.behaviour.auth_offer))
        self.say('\r\n'.join([f'250-{line}' for line in lines[:-1]]
                             + [f'250 {lines[-1]}']))

    def do_helo(self, _):
        self.say('250 mx.example.net')

    def do_starttls(self, _):
        how = self.behaviour.starttls
        if how in ('hide', 'mask', 'no-ehlo'):
            self.say('502 5.5.1 Not implemented')
            return
        if how == 'refuse':
            self.say('454 4.7.0 TLS not available due to local problem')
            return
        if how == 'mute':
            self.wait_gone()
        if how == 'drop':
            raise Hangup
        self.socket.sendall(b'220 2.0.0 Ready to start TLS\r\n'
                            + self.behaviour.behind_220)
        if how == 'reset':
            self.socket.recv(1, socket.MSG_PEEK)
            # Closing with a linger time of 0 sends RST.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack('ii', 1, 0))
            raise Hangup
        if how == 'stall':
            self.wait_gone()
        if how == 'drip':
            self.drip()
        if how in ('garbage', 'cut'):
            self.socket.recv(65536)
            self.socket.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n'
                                if how == 'garbage' else RECORD[:9])
            raise Hangup
        self.start_tls()

    def wait_gone(self):
        """Says nothing until the client, or the test, has had enough."""
        while not self.behaviour.hung.is_set():
            self.socket.settimeout(0.1)
            try:
                if not self.socket.recv(65536):
                    break
            except TimeoutError:
                pass
        raise Hangup

    def drip(self):
        """Begins a handshake that takes as many seconds as a record has
        bytes."""
        for byte in RECORD:
            self.socket.sendall(bytes([byte]))
            if self.behaviour.hung.wait(0.5):
                break
        raise Hangup

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Also what is too weak to be used.
        context.set_ciphers(self.behaviour.ciphers or 'ALL:@SECLEVEL=0')
        context.load_cert_chain(*self.behaviour.certificate)
        if self.behaviour.client_ca:
            context.load_verify_locations(self.behaviour.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        if self.behaviour.minimum_tls:
            context.minimum_version = self.behaviour.minimum_tls
        if self.behaviour.ciphers:
            context.set_ciphers(self.behaviour.ciphers)
        if self.behaviour.maximum_tls:
            context.maximum_version = self.behaviour.maximum_tls
        return context

    def start_tls(self):
        context = self.context()
        with self.sink.lock:
            self.sink.sockets.discard(self.socket)
        self.socket = context.wrap_socket(self.socket, server_side=True,
                                          suppress_ragged_eofs=True)
        with self.sink.lock:
            self.sink.sockets.add(self.socket)
        self.connection.tls = self.socket.version()
        self.input.clear()
        self.sender, self.recipients = None, []

    def ask(self, challenge):
        self.say(f'334 {challenge}')
        return self.line().decode('latin-1')

    def do_auth(self, rest):
        mechanism, _, first = rest.partition(' ')
        if mechanism not in self.behaviour.auth_offer:
            self.say('504 5.5.4 Unrecognized authentication type')
            return
        if mechanism == 'LOGIN':
            user = decode(first or self.ask('VXNlcm5hbWU6'))
            secret = decode(self.ask('UGFzc3dvcmQ6'))
        elif mechanism == 'PLAIN':
            _, user, secret = decode(first or self.ask('')).split('\0')
        else:
            user, secret, *_ = decode(first or self.ask('')).split('\1')
            user, secret = user[5:], secret.removeprefix('auth=Bearer ')
        self.connection.logins.append((mechanism, user, secret))
        reply = self.behaviour.auth(mechanism, user, secret)
        if mechanism == 'XOAUTH2' and not reply.startswith('235'):
            self.ask('eyJzdGF0dXMiOiI0MDEifQ==')        # {"status":"401"}
        self.logged_in = reply.startswith('235')
        self.say(reply)

    def do_mail(self, rest):
        if self.behaviour.only_in_tls and self.connection.tls is None:
            self.say(self.behaviour.only_in_tls)
            return
        if self.behaviour.auth_offer and not self.logged_in:
            self.say('530 5.7.57 Client not authenticated to send mail')
            return
        reply = self.behaviour.mail(path_of(rest))
        if reply.startswith('2'):
            self.sender, self.recipients = path_of(rest), []
            self.chunks = b''
        self.say(reply)

    def do_rcpt(self, rest):
        reply = self.behaviour.rcpt(path_of(rest))
        if len(self.recipients) == self.behaviour.rcpt_limit:
            reply = '452 4.5.3 Too many recipients'
        if reply.startswith('2'):
            self.recipients.append(path_of(rest))
        self.say(reply)

    def do_data(self, _):
        if self.sender is None or not self.recipients:
            self.say('503 5.5.1 No valid recipients')
            return
        self.say(self.behaviour.data)
        if not self.behaviour.data.startswith('354'):
            return
        self.arrived(self.body())

    def do_bdat(self, rest):
        size, _, last = rest.partition(' ')
        while len(self.input) < int(size):
            self.receive()
        self.chunks += self.input[:int(size)]
        del self.input[:int(size)]
        if self.sender is None or not self.recipients:
            self.say('503 5.5.1 No valid recipients')
        elif last:
            self.arrived(self.chunks)
        else:
            self.say('250 2.0.0 Ok')

    def arrived(self, data):
        arrival = Arrival(self.sender, tuple(self.recipients), data,
                          self.connection.tls, self.connection.number)
        self.sender, self.recipients = None, []
        if self.behaviour.pause_s:
            time.sleep(self.behaviour.pause_s)
        reply = self.behaviour.dot(arrival)
        with self.sink.lock:
            drop = self.behaviour.drop_at_dot > 0
            self.behaviour.drop_at_dot -= drop
            if reply.startswith('2'):
                self.sink.arrivals.append(arrival)
                self.sink.lock.notify_all()
        if drop:
            raise Hangup
        self.say(reply)

    def do_rset(self, _):
        self.sender, self.recipients = None, []
        self.say('250 2.0.0 Ok')

    def do_noop(self, _):
        self.say('250 2.0.0 Ok')

    def do_quit(self, _):
        self.say('221 2.0.0 Bye')
        raise Hangup


def decode(text):
    return base64.b64decode(text, validate=True).decode()


def path_of(rest):
    """The address in "FROM:<a@b> SIZE=1"."""
    return rest[rest.index('<') + 1:rest.index('>')]
