# SPDX-License-Identifier: ISC
"""broken - a name server that breaks what it says about single names.

    with Broken() as dns:
        dns.add('good.test', 'MX', (10, 'a.test'))
        dns.spoil('bad.test', 'wrong-id')
        dns.mute_type('a.test', 'AAAA')
"""

import struct

from harness.dns import RCODES, Dns, plain, read_question


def wrong_id(packet):
    return bytes([packet[0] ^ 0xff]) + packet[1:]


def other_question(packet):
    """The answer to another name, of the same length."""
    return packet[:13] + bytes([packet[13] ^ 1]) + packet[14:]


def truncated(packet):
    """TC, and nobody answers over TCP."""
    end = read_question(packet)[2]
    return (packet[:2] + bytes([packet[2] | 2]) + packet[3:4]
            + struct.pack('!HHHH', 1, 0, 0, 0) + packet[12:end])


def short_data(packet):
    """An MX record of one byte."""
    end = read_question(packet)[2]
    return (packet[:4] + struct.pack('!HHHH', 1, 1, 0, 0) + packet[12:end]
            + struct.pack('!HHHIHB', 0xc00c, 15, 1, 60, 1, 0))


SPOILERS = {
    'wrong-id': wrong_id,
    'other-question': other_question,
    'truncated': truncated,
    'short-data': short_data,
    'garbage': lambda packet: b'\xff' * 60,
    'cut': lambda packet: packet[:-5],
    'header-only': lambda packet: packet[:12],
    'empty': lambda packet: packet[:3],
    'more-announced': lambda packet: packet[:6] + b'\x00\x09' + packet[8:],
    'endless-name': lambda packet: packet[:12] + b'\xc0\x0c' + packet[14:],
    'a-question': lambda packet: (packet[:2] + bytes([packet[2] & 0x7f])
                                  + packet[3:]),
}


class Broken(Dns):
    def __init__(self, host=None):
        self.spoilt = {}                # name: how
        self.muted_types = set()        # (name, type)
        self.failed_types = {}          # (name, type): rcode
        self.without_soa = set()        # names
        super().__init__(host)

    def spoil(self, name, how):
        """Every answer about the name is broken like this; None: no more."""
        with self.lock:
            self.spoilt[plain(name)] = how

    def mute_type(self, name, kind):
        """Questions of this type are not answered."""
        with self.lock:
            self.muted_types.add((plain(name), kind))

    def fail_type(self, name, kind, rcode):
        """Questions of this type are answered with this code."""
        with self.lock:
            self.failed_types[plain(name), kind] = RCODES[rcode]

    def _find(self, name, kind):
        rcode = self.failed_types.get((plain(name), kind))
        if rcode is not None:
            return [], rcode
        return super()._find(name, kind)

    def _answer(self, packet):
        answer = super()._answer(packet)
        asked = self.queries[-1]
        if not answer or asked in self.muted_types:
            return None
        if asked.name in self.without_soa and answer[6:8] == b'\0\0':
            end = read_question(answer)[2]
            return answer[:8] + bytes(4) + answer[12:end]
        how = self.spoilt.get(asked.name)
        return SPOILERS[how](answer) if how else answer
