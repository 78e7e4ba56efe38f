# SPDX-License-Identifier: ISC
"""opensmtpd - a real OpenSMTPD as the next hop."""

import glob
import shutil

from . import peer

CONFIGURATION = '''
{pki}
table boxes {{ "@" = box }}
listen on {host} port {port} hostname {name} {tls}
action "box" maildir "/mail" virtual <boxes>
match from any for any action "box"
'''

PKI = '''
pki {name} cert "/etc/tls.pem"
pki {name} key "/etc/tls.key"
'''


class OpenSmtpd(peer.Peer):
    package = 'opensmtpd'

    def prepare(self):
        self.jail = peer.Jail(self, ['opensmtpd', 'opensmtpq'])
        self.mail = f'{self.jail.path}/mail'
        self.spool = [f'{self.jail.path}/var/spool/smtpd']
        self.jail.add('/bin/sh')
        for file in (f'{self.files}/usr/sbin/smtpd',
                     *glob.glob(f'{self.files}/usr/libexec/opensmtpd/*')):
            self.jail.add(file, file[len(self.files):])
        self.jail.run('mkdir', '-p', 'var/lib/opensmtpd/empty', 'var/spool')
        self.jail.run('mkdir', '-m', '711', 'var/spool/smtpd')

    def configure(self):
        if self.certificate:
            for kind in ('pem', 'key'):
                to = f'{self.jail.path}/etc/tls.{kind}'
                shutil.copy(getattr(self.certificate, kind), to)
                self.jail.run('chmod', '600', to)
        self.jail.write('etc/smtpd.conf', CONFIGURATION.format(
            name=self.name, host=self.host, port=self.port,
            pki=PKI.format(name=self.name) if self.certificate else '',
            tls=f'tls pki {self.name}' if self.certificate else ''))

    def command(self):
        return self.jail.command('/usr/sbin/smtpd', '-d')
