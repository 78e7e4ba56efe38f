# SPDX-License-Identifier: ISC
"""nsd - a real name server on a loopback port, with a zone that the test
writes and may change.

    with Nsd('dns.test', 'a 60 A 127.0.0.2\\n@ 60 MX 10 a\\n') as nsd:
        os.environ['RELAYD_RESOLVER'] = nsd.address
        nsd.change('@ 60 MX 10 b\\n')
"""

import os
import shutil
import signal
import socket
import subprocess

from harness import net, peer

CONF = '''\
server:
    ip-address: {host}@{port}
    username: ""
    chroot: ""
    zonesdir: "{dir}"
    database: ""
    pidfile: "{dir}/pid"
    logfile: "{dir}/log"
    zonelistfile: "{dir}/zone.list"
    xfrdfile: ""
    xfrdir: "{dir}"
    do-ip6: no
    server-count: 1
remote-control:
    control-enable: no
zone:
    name: "{zone}"
    zonefile: "{dir}/zone"
'''

# A negative answer is kept for the last of the numbers: seconds.
SOA = '''\
$ORIGIN {zone}.
@ 60 SOA ns root {serial} 3600 3600 86400 {negative_ttl}
@ 60 NS ns
ns 60 A {host}
'''


def query(text, kind):
    labels = b''.join(bytes([len(l)]) + l.encode() for l in text.split('.'))
    return (b'\x12\x34\x01\0\0\1\0\0\0\0\0\0' + labels + b'\0'
            + bytes([0, kind, 0, 1]))


class Nsd:
    def __init__(self, zone, records, negative_ttl=1):
        self.files = peer.unpacked('nsd')
        self.dir = net.temp_dir('nsd')
        self.host = net.own_host()
        self.port = net.free_port()
        self.zone = zone
        self.negative_ttl = negative_ttl
        self.serial = 0
        self.process = None
        try:
            self._write(records)
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def address(self):
        """As RELAYD_RESOLVER wants it."""
        return f'{self.host}@{self.port}'

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def change(self, records):
        """Other records, and waits until they are served."""
        self._write(records)
        self.process.send_signal(signal.SIGHUP)
        net.wait_for('nsd has read its zone again',
                     lambda: self._serial_served() == self.serial, 30)

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait(30)
        shutil.rmtree(self.dir, ignore_errors=True)

    # ------- inside

    def _write(self, records):
        self.serial += 1
        text = SOA.format(**vars(self)) + records
        # nsd looks at the time of the file, too coarse for a quick change.
        with open(f'{self.dir}/zone.new', 'w', encoding='utf-8') as f:
            f.write(text)
        os.utime(f'{self.dir}/zone.new', (self.serial, self.serial))
        os.rename(f'{self.dir}/zone.new', f'{self.dir}/zone')

    def _start(self):
        with open(f'{self.dir}/nsd.conf', 'w', encoding='ascii') as f:
            f.write(CONF.format(**vars(self)))
        libraries = f'{self.files}/usr/lib/x86_64-linux-gnu'
        self.process = subprocess.Popen(
            [f'{self.files}/usr/sbin/nsd', '-d', '-c', f'{self.dir}/nsd.conf'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, LD_LIBRARY_PATH=libraries))
        net.wait_for('nsd answers', self._answers, 30)

    def _answers(self):
        if self.process.poll() is not None:
            with open(f'{self.dir}/log', encoding='utf-8') as f:
                raise AssertionError(f'nsd does not start:\n{f.read()}')
        return self._serial_served() == self.serial

    def _serial_served(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.5)
            try:
                s.connect((self.host, self.port))
                s.send(query(self.zone, 6))
                answer = s.recv(4096)
            except OSError:
                return None
        # Serial, refresh, retry, expire and minimum are the end of the SOA,
        # but what stands behind it is of no fixed length.
        at = answer.find(b'\0\0\x0e\x10\0\0\x0e\x10')
        return int.from_bytes(answer[at - 4:at], 'big') if at > 0 else None
