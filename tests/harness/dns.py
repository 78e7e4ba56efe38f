# SPDX-License-Identifier: ISC
"""dns - a name server that answers what a test tells it, and remembers what
it was asked.

    with Dns() as dns:
        dns.add('mx.example.net', 'A', '127.0.0.2', '127.0.0.3', ttl=1)
        dns.add('example.net', 'MX', (10, 'mx.example.net'))
        dns.add('alias.example.net', 'CNAME', 'mx.example.net')
        dns.fail('broken.example.net', 'SERVFAIL')
        dns.mute('silent.example.net')
        os.environ['RELAYD_RESOLVER'] = dns.address

A name that has records of other types only has no data of this one; a name
that was never mentioned does not exist.  Everything may be changed at any
time; resolvers cache for `ttl` seconds.
"""

import collections
import ipaddress
import socket
import struct
import threading

from . import net

TYPES = {'A': 1, 'NS': 2, 'CNAME': 5, 'SOA': 6, 'MX': 15, 'TXT': 16,
         'AAAA': 28}
RCODES = {'NOERROR': 0, 'FORMERR': 1, 'SERVFAIL': 2, 'NXDOMAIN': 3,
          'NOTIMP': 4, 'REFUSED': 5}
WORDS = {number: word for word, number in TYPES.items()}
NEGATIVE_TTL_S = 1
CHAIN_MAX = 16          # of CNAMEs in one answer

Query = collections.namedtuple('Query', 'name type')


def plain(name):
    return name.lower().rstrip('.')


def encode_name(name):
    labels = [label.encode('latin-1') for label in name.split('.') if label]
    return b''.join(bytes([len(l)]) + l for l in labels) + b'\0'


def encode(kind, value):
    if kind in ('A', 'AAAA'):
        return ipaddress.ip_address(value).packed
    if kind == 'MX':
        preference, host = value
        return struct.pack('!H', preference) + encode_name(host)
    if kind == 'TXT':
        return bytes([len(value)]) + value.encode()
    return encode_name(value)           # CNAME, NS


def record(name, kind, ttl, data):
    return (encode_name(name)
            + struct.pack('!HHIH', TYPES[kind], 1, ttl, len(data)) + data)


def soa():
    data = (encode_name('ns.test') + encode_name('root.test')
            + struct.pack('!IIIII', 1, 60, 60, 60, NEGATIVE_TTL_S))
    return record('', 'SOA', NEGATIVE_TTL_S, data)


def read_question(packet):
    """The name, its type as a number, and where the question ends."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode('latin-1'))
        at += 1 + packet[at]
    kind, = struct.unpack_from('!H', packet, at + 1)
    return '.'.join(labels), kind, at + 5


class Dns:
    def __init__(self, host=None):
        self.host = host or net.own_host()
        self.lock = threading.Lock()
        self.records = {}               # (name, type): (ttl, [data])
        self.rcodes = {}                # name: number
        self.muted = set()
        self.queries = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.host, 0))
        self.port = self.socket.getsockname()[1]
        self.closing = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @property
    def address(self):
        """As RELAYD_RESOLVER wants it."""
        return f'{self.host}@{self.port}'

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.closing = True
        # Wakes the thread in recvfrom().
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b'', (self.host, self.port))
        self.thread.join()
        self.socket.close()

    # ------- what it knows

    def add(self, name, kind, *values, ttl=60):
        """Replaces the records of this type; no values: the name exists
        without them."""
        with self.lock:
            self.records[plain(name), kind] = (
                ttl, [encode(kind, value) for value in values])
            self.rcodes.pop(plain(name), None)

    def fail(self, name, rcode):
        """Every question for the name is answered with this code."""
        with self.lock:
            self.rcodes[plain(name)] = RCODES[rcode]

    def mute(self, name):
        """Questions for the name are not answered; '*': none at all."""
        with self.lock:
            self.muted.add(plain(name))

    def forget(self, name):
        """As if the name had never been mentioned."""
        name = plain(name)
        with self.lock:
            self.muted.discard(name)
            self.rcodes.pop(name, None)
            for key in [key for key in self.records if key[0] == name]:
                del self.records[key]

    def asked(self, name, kind):
        """How often that was asked."""
        with self.lock:
            return self.queries.count(Query(plain(name), kind))

    # ------- inside

    def _serve(self):
        while True:
            packet, client = self.socket.recvfrom(4096)
            if self.closing:
                return
            if len(packet) < 17:
                continue
            with self.lock:
                answer = self._answer(packet)
            if answer:
                self.socket.sendto(answer, client)

    def _answer(self, packet):
        name, number, end = read_question(packet)
        kind = WORDS.get(number, str(number))
        self.queries.append(Query(plain(name), kind))
        if self.muted & {plain(name), '*'}:
            return None
        answers, rcode = self._find(name, kind)
        authority = b'' if answers or rcode not in (0, 3) else soa()
        # The bits of the query that are echoed: RD.  QR, RA are ours.
        flags = 0x8080 | (packet[2] & 1) << 8 | rcode
        return (packet[:2]
                + struct.pack('!HHHHH', flags, 1, len(answers),
                              1 if authority else 0, 0)
                + packet[12:end] + b''.join(answers) + authority)

    def _find(self, name, kind):
        """The records to answer with, CNAMEs followed, and the code."""
        answers = []
        for _ in range(CHAIN_MAX):
            key = plain(name)
            if key in self.rcodes:
                return answers, self.rcodes[key]
            if (key, kind) in self.records:
                ttl, values = self.records[key, kind]
                answers += [record(name, kind, ttl, v) for v in values]
                return answers, 0
            if (key, 'CNAME') not in self.records:
                exists = any(k[0] == key for k in self.records)
                return answers, 0 if exists else RCODES['NXDOMAIN']
            ttl, (target,) = self.records[key, 'CNAME']
            answers.append(record(name, 'CNAME', ttl, target))
            name = read_question(bytes(12) + target + bytes(4))[0]
        return answers, 0
