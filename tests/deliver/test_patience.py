# SPDX-License-Identifier: ISC
"""How long relayd waits for a next hop that says nothing: at least what RFC
5321 4.5.3.2 asks for, and not much longer; what it then says of it.  The clock
is made to run ahead, so nobody waits for real."""

import shutil
import socket
import unittest

from scene import Scene, net, sender
from harness import fault
from harness.relay import Relay, route

SLACK_S = 40        # that the real time of this test may take

# Where the peer falls silent: seconds by the RFC (the handshake: ours), how
# much it condemns.
STAGES = {
    'greeting': 300, 'EHLO': 300, 'STARTTLS': 120, 'handshake': 120,
    'MAIL': 300, 'RCPT': 300, 'DATA': 120, 'end of data': 600,
}
REPLIES = {'EHLO': '250 mx', 'MAIL': '250 Ok', 'RCPT': '250 Ok',
           'DATA': '354 Go'}


class Silent:
    """Takes one connection, and says nothing from a stage on."""

    def __init__(self, stage):
        self.stage = stage
        self.listening = socket.create_server((net.own_host(), 0))
        self.address = '[%s]:%d' % self.listening.getsockname()
        self.name = stage.split(' ')[0].lower()
        self.socket = None

    def run(self):
        """Up to where it falls silent; that much was heard then."""
        self.socket, _ = self.listening.accept()
        self.file = self.socket.makefile('rb')
        if self.stage == 'greeting':
            return
        self.say('220 mx')
        while True:
            verb = self.file.readline().split()[0].decode()
            if verb == self.stage:
                return
            if verb == 'STARTTLS':
                self.say('220 Go')
                self.socket.recv(1, socket.MSG_PEEK)
                return
            secure = self.stage in ('STARTTLS', 'handshake')
            self.say('250-mx\r\n250 STARTTLS' if secure else REPLIES[verb])
            if verb == 'DATA':
                while self.file.readline() != b'.\r\n':
                    pass
                return

    def say(self, reply):
        self.socket.sendall(reply.encode() + b'\r\n')

    def close(self):
        if self.socket:
            self.file.close()
            self.socket.close()
        self.listening.close()


class Patience(Scene):

    def setUp(self):
        self.files = net.temp_dir('patience')
        self.addCleanup(shutil.rmtree, self.files, ignore_errors=True)
        self.clock = fault.Clock(self.files)

    def start(self, *routes):
        self.waiting_relay = Relay(*routes, queue=self.queue,
                                   top={'workers': 1, 'stop_timeout': '1s'},
                                   environment=self.clock.environment)
        self.addCleanup(self.waiting_relay.close)
        return self.waiting_relay

    def wake(self):
        """The loop turns, and sees what the time is."""
        for _ in range(3):
            with sender.Client(self.waiting_relay.host,
                               self.waiting_relay.port) as client:
                client.hello()

    def settled(self, message):
        return [e for e in self.waiting_relay.ctl_json('trace', message)
                if e['event'] == 'deferred']

    def test_silence_at_each_stage(self):
        peers = [Silent(stage) for stage in STAGES]
        for peer in peers:
            self.addCleanup(peer.close)
        relay = self.start(*[
            route(p.name, [f'{p.name}.example'], hosts=[p.address],
                  tls='forced' if p.name in ('starttls', 'handshake')
                  else 'off') for p in peers])
        messages = {p.stage: self.send(relay,
                                       recipients=[f'x@{p.name}.example'])
                    for p in peers}
        for p in peers:
            p.run()
        for patience in sorted(set(STAGES.values())):
            self.clock.run_ahead(patience - SLACK_S)
            self.wake()
            for stage, seconds in STAGES.items():
                if seconds == patience:
                    self.assertEqual(self.settled(messages[stage]), [], stage)
            self.clock.run_ahead(patience + 1)
            for stage, seconds in STAGES.items():
                if seconds == patience:
                    self.check_timed_out(stage, messages[stage])
        relay.stop()

    def check_timed_out(self, stage, message):
        def there():
            self.wake()
            return self.settled(message)
        event, = net.wait_for(f'{stage} is over', there, 30, 0.1)
        in_tls = stage in ('STARTTLS', 'handshake')
        self.assertEqual(event['cause'], 'tls-timeout' if in_tls
                         else 'peer-timeout', stage)
        self.assertIn('did not answer in time '
                      + ('in the TLS handshake' if stage == 'handshake'
                         else f'at {stage}'), event['reply'])
        self.assertEqual(event['uncertain'], stage == 'end of data', stage)

    def test_connecting_takes_too_long(self):
        """Nobody accepts, and the kernel takes no more: in real time."""
        with socket.socket() as deaf:
            deaf.bind((net.own_host(), 0))
            deaf.listen(0)
            fillers = [socket.socket() for _ in range(4)]
            for s in fillers:
                s.setblocking(False)
                s.connect_ex(deaf.getsockname())
                self.addCleanup(s.close)
            relay = self.relay('[%s]:%d' % deaf.getsockname(),
                               connect_timeout='1s')
            event = self.last(relay, self.send(relay), 'deferred')
        self.assertEqual(event['cause'], 'connect-timeout')
        relay.stop()


if __name__ == '__main__':
    unittest.main()
