# SPDX-License-Identifier: ISC
"""net - loopback addresses of our own, and waiting for things to happen."""

import os
import socket
import tempfile
import time


def own_host():
    """A loopback address that no other test process uses, so that a port
    found free stays free until somebody we started binds it."""
    pid = os.getpid()
    return f'127.{64 + (pid >> 16) % 64}.{(pid >> 8) & 255}.{pid & 255}'


_given = set()


def free_port(host=None):
    """A port that nobody listens on at host, never the same one twice."""
    while True:
        with socket.socket() as s:
            s.bind((host or own_host(), 0))
            port = s.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def temp_dir(what):
    """A new directory that daemons without root can enter."""
    path = tempfile.mkdtemp(prefix=what + '-')
    os.chmod(path, 0o755)
    return path


class TimedOut(AssertionError):
    pass


def wait_for(what, condition, timeout_s=60, pause_s=0.05):
    """Polls condition() until it is true, and returns what it returned."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimedOut(f'not within {timeout_s} s: {what}')
        time.sleep(pause_s)
