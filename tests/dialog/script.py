# SPDX-License-Identifier: ISC
"""script - the dialogues of server/ and client/, as a list of lines; what a
line means is told in tests/unit/smtp/t_dialog.c."""

import concurrent.futures
import glob
import os
import re
import sys
import traceback
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

ESCAPE = re.compile(rb'\\(?:x([0-9A-Fa-f]{2})|\{(\d+) (.)\}|(.))', re.S)
CONTROLS = {b'r': b'\r', b'n': b'\n', b't': b'\t', b'0': b'\0'}
AT_A_TIME = 16


def unescape(text):
    """The bytes that a script's text stands for."""
    def one(match):
        code, times, repeated, plain = match.groups()
        if code:
            return bytes([int(code, 16)])
        if times:
            return int(times) * repeated
        return CONTROLS.get(plain, plain)
    return ESCAPE.sub(one, text.encode())


class Line:
    """One line of a script: word and rest; a line of dialogue (C or S) has
    the bytes that go over the wire in `wire`."""

    def __init__(self, number, text):
        self.number = number
        self.text = text
        self.word, _, self.rest = text.partition(' ')
        self.wire = None
        if text[:3] in ('C: ', 'C~ ', 'S: ', 'S~ '):
            self.word = text[0]
            self.rest = text[3:]
            self.wire = unescape(text[3:]) + b'\r\n' * (text[1] == ':')

    def __repr__(self):
        return f'{self.number}: {self.text[:100]}'


class Script:
    def __init__(self, path):
        self.name = os.path.basename(path)[:-len('.txt')]
        self.lines = []
        with open(path, encoding='utf-8') as f:
            for number, text in enumerate(f, 1):
                text = text.rstrip('\n')
                if text and text[0] != '#':
                    self.lines.append(Line(number, text))
        self.settings = {}
        for line in self.lines:
            if line.word == 'set':
                key, _, value = line.rest.partition(' ')
                self.settings[key] = value


def scripts(side):
    return [Script(path)
            for path in sorted(glob.glob(f'{HERE}/{side}/*.txt'))]


class Differs(AssertionError):
    pass


class Dialogues(unittest.TestCase):
    """One test for each script.  All of them are run at once, over many
    connections, before the first test tells what came of its own."""

    side = None
    run_one = None              # of a script; raises where they differ
    not_over_a_socket = {}      # script: why

    @classmethod
    def add_tests(cls):
        for s in scripts(cls.side):
            if s.name not in cls.not_over_a_socket:
                word = re.sub(r'\W', '_', s.name)
                setattr(cls, f'test_{word}',
                        lambda self, name=s.name: self.tell(name))

    @classmethod
    def run_all(cls, some):
        """Runs scripts concurrently and keeps what came of them."""
        def one(s):
            try:
                cls.run_one(s)
            except Exception:           # told by the script's test
                return s.name, traceback.format_exc()
            return s.name, None
        with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
            cls.outcomes.update(pool.map(one, some))

    def tell(self, name):
        if self.outcomes[name]:
            self.fail(f'{self.side}/{name}.txt: {self.outcomes[name]}')

    @classmethod
    def say_what_is_missing(cls, facts):
        """facts: of the machine, with the reason why nobody sees them."""
        n = len(scripts(cls.side))
        print(f'measured: {n - len(cls.not_over_a_socket)} of {n} {cls.side} '
              'dialogues over a socket')
        for what, why in {**cls.not_over_a_socket, **facts}.items():
            print(f'measured: not over a socket: {what}: {why}')
