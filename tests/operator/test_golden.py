# SPDX-License-Identifier: ISC
"""Every verb with every filter, and what people read, against files in
golden/: ids, times and addresses made equal.  GOLDEN=write writes them anew;
then look at the difference."""

import json
import os
import pwd
import re
import unittest

import desk

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'golden')

FILTERS = [
    ('--state', 'deferred'), ('--state', 'held'), ('--state', 'failed'),
    ('--state', 'deferred,held'), ('--state', 'active'),
    ('--cause', 'peer'), ('--cause', 'peer-deferred'), ('--cause', 'held'),
    ('--cause', 'tls'), ('--destination', 'out/*'),
    ('--destination', 'no/*'), ('--route', 'out'), ('--route', 'no'),
    ('--sender', 'alice@*'), ('--sender', '<>'), ('--sender', 'CAROL@*'),
    ('--recipient', 'bob@example.net'), ('--recipient', 'dave@*'),
    ('--message-id', '*'), ('--message-id', 'none'),
    ('--older', '1h'), ('--newer', '1h'), ('--larger', '10K'),
    ('--larger', '1'), ('--uncertain',),
    ('--sender', 'alice@*', '--larger', '10K'),
    ('--state', 'odd'), ('--cause', 'odd'), ('--older', 'x'),
    ('--larger', 'x'), ('--sender', ''),
]
VERBS = [('hold',), ('release',), ('remove',), ('remove', '--purge'),
         ('remove', '--bounce'), ('extend', '--by', '2d'), ('resubmit',),
         ('resubmit', '--held'), ('resubmit', '--failed'),
         ('resubmit', '--delivered')]
# What an operator does, one after the other; ids stand for messages.
STORY = [
    ('status',), ('queue', 'list'), ('queue', 'list', '--sort', 'sender'),
    ('queue', 'list', '--sort', '-size', '--limit', '1'),
    ('queue', 'summary'), ('queue', 'summary', '--by', 'sender'),
    ('queue', 'summary', '--by', 'domain,cause'),
    ('queue', 'show', 'ID1'), ('queue', 'explain', 'ID1'),
    ('trace', 'ID3'), ('destination', 'list'), ('audit',),
    ('check', 'queue'), ('queue', 'verify'),
    ('hold', 'ID1', '--dry-run'), ('hold', 'ID1', 'ID2'), ('hold', 'ID1'),
    ('resubmit', '--sender', 'alice@*', '--held'),
    ('release', '--state', 'held'), ('extend', 'ID1', '--by', '2d'),
    ('remove', 'ID2'), ('remove', 'ID2'), ('remove', 'ID2', '--purge'),
    ('remove', 'ID2'), ('resubmit', '--failed', '--all'),
    ('destination', 'suspend', 'out/*', '--for', '2h', '--reason', 'works'),
    ('destination', 'list'), ('destination', 'resume', 'out/*'),
    ('hold',), ('hold', 'what'), ('queue', 'show', '0000000000000'),
    ('audit', '--limit', '2'), ('queue', 'list', '--bad'), ('frobnicate',),
]


class Golden(desk.Desk):
    out = {'domains': ['example.net']}      # nobody is told of failures

    def setUp(self):
        super().setUp()
        self.refuse_all()
        self.ids = []
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        for n, options in enumerate([
                {}, {'sender': 'carol@example.org', 'size': 20000},
                {'recipients': ('dave@example.net', 'erin@example.net')},
                {'sender': ''}]):
            sent, = self.send(1, **options)
            self.ids.append(sent.id)
            desk.net.wait_for('it is deferred', lambda: self.states().get(
                'deferred') == [1, 2, 4, 5][n])
        self.relay.ctl('hold', self.ids[3])

    def normal(self, text):
        """The same text in every run."""
        for n, number in enumerate(self.ids, 1):
            text = text.replace(number, f'ID{n}')
        text = text.replace(f'{self.hop.host}:{self.hop.port}', 'HOP')
        text = text.replace(self.relay.dir, 'DIR')
        for pattern, to in [
                (r'\b[0-9a-f]{32}\b', 'KEY'),
                (r'"20\d\d-\d\d-\d\dT[\d:.]+Z"', '"TIME"'),
                (r'20\d\d-\d\d-\d\d \d\d:\d\d:\d\d', 'TIME'),
                (r'\d\d-\d\d \d\d:\d\d:\d\d', 'TIME'),
                (r'\w{3}, \d+ \w{3} 20\d\d \d\d:\d\d:\d\d \+0000', 'TIME'),
                (r'127\.0\.0\.1:\d+', 'CLIENT'),
                (r'\b(just now|\d+[smhd] ago|in \d+[smhd])', 'WHEN'),
                (r'("(?:age_s|oldest_s|duration_s)":)[\d.]+', r'\1N'),
                (r'^relayd .*running [^,]*', 'relayd running'),
                (r'(used|free on disk|oldest waits)[^,\n]*', r'\1'),
                (r'[\d.]+[KMG] of [\d.]+[KMG] used', 'N of N used'),
                (r'[\d.]+[KMG] free', 'N free'),
                (r'\b\d+ rows', 'N rows'),
                (r'\b\d+(\.\d+)?[smhd]\b', 'T'),
                (r'\b(\d+(\.\d+)?)[KMG]\b', 'SIZE'),
                (r'number [0-9a-f]{8}\b', 'number N'),
                (r'(?<=\S) {2,}', ' '),
                # How long it took, what was sent, and what stands open a
                # moment longer.
                (r'(TIME deferred) (T )?\d+ ', r'\1 SENT '),
                (r'^(out/HOP \w+ (?:WHEN|-) \d+) \d+', r'\1 N'),
                (rf'^TIME {self.user} ', 'TIME USER '),
                (r'[ -]*\n', '\n')]:
            text = re.sub(pattern, to, text, flags=re.M)
        return text

    def compare(self, name, text):
        path = f'{GOLDEN}/{name}'
        if os.environ.get('GOLDEN') == 'write':
            os.makedirs(GOLDEN, exist_ok=True)
            with open(path, 'w', encoding='utf-8') as f:
                f.write(text)
        with open(path, encoding='utf-8') as f:
            self.maxDiff = None
            self.assertEqual(f.read(), text)

    def test_every_verb_with_every_filter(self):
        lines = []
        for filters in FILTERS:
            done = self.relay.ctl('--json', 'queue', 'list', *filters,
                                  expect=None)
            ids = [self.normal(json.loads(line)['id'])
                   for line in done.stdout.splitlines()]
            lines.append(f'queue list {" ".join(filters)}: '
                         f'{done.returncode} {" ".join(ids)}'
                         f'{self.normal(done.stderr.strip())}')
            for verb in VERBS:
                done = self.relay.ctl('--json', *verb, *filters, '--dry-run',
                                      expect=None)
                row = json.loads(done.stdout) if done.stdout else {}
                lines.append(f'   {" ".join(verb)}: {done.returncode} ' + (
                    f'{row["recipients"]} in {row["messages"]} '
                    f'{json.dumps(row["skipped"])}' if row else '-'))
        self.compare('filters.txt', '\n'.join(lines) + '\n')
        self.assertEqual(self.states(), {'deferred': 4, 'held': 1})
        self.end()

    def test_what_people_read(self):
        text = ''
        for args in STORY:
            args = [self.ids[int(a[2]) - 1] if re.match(r'ID\d$', a) else a
                    for a in args]
            done = self.relay.ctl(*args, expect=None)
            shown = self.normal(' '.join(args))
            text += f'$ relayctl {shown}\n{done.stdout}{done.stderr}'
            text += f'[{done.returncode}]\n'
            if args[0] in ('release', 'resubmit', 'destination'):
                desk.net.wait_for('it has been tried', lambda: not {
                    'queued', 'active'} & set(self.states()))
        self.compare('story.txt', self.normal(text))
        self.end()


if __name__ == '__main__':
    unittest.main()
