# SPDX-License-Identifier: ISC
"""/metrics and /healthz, as Prometheus reads them: promtool judges the form,
the numbers must be those of the mail that went through."""

import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

# The path comes first.
from harness import certs, net, sender                  # noqa: E402
from harness.relay import Relay, identity, route # noqa: E402
from harness.sink import Sink                    # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
PROMTOOL = f'{TOP}/build/peers/prometheus/usr/bin/promtool'
SAMPLE = re.compile(r'^(relayd_\w+)(?:\{(.*)\})? (\S+)$')


class Metrics(unittest.TestCase):
    def setUp(self):
        self.hop = Sink()
        self.addCleanup(self.hop.close)
        self.dead = net.free_port(net.own_host())
        self.at = net.own_host(), net.free_port(net.own_host())
        self.sections = (
            route('out', hosts=[self.hop.address], tls='off'),
            route('dead', domains=['dead.example'], tls='off',
                  hosts=[f'[{net.own_host()}]:{self.dead}']))
        self.relay = Relay(
            *self.sections,
            control={'metrics': f'{self.at[0]}:{self.at[1]}'})
        self.addCleanup(self.relay.close)

    def get(self, path):
        client = http.client.HTTPConnection(*self.at, timeout=60)
        client.request('GET', path)
        answer = client.getresponse()
        return answer.status, answer.read().decode()

    def samples(self):
        status, page = self.get('/metrics')
        self.assertEqual(status, 200)
        found = {}
        for line in page.splitlines():
            if line.startswith('#'):
                continue
            match = SAMPLE.match(line)
            self.assertTrue(match, line)
            name = match[1] + (f'{{{match[2]}}}' if match[2] else '')
            self.assertNotIn(name, found)
            found[name] = float(match[3])
        return found

    def test_numbers(self):
        sender.send_many(self.relay.host, self.relay.port, 3, size=5000)
        sender.send_many(self.relay.host, self.relay.port, 2,
                         recipients=['x@dead.example'])
        self.relay.wait_deferred(2, 'connect-refused')
        self.hop.wait(3)
        net.wait_for('delivered', lambda: self.samples().get(
            'relayd_delivered_total{route="out"}') == 3)
        found = self.samples()
        for name, value in {
                'relayd_received_messages_total{listener="in"}': 5,
                'relayd_received_total{listener="in"}': 5,
                'relayd_queue_recipients'
                '{state="deferred",cause="connect-refused"}': 2,
                'relayd_queue_messages'
                '{state="deferred",cause="connect-refused"}': 2,
                'relayd_queue_lifetime_recipients_total'
                '{place="accepted"}': 5,
                'relayd_queue_conserved': 1,
                'relayd_queue_full': 0,
                'relayd_destinations_down': 1,
                'relayd_delivery_seconds_count': 3}.items():
            self.assertEqual(found.get(name), value, name)
        self.assertGreaterEqual(
            found['relayd_deferred_total'
                  '{route="dead",cause="connect-refused"}'], 1)
        self.assertGreaterEqual(
            found['relayd_received_bytes_total{listener="in"}'], 15000)
        self.assertGreaterEqual(found['relayd_commit_seconds_count'], 5)
        down = [n for n in found if n.startswith(
            'relayd_destination_down_since_seconds')]
        self.assertEqual(len(down), 1)
        self.assertIn('cause="connect-refused"', down[0])
        self.relay.stop()

    def test_form(self):
        if not os.access(PROMTOOL, os.X_OK):
            self.skipTest('there is no promtool')
        sender.send_many(self.relay.host, self.relay.port, 1)
        self.hop.wait(1)
        _, page = self.get('/metrics')
        judged = subprocess.run([PROMTOOL, 'check', 'metrics'],
                                input=page.encode(), capture_output=True,
                                check=False)
        self.assertEqual((judged.returncode, judged.stdout, judged.stderr),
                         (0, b'', b''))
        self.relay.stop()

    def test_what_will_be_trimmed(self):
        sender.send_many(self.relay.host, self.relay.port, 2,
                         recipients=['x@dead.example', 'y@dead.example'])
        self.relay.wait_deferred(4, 'connect-refused')
        self.relay.ctl('remove', '--all')
        self.relay.stop()
        for keep, soon in (('30d', 0), ('12h', 4)):
            self.relay.queue['keep_expired'] = keep
            self.relay.configure(*self.sections)
            self.relay.start()
            net.wait_for('it is counted', lambda: self.samples()[
                'relayd_queue_trim_next_seconds'] > 0)
            self.assertEqual(
                self.samples()['relayd_queue_trim_soon_recipients'], soon)
            self.assertEqual('event=trim-soon recipients=4 messages=2' in
                             self.relay.log(), soon > 0)
            self.relay.stop()

    def test_certificates(self):
        directory = net.temp_dir('certs')
        self.addCleanup(shutil.rmtree, directory)
        ca = certs.Authority(directory)
        self.relay.reload(*self.sections, identity(
            'shown', ca.issue('shown', 'relay.example.com', ends=90)))
        own, = [(name, value) for name, value in self.samples().items()
                if name.startswith('relayd_certificate_not_after_seconds')]
        self.assertIn('kind="own",name="shown"', own[0])
        self.assertIn('watched="true"', own[0])
        self.assertAlmostEqual(own[1], time.time() + 90 * 86400,
                               delta=2 * 86400)
        self.relay.stop()

    def test_the_same_at_the_socket(self):
        _, page = self.get('/metrics')
        client = http.client.HTTPConnection('x', timeout=60)
        client.sock = socket.socket(socket.AF_UNIX)
        client.sock.connect(self.relay.socket)
        client.request('GET', '/v1/metrics')
        other = client.getresponse().read().decode()
        heads = [line for line in page.splitlines() if line[0] == '#']
        self.assertEqual(heads, [line for line in other.splitlines()
                                 if line[0] == '#'])
        client.close()
        self.relay.stop()

    def test_health(self):
        self.assertEqual(self.get('/healthz'), (200, '{"health":"ok"}\n'))
        self.assertEqual(self.get('/elsewhere')[0], 404)
        self.assertEqual(self.get('/v1/queue')[0], 404)
        self.relay.stop()

    def test_taken_address(self):
        """Mail is carried where nobody can measure it."""
        with socket.create_server((net.own_host(), 0)) as taken:
            at = taken.getsockname()
            with Relay(route('out', hosts=[self.hop.address], tls='off'),
                       control={'metrics': f'{at[0]}:{at[1]}'}) as other:
                sender.send_many(other.host, other.port, 1)
                self.hop.wait(1)
                self.assertIn('event=metrics-off', other.log())
                other.stop()
        self.relay.stop()


if __name__ == '__main__':
    unittest.main()
