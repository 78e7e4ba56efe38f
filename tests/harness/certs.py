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


def _date(days_from_now):
    then = time.gmtime(time.time() + days_from_now * DAY_S)
    return time.strftime('%Y-%m-%d %H:%M:%S UTC', then)


ECDSA = ('--key-type=ecdsa', '--curve=secp256r1')       # quickly made
RSA = ('--key-type=rsa', '--bits=2048')


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


def _leaf(names, begins, ends, lists=()):
    return (''.join(f'crl_dist_points = "{url}"\n' for url in lists)
            + f'cn = "{names[0]}"\n'
            + ''.join(f'dns_name = "{name}"\n' for name in names)
            + f'activation_date = "{_date(begins)}"\n'
              f'expiration_date = "{_date(ends)}"\n'
              'tls_www_server\ntls_www_client\nsigning_key\n'
              'encryption_key\n')


def self_signed(directory, name):
    return _make(os.path.join(directory, 'self-signed'),
                 _leaf([name], -1, 30), '--generate-self-signed')


class Authority:
    """A certificate authority; `pem` is what to trust.  With an issuer it is
    an intermediate one."""

    def __init__(self, directory, name='ca', issuer=None):
        self.directory = directory
        self.name = name
        how = ['--generate-self-signed'] if issuer is None else [
            '--generate-certificate', '--load-ca-certificate', issuer.pem,
            '--load-ca-privkey', issuer.key]
        self.pem, self.key = _make(
            os.path.join(directory, name),
            f'cn = "{name} of the tests"\nca\ncert_signing_key\n'
            'crl_signing_key\n'
            f'activation_date = "{_date(-60)}"\n'
            f'expiration_date = "{_date(60)}"\n', *how)

    def issue(self, file, *names, begins=-1, ends=30, kind=ECDSA, lists=()):
        """A certificate for names, valid between two days counted from
        now; lists: URLs of its revocation list."""
        return _make(os.path.join(self.directory, f'{self.name}-{file}'),
                     _leaf(names, begins, ends, lists),
                     '--generate-certificate',
                     '--load-ca-certificate', self.pem,
                     '--load-ca-privkey', self.key, kind=kind)

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
                with open(certificate.pem, encoding='ascii') as pem:
                    f.write(pem.read())
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
