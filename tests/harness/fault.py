# SPDX-License-Identifier: ISC
"""fault - a disk that falls ill, and a clock that runs ahead, when they are
told to.  Give `environment` to the process that is to suffer from it."""

import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def preload(name, directory):
    """Builds name.c in directory; the variables that preload it."""
    library = f'{directory}/{name}.so'
    subprocess.run(
        [os.environ.get('CC', 'cc'), '-shared', '-fPIC', '-D_GNU_SOURCE',
         '-o', library, f'{HERE}/{name}.c', '-ldl'], check=True)
    return {'LD_PRELOAD': library,
            # The sanitizer wants to be the first library.
            'ASAN_OPTIONS': 'verify_asan_link_order=0:'
                            + os.environ.get('ASAN_OPTIONS', '')}


class Disk:
    """directory is one that nobody else writes to."""

    def __init__(self, directory):
        self.directory = directory
        self.environment = {**preload('disk_fault', directory),
                            'DISK_FAULT': directory}

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


class Clock:
    """The monotonic one, and the one on the wall: who waits is not woken by
    them, but finds, when he looks again, what the time is."""

    def __init__(self, directory):
        self.path = f'{directory}/ahead'
        self.environment = {**preload('clock_fault', directory),
                            'CLOCK_FAULT': self.path}

    def run_ahead(self, seconds):
        self._set(self.path, seconds)

    def set_wall(self, seconds):
        """The wall clock, which people see: so much ahead of the true time,
        or behind it."""
        self._set(self.path + '.wall', seconds)

    @staticmethod
    def _set(path, seconds):
        with open(path + '.new', 'w', encoding='ascii') as f:
            f.write(f'{seconds}\n')
        os.rename(path + '.new', path)
