# SPDX-License-Identifier: ISC
"""Revocation at a real Postfix: its certificate is revoked, and replaced; or
nobody can tell, because the server of the lists is gone, and comes back."""

import unittest

import story
from harness.lists import Lists
from harness.relay import trust

SOME = 200


class Revocation(story.Story):
    # Nothing but what a test does may help.
    queue = {'probe': '1h', 'retry': ['1h']}
    crl = 'require'

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lists = Lists()
        cls.addClassCleanup(cls.lists.close)
        cls.url = cls.lists.url('/ca.crl')
        cls.listed = cls.certs.ca.issue('listed', story.NAME,
                                        lists=[cls.url])
        cls.successor = cls.certs.ca.issue('successor', story.NAME,
                                           lists=[cls.url])

    def sections(self, **options):
        return (trust('ours', self.certs.trusted, crl=self.crl),
                *super().sections(**options)[1:])


class Revoked(Revocation):

    def test_replaced(self):
        self.lists.put('/ca.crl', self.certs.ca.revoke(self.listed))
        self.peer.present(self.listed)
        self.defer(SOME, 'tls-cert-revoked')
        self.peer.present(self.successor)
        self.assertEqual(self.resubmit(), SOME)
        self.check_books()
        self.tap.assert_nothing_leaked()
        self.end()


class Unreachable(Revocation):
    queue = {'probe': '1s', 'retry': ['1h']}

    def test_comes_back(self):
        """No command is given: the mail goes by itself."""
        self.lists.put('/ca.crl', self.certs.ca.revoke())
        self.lists.close()
        self.peer.present(self.successor)
        self.defer(SOME, 'tls-crl-unavailable')
        row, = self.relay.summary()
        self.assertIn(f'{self.url}: Connection refused', row['reply'])
        self.lists.open()
        self.check_books()
        self.tap.assert_nothing_leaked()
        self.end()


if __name__ == '__main__':
    unittest.main()
