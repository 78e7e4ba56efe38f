# SPDX-License-Identifier: ISC
"""tap - stands between relayd and its next hop and keeps every byte of both
directions, to prove what travelled in clear text."""

import socket
import struct
import threading

from . import net

HARMLESS = (b'EHLO', b'HELO', b'STARTTLS', b'QUIT')


class Leak(AssertionError):
    """Something travelled in clear text that must not."""


class Wire:
    """The bytes of one connection."""

    def __init__(self, peer):
        self.peer = peer                # the client's address
        self.sent = bytearray()         # by the client
        self.answered = bytearray()     # by the server

    def clear_lines(self):
        """What the client sent outside TLS, by lines.  Raises Leak if
        anything but TLS records follows the first TLS record."""
        lines = []
        rest = bytes(self.sent)
        while rest:
            if looks_like_tls(rest):
                check_records(rest)
                break
            line, end, rest = rest.partition(b'\r\n')
            lines.append(line + (b'' if end else b' (cut off)'))
        return lines


def looks_like_tls(data):
    return len(data) >= 3 and 20 <= data[0] <= 23 and data[1] == 3


def check_records(data):
    """data must be TLS records to the end; the last may be cut off."""
    at = 0
    while at < len(data):
        head = data[at:at + 5]
        if len(head) >= 3 and not looks_like_tls(head):
            raise Leak(f'after the start of TLS: {data[at:at + 80]!r}')
        if len(head) < 5:
            break
        at += 5 + int.from_bytes(head[3:5], 'big')


class Tap:
    def __init__(self, to_host, to_port):
        self.to = (to_host, to_port)
        self.host = net.own_host()
        self.wires = []
        self.lock = threading.Lock()
        self.sockets = set()
        self.socket = socket.socket()
        self.socket.bind((self.host, 0))
        self.socket.listen(128)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return f'[{self.host}]:{self.port}'

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        with self.lock:
            for s in self.sockets:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def forget(self):
        with self.lock:
            self.wires.clear()

    def clear_lines(self):
        """Every line that any client sent in clear text."""
        with self.lock:
            return [line for w in self.wires for line in w.clear_lines()]

    def connections(self):
        with self.lock:
            return len(self.wires)

    def assert_nothing_leaked(self):
        for line in self.clear_lines():
            if line.split(b' ')[0].upper() not in HARMLESS:
                raise Leak(f'in clear text: {line!r}')

    def _accept(self):
        while True:
            try:
                client, peer = self.socket.accept()
            except OSError:
                return
            wire = Wire(peer[0])
            with self.lock:
                self.wires.append(wire)
            try:
                server = socket.create_connection(self.to)
            except OSError:
                client.close()
                continue
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self.lock:
                    self.sockets.add(s)
            both = [threading.Thread(target=self._carry, args=args,
                                     daemon=True)
                    for args in ((client, server, wire.sent),
                                 (server, client, wire.answered))]
            for t in both:
                t.start()
            threading.Thread(target=self._bury, args=(both, client, server),
                             daemon=True).start()

    def _carry(self, source, to, record):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                with self.lock:
                    record += data
                to.sendall(data)
        except ConnectionResetError:
            # Handed on: closing with a linger time of 0 sends RST; the
            # other direction ends with its next read.
            to.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack('ii', 1, 0))
            self._shut(to, socket.SHUT_RD)
            return
        except OSError:
            pass
        self._shut(to, socket.SHUT_WR)

    @staticmethod
    def _shut(to, how):
        try:
            to.shutdown(how)
        except OSError:
            pass

    def _bury(self, threads, *sockets):
        for t in threads:
            t.join()
        with self.lock:
            self.sockets.difference_update(sockets)
        for s in sockets:
            s.close()
