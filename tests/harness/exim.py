# SPDX-License-Identifier: ISC
"""exim - a real Exim as the next hop."""

import shutil

from . import peer

CONFIGURATION = '''
primary_hostname = {name}
local_interfaces = {host}
daemon_smtp_ports = {port}
disable_ipv6
log_file_path = /var/log/exim4/%slog
acl_smtp_rcpt = accept
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
message_size_limit = 0
host_lookup =
rfc1413_query_timeout = 0s
queue_run_max = 0
{tls}
begin routers
box:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  directory = /mail
  maildir_format
  create_directory
  user = box
  group = box
'''

TLS = '''
tls_advertise_hosts = *
tls_certificate = /etc/exim4/tls.pem
tls_privatekey = /etc/exim4/tls.key
'''


class Exim(peer.Peer):
    package = 'exim4-daemon-light'

    def prepare(self):
        self.jail = peer.Jail(self, ['Debian-exim'])
        self.mail = f'{self.jail.path}/mail'
        self.spool = [f'{self.jail.path}/var/spool/exim4/input']
        self.jail.add(f'{self.files}/usr/sbin/exim4', '/usr/sbin/exim4')
        for d in ('var/spool/exim4', 'var/spool/exim4/input',
                  'var/log/exim4'):
            self.jail.own(d, 'Debian-exim')
        self.jail.run('mkdir', 'etc/exim4')

    def configure(self):
        if self.certificate:
            for kind in ('pem', 'key'):
                shutil.copy(getattr(self.certificate, kind),
                            f'{self.jail.path}/etc/exim4/tls.{kind}')
        self.jail.write('etc/exim4/exim4.conf', CONFIGURATION.format(
            name=self.name, host=self.host, port=self.port,
            tls=TLS if self.certificate else 'tls_advertise_hosts ='))

    def command(self):
        return self.jail.command('/usr/sbin/exim4', '-bdf', '-q1m')
