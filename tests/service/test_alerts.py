# SPDX-License-Identifier: ISC
"""The alert rules and the dashboard in dist/: promtool judges the rules, and
both speak of metrics that there are."""

import json
import os
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

# The path comes first.
from harness import net                          # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
PROMTOOL = f'{TOP}/build/peers/prometheus/usr/bin/promtool'
RULES = f'{TOP}/dist/alerts.rules.yml'
METRIC = re.compile(r'\brelayd_[a-z_]+')


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def in_the_code():
    """The metrics that there are."""
    found = set()
    for name in ('stats.def', 'stats.c', 'control_metrics.c'):
        found |= set(re.findall(r'"(relayd_[a-z_]+)"',
                                read(f'{TOP}/daemon/{name}')))
    return found


class Alerts(unittest.TestCase):

    def setUp(self):
        self.dir = net.temp_dir('alerts')
        self.addCleanup(shutil.rmtree, self.dir)

    def promtool(self, *args):
        if not os.access(PROMTOOL, os.X_OK):
            self.skipTest('there is no promtool')
        return subprocess.run([PROMTOOL, *args], capture_output=True,
                              text=True, check=False)

    def judge(self, rules):
        """promtool over the tests of the rules."""
        path = f'{self.dir}/rules.yml'
        tests = f'{self.dir}/tests.yml'
        with open(path, 'w', encoding='utf-8') as f:
            f.write(rules)
        with open(tests, 'w', encoding='utf-8') as f:
            f.write(read(f'{TOP}/tests/service/alerts.yml').replace(
                'RULES', path))
        return self.promtool('test', 'rules', tests)

    def test_rules(self):
        done = self.promtool('check', 'rules', RULES)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        done = self.judge(read(RULES))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_rule_is_tested(self):
        tests = read(f'{TOP}/tests/service/alerts.yml')
        for alert in re.findall(r'alert: (\w+)', read(RULES)):
            self.assertIn(f'{{alertname="{alert}"}}', tests)

    def test_a_wrong_rule_is_noticed(self):
        rules = read(RULES)
        self.assertIn('> 900', rules)
        self.assertNotEqual(
            self.judge(rules.replace('> 900', '> 90000')).returncode, 0)

    def test_metrics_exist(self):
        known = in_the_code()
        self.assertGreater(len(known), 25)
        self.assertEqual(known - set(METRIC.findall(
            read(f'{TOP}/man/relayd.8'))), set())
        for path in (RULES, f'{TOP}/dist/grafana-dashboard.json'):
            used = set(METRIC.findall(read(path)))
            self.assertGreater(len(used), 10)
            self.assertEqual({re.sub('_bucket$', '', m) for m in used}
                             - known, set(), path)

    def test_dashboard(self):
        board = json.loads(read(f'{TOP}/dist/grafana-dashboard.json'))
        ids = [panel['id'] for panel in board['panels']]
        self.assertEqual(len(ids), len(set(ids)))
        taken = set()
        for panel in board['panels']:
            at = panel['gridPos']
            cells = {(x, y) for x in range(at['x'], at['x'] + at['w'])
                     for y in range(at['y'], at['y'] + at['h'])}
            self.assertFalse(cells & taken, panel['title'])
            self.assertLessEqual(at['x'] + at['w'], 24)
            taken |= cells
            self.assertTrue(panel['targets'], panel['title'])

    def test_expressions(self):
        """Prometheus understands what the dashboard asks."""
        board = json.loads(read(f'{TOP}/dist/grafana-dashboard.json'))
        asked = [target['expr'] for panel in board['panels']
                 for target in panel['targets']]
        rules = {'groups': [{'name': 'board', 'rules': [
            {'record': f'r{n}', 'expr': expr}
            for n, expr in enumerate(asked)]}]}
        path = f'{self.dir}/board.yml'
        with open(path, 'w', encoding='utf-8') as f:
            json.dump(rules, f)         # JSON is YAML
        done = self.promtool('check', 'rules', path)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == '__main__':
    unittest.main()
