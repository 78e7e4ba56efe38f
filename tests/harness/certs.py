# SPDX-License-Identifier: ISC
"""certs - certificate authorities and certificates, good and bad, made by
GnuTLS' certtool."""

import collections
import os
import re
import ssl
import subprocess
import time

Certificate = collections.namedtuple('Certificate', 'pem key')

DAY_S = 86400
_serial = [int(time.time() * 1000)]


def _certtool(*args):
    done = subprocess.run(('certtool', *args), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f'certtool {" ".join(args)}: {done.stdout}')
    return done.stdout


def der(pem):
    """The first certificate of a PEM file."""
    with open(pem, encoding='ascii') as f:
        begin, end = '-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----'
        text = f.read()
    text = text[text.index(begin):text.index(end) + len(end)]
    return ssl.PEM_cert_to_DER_cert(text)


def serial(pem):
    """Its serial number in hexadecimal, without leading zeros."""
    text = _certtool('--certificate-info', '--infile', pem)
    found = re.search(r'Serial Number \(hex\): ([0-9a-f]+)', text).group(1)
    return found.lstrip('0')


def pin(pem):
    """The SHA-256 of the key of the first certificate of a PEM file."""
    text = _certtool('--key-id', '--hash', 'SHA256', '--infile', pem)
    return 'sha256:' + text.split()[-1].removeprefix('sha256:')


def _date(days_from_now):
    then = time.gmtime(time.time() + days_from_now * DAY_S)
    return time.strftime('%Y-%m-%d %H:%M:%S UTC', then)


ECDSA = ('--key-type=ecdsa', '--curve=secp256r1')       # quickly made
RSA = ('--key-type=rsa', '--bits=2048')
WEAK_RSA = ('--key-type=rsa', '--bits=1024')
USES = ('tls_www_server', 'tls_www_client')
OF_AUTHORITY = ('ca', 'cert_signing_key', 'crl_signing_key')


def _make(base, template, *how, kind=ECDSA):
    """Makes base.key, and base.pem by certtool's options `how`."""
    _serial[0] += 1
    with open(base + '.tmpl', 'w', encoding='ascii') as f:
        f.write(f'serial = {_serial[0]}\n{template}')
    _certtool('--generate-privkey', *kind, '--outfile', base + '.key')
    _certtool(*how, '--load-privkey', base + '.key',
              '--template', base + '.tmpl', '--outfile', base + '.pem')
    os.chmod(base + '.key', 0o644)      # read by daemons without root
    return Certificate(base + '.pem', base + '.key')


def _leaf(names, begins, ends, lists=(), *, common_name=None, addresses=(),
          uses=USES):
    return (''.join(f'crl_dist_points = "{url}"\n' for url in lists)
            + f'cn = "{common_name or names[0]}"\n'
            + ''.join(f'dns_name = "{name}"\n' for name in names)
            + ''.join(f'ip_address = "{ip}"\n' for ip in addresses)
            + f'activation_date = "{_date(begins)}"\n'
              f'expiration_date = "{_date(ends)}"\n'
            + ''.join(f'{use}\n' for use in uses)
            + 'signing_key\nencryption_key\n')


def self_signed(directory, name):
    return _make(os.path.join(directory, 'self-signed'),
                 _leaf([name], -1, 30), '--generate-self-signed')


class Authority:
    """A certificate authority; `pem` is what to trust.

    issuer: the authority that certifies this one, an intermediate then;
    limits: lines of certtool's template in place of those that make an
    authority of it; lists: URLs of its issuer's revocation list."""

    def __init__(self, directory, name='ca', issuer=None, *,
                 limits=OF_AUTHORITY, begins=-60, ends=60, lists=()):
        self.directory = directory
        self.name = name
        template = (f'cn = "{name} of the tests"\n'
                    + ''.join(f'{line}\n' for line in limits)
                    + ''.join(f'crl_dist_points = "{url}"\n'
                              for url in lists)
                    + f'activation_date = "{_date(begins)}"\n'
                      f'expiration_date = "{_date(ends)}"\n')
        how = issuer._signing() if issuer else ('--generate-self-signed',)
        self.pem, self.key = _make(os.path.join(directory, name), template,
                                   *how)
        self.chain = [self.pem, *issuer.chain] if issuer else []

    def _signing(self):
        return ('--generate-certificate', '--load-ca-certificate', self.pem,
                '--load-ca-privkey', self.key)

    def issue(self, file, *names, begins=-1, ends=30, kind=ECDSA, lists=(),
              digest='SHA256', alone=False, **more):
        """A certificate for names, valid between two days counted from
        now; lists: URLs of its revocation list; alone: its file is without
        the intermediates; more: see _leaf()."""
        made = _make(os.path.join(self.directory, f'{self.name}-{file}'),
                     _leaf(names, begins, ends, lists, **more),
                     *self._signing(), '--hash', digest, kind=kind)
        with open(made.pem, 'a', encoding='ascii') as f:
            for pem in [] if alone else self.chain:
                with open(pem, encoding='ascii') as part:
                    f.write(part.read())
        return made

    def revoke(self, *revoked, begins=-1, ends=30, form='der'):
        """The bytes of a list of these certificates that are revoked."""
        _serial[0] += 1
        base = os.path.join(self.directory, f'{self.name}-list')
        with open(base + '.tmpl', 'w', encoding='ascii') as f:
            f.write(f'crl_number = {_serial[0]}\n'
                    f'crl_this_update_date = "{_date(begins)}"\n'
                    f'crl_next_update_date = "{_date(ends)}"\n')
        with open(base + '.revoked', 'w', encoding='ascii') as f:
            for certificate in revoked:
                f.write(ssl.DER_cert_to_PEM_cert(der(certificate.pem)))
        _certtool('--generate-crl', '--load-ca-certificate', self.pem,
                  '--load-ca-privkey', self.key, '--template',
                  base + '.tmpl', '--outfile', base,
                  *(['--load-certificate', base + '.revoked'] if revoked
                    else []), *(['--outder'] if form == 'der' else []))
        with open(base, 'rb') as f:
            return f.read()


class Assortment:
    """One certificate of each kind for a host called name."""

    def __init__(self, directory, name):
        self.ca = ca = Authority(directory, 'ca')
        self.trusted = ca.pem
        self.good = ca.issue('good', name)
        self.expired = ca.issue('expired', name, begins=-30, ends=-1 / 24)
        self.not_yet_valid = ca.issue('early', name, begins=1)
        self.wrong_name = ca.issue('other', 'other.example.org')
        self.untrusted = Authority(directory, 'strange-ca').issue('good',
                                                                  name)
        self.self_signed = self_signed(directory, name)
