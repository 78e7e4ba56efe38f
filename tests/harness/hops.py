# SPDX-License-Identifier: ISC
"""hops - the real mail servers again, each listening on many ports, and on
each port without some of its extensions."""

import itertools

from . import exim, net, opensmtpd, postfix, sender


def subsets(words):
    return [frozenset(c) for n in range(len(words) + 1)
            for c in itertools.combinations(words, n)]


class Hop:
    """ports: a port for each combination of extensions (as EHLO names them)
    that are hidden there."""

    hideable = ()
    alone = ()              # hidden alone, and together with all the others

    def give_ports(self):
        every = (*self.hideable, *self.alone)
        self.ports = {hidden: net.free_port() for hidden in (
            *subsets(self.hideable), *map(frozenset, zip(self.alone)),
            frozenset(every))}

    def offers(self, port):
        """What EHLO is answered."""
        with sender.Client(self.host, port) as client:
            reply = client.ask('EHLO test.example.com', '250')
            client.ask('QUIT', '221')
        return {line[4:].split(' ')[0].upper()
                for line in reply.splitlines()[1:]}


class Postfix(Hop, postfix.Postfix):
    hideable = ('PIPELINING', 'SIZE', '8BITMIME', 'DSN', 'SMTPUTF8',
                'CHUNKING', 'STARTTLS')
    # Changes nothing that is said to it.
    alone = ('ENHANCEDSTATUSCODES',)

    def prepare(self):
        super().prepare()
        self.give_ports()
        with open(f'{self.dir}/etc/master.cf', 'a', encoding='ascii') as f:
            for hidden, port in self.ports.items():
                words = ','.join(sorted(hidden)) or 'none'
                # Idle processes go soon: there are hundreds.
                f.write(f'{self.host}:{port} inet n - n - 5 smtpd '
                        f'-o smtpd_discard_ehlo_keywords={words} '
                        '-o max_idle=3s\n')

    def configure(self):
        super().configure()
        with open(f'{self.dir}/etc/main.cf', 'a', encoding='ascii') as f:
            f.write('virtual_mailbox_domains = static:all\n')


class Exim(Hop, exim.Exim):
    switches = {'PIPELINING': 'pipelining_advertise_hosts',
                'CHUNKING': 'chunking_advertise_hosts',
                'DSN': 'dsn_advertise_hosts',
                'SMTPUTF8': 'smtputf8_advertise_hosts',
                'STARTTLS': 'tls_advertise_hosts'}
    hideable = tuple(switches)

    def prepare(self):
        super().prepare()
        self.give_ports()

    def configure(self):
        super().configure()
        path = f'{self.jail.path}/etc/exim4/exim4.conf'
        with open(path, encoding='ascii') as f:
            text = f.read()
        text = text.replace('tls_advertise_hosts = *\n', '').replace(
            f'daemon_smtp_ports = {self.port}\n', self.options())
        self.jail.write('etc/exim4/exim4.conf', text)

    def options(self):
        """Lists of hosts are expanded when a client is there."""
        ports = ' : '.join(str(p) for p in (self.port, *self.ports.values()))
        text = f'daemon_smtp_ports = {ports}\n'
        for word in self.hideable:
            hidden = ':'.join(str(port) for hidden, port in self.ports.items()
                              if word in hidden)
            text += (f'{self.switches[word]} = ${{if inlist{{$received_port}}'
                     f'{{{hidden}}}{{}}{{*}}}}\n')
        return text


class OpenSmtpd(Hop, opensmtpd.OpenSmtpd):
    hideable = ('DSN', 'STARTTLS')

    def prepare(self):
        super().prepare()
        self.give_ports()

    def configure(self):
        super().configure()
        path = f'{self.jail.path}/etc/smtpd.conf'
        with open(path, encoding='ascii') as f:
            text = f.read()
        for hidden, port in self.ports.items():
            tls = '' if 'STARTTLS' in hidden else f'tls pki {self.name}'
            dsn = 'no-dsn' if 'DSN' in hidden else ''
            text = text.replace(
                'action "box"', f'listen on {self.host} port {port} hostname '
                f'{self.name} {tls} {dsn}\naction "box"', 1)
        self.jail.write('etc/smtpd.conf', text)
