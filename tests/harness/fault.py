# SPDX-License-Identifier: ISC
"""fault - a disk that falls ill when it is told to."""

import os
import subprocess


class Disk:
    """Give `environment` to the process that is to suffer from it; directory
    is one that nobody else writes to."""

    def __init__(self, directory):
        self.directory = directory
        library = f'{directory}/disk_fault.so'
        subprocess.run(
            [os.environ.get('CC', 'cc'), '-shared', '-fPIC', '-D_GNU_SOURCE',
             '-o', library, os.path.join(os.path.dirname(
                 os.path.abspath(__file__)), 'disk_fault.c'), '-ldl'],
            check=True)
        self.environment = {
            'LD_PRELOAD': library, 'DISK_FAULT': directory,
            # The sanitizer wants to be the first library.
            'ASAN_OPTIONS': 'verify_asan_link_order=0:'
                            + os.environ.get('ASAN_OPTIONS', '')}

    def refuse_sync(self):
        self._begin('sync')

    def be_full(self):
        """It is asked once a second."""
        self._begin('full')

    def have_no_room(self):
        """It is full to the last byte: its files cannot grow."""
        self._begin('room')

    def lose_the_root(self):
        """Of the queue: LMDB cannot say what is true."""
        self._begin('root')

    def _begin(self, name):
        with open(f'{self.directory}/{name}', 'w', encoding='ascii'):
            pass

    def recover(self):
        for name in ('sync', 'full', 'room', 'root'):
            if os.path.exists(f'{self.directory}/{name}'):
                os.unlink(f'{self.directory}/{name}')
