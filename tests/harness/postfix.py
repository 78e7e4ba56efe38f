# SPDX-License-Identifier: ISC
"""postfix - a real Postfix as the next hop."""

import grp
import os
import signal
import socket
import ssl
import threading

from . import peer, sender

MAIN = '''
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = {files}/usr/sbin
daemon_directory = {files}/usr/lib/postfix/sbin
shlib_directory = {files}/usr/lib/postfix
meta_directory = {dir}/etc
mail_owner = daemon
default_privs = nobody
setgid_group = {group}
import_environment = LD_LIBRARY_PATH MAIL_CONFIG
maillog_file = {dir}/data/log
maillog_file_prefixes = {dir}
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = {name}
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
local_header_rewrite_clients =
message_size_limit = 0
in_flow_delay = 0
notify_classes =
virtual_mailbox_domains = example.net
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = static:box/
virtual_mailbox_limit = 0
virtual_minimum_uid = 1
virtual_uid_maps = static:{box_uid}
virtual_gid_maps = static:{box_uid}
smtpd_tls_loglevel = 1
'''

TLS = {'smtpd_tls_security_level': 'may',
       'smtpd_tls_cert_file': '{0.pem}',
       'smtpd_tls_key_file': '{0.key}'}

# In clear text, no chroot; listening on our port only.
MASTER = '''
{host}:{port} inet n - n - 100 smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - 8 virtual
'''

# Who owns what in the queue directory.
SPOOL = {'pid': 'root', 'maildrop': 'daemon', 'public': 'daemon',
         **dict.fromkeys(('incoming', 'active', 'deferred', 'bounce',
                          'defer', 'flush', 'hold', 'saved', 'trace',
                          'corrupt', 'private'), 'daemon')}

BOX_UID = 65534         # any but mail_owner's


class Postfix(peer.Peer):
    package = 'postfix'
    wants_group = False
    tls_extra = {}          # more parameters, see break_tls()
    log_socket = None
    log_thread = None

    def prepare(self):
        self.mail = f'{self.dir}/mail'
        self.spool = [f'{self.dir}/spool/{d}'
                      for d in ('incoming', 'active', 'deferred')]
        for d in ('etc', 'spool'):
            os.mkdir(f'{self.dir}/{d}')
        for d in SPOOL:
            os.mkdir(f'{self.dir}/spool/{d}')
        os.mkdir(f'{self.dir}/data')
        os.mkdir(self.mail)
        self.run('chown', 'daemon', f'{self.dir}/data',
                 *[f'{self.dir}/spool/{d}' for d, owner in SPOOL.items()
                   if owner != 'root'])
        self.run('chown', f'{BOX_UID}:{BOX_UID}', self.mail)
        self.run('chgrp', group(), f'{self.dir}/spool/maildrop')
        self.run('chmod', '1777', f'{self.dir}/spool/public')   # start()
        with open(f'{self.dir}/etc/master.cf', 'w', encoding='ascii') as f:
            f.write(MASTER.format(host=self.host, port=self.port))

    def configure(self):
        text = MAIN.format(dir=self.dir, files=self.files, name=self.name,
                           group=group(), box_uid=BOX_UID)
        if self.certificate:
            text += ''.join(
                f'{k} = {v.format(self.certificate)}\n'
                for k, v in {**TLS, **self.tls_extra}.items())
        # Whole or not at all: its processes may start at any time.
        with open(f'{self.dir}/etc/new', 'w', encoding='ascii') as f:
            f.write(text)
        os.rename(f'{self.dir}/etc/new', f'{self.dir}/etc/main.cf')

    def command(self):
        return [f'{self.files}/usr/lib/postfix/sbin/master',
                '-c', f'{self.dir}/etc', '-s']

    def environment(self):
        return {'LD_LIBRARY_PATH': f'{self.files}/usr/lib/postfix:'
                f'{self.files}/usr/lib/x86_64-linux-gnu'}

    def reload(self):
        os.kill(self.process.pid, signal.SIGHUP)

    def start(self):
        # In place of postlogd, which deadlocks now and then when it is
        # reloaded together with many that log.
        log_socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        log_socket.bind(f'{self.dir}/spool/public/postlog')
        os.chmod(f'{self.dir}/spool/public/postlog', 0o666)
        self.log_thread = threading.Thread(target=self._listen, daemon=True,
                                           args=(log_socket,))
        self.log_thread.start()
        self.log_socket = log_socket
        super().start()

    def _listen(self, log_socket):
        while line := log_socket.recv(65536):
            os.write(self.output.fileno(), line.rstrip() + b'\n')

    def stop(self):
        super().stop()
        if self.log_socket:
            self.log_socket.shutdown(socket.SHUT_RDWR)
            self.log_thread.join()
            self.log_socket.close()
            self.log_socket = None

    def break_tls(self, **extra):
        """Offers STARTTLS, but with these parameters in main.cf."""
        self.tls_extra = extra
        self.present(self.certificate)

    def present(self, certificate):
        if certificate != self.certificate:
            self.tls_extra = {}
        super().present(certificate)

    def ready(self):
        """After a reload old processes may answer for a moment."""
        if not super().ready():
            return False
        if self.certificate is None:
            return True
        with open(self.certificate.pem, encoding='ascii') as f:
            wanted = ssl.PEM_cert_to_DER_cert(f.read())
        try:
            return self.presented() == (None if self.tls_extra else wanted)
        except OSError:
            return False

    def presented(self):
        """The certificate seen by a client; None: TLS does not work."""
        with sender.Client(self.host, self.port, 10) as client:
            client.ask('EHLO test.example.com', '250')
            try:
                client.start_tls()
            except (OSError, sender.Refused):
                return None
            return client.socket.getpeercert(True)


def group():
    """A group that exists and that nobody is using."""
    for name in ('voice', 'games', 'tape'):
        try:
            return grp.getgrnam(name).gr_name
        except KeyError:
            pass
    raise RuntimeError('no group for Postfix')
