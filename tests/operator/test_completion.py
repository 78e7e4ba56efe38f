# SPDX-License-Identifier: ISC
"""bash completes every command of relayctl and every option of each; the zsh
file asks relayctl in the same way."""

import re
import subprocess
import unittest

import desk                      # noqa: F401
from harness import peer
from harness.relay import RELAYCTL

DIR = f'{peer.TOP}/dist/completion'


def commands():
    """As the table of the source has them: every one there is."""
    with open(f'{peer.TOP}/ctl/relayctl.c', encoding='ascii') as f:
        table = re.search(r'\bcommands\[\] = \{(.*?)^\};', f.read(),
                          re.S | re.M)[1]
    return [re.findall(r'"([\w-]+)"', row) for row in
            re.findall(r'^\t\{ \{ ((?:"[\w-]+"(?:, )?)+) \}', table, re.M)]


def complete(*words):
    """What bash offers for the last word."""
    script = (f'. {DIR}/relayctl.bash; COMP_WORDS=("$@"); '
              'COMP_CWORD=$(($# - 1)); _relayctl; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(['bash', '-c', script, 'bash', RELAYCTL, *words],
                          capture_output=True, text=True, check=True)
    return set(done.stdout.split())


class Completion(unittest.TestCase):

    def test_every_command(self):
        found = commands()
        self.assertGreater(len(found), 20)
        first = complete('')
        for words in found:
            self.assertIn(words[0], first)
            if len(words) > 1:
                self.assertIn(words[1], complete(words[0], ''))
        self.assertEqual(complete('resu'), {'resubmit'})

    def test_every_option(self):
        for words in commands():
            text = subprocess.run([RELAYCTL, *words, '--help'],
                                  capture_output=True, text=True,
                                  check=True).stdout
            options = set(re.findall(r'^  (--[\w-]+)', text, re.M))
            self.assertLessEqual(options, complete(*words, '--'), words)
        self.assertIn('--uncertain', complete('queue', 'list', '--unc'))
        self.assertEqual(complete('hold', '--state', 'act'), {'active'})

    def test_zsh_asks_the_same(self):
        with open(f'{DIR}/_relayctl', encoding='ascii') as f:
            zsh = f.read()
        with open(f'{DIR}/relayctl.bash', encoding='ascii') as f:
            bash = f.read()
        self.assertTrue(zsh.startswith('#compdef relayctl\n'))
        for text in re.findall(r"sed -n '[^']+'", bash):
            self.assertIn(text, zsh)


if __name__ == '__main__':
    unittest.main()
