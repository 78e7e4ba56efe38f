# SPDX-License-Identifier: ISC
"""desk - where an operator sits: the queue's scene, with a next hop that
refuses for now, and words for what its tests ask."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), 'queue'))

# The path comes first.
import scene                                     # noqa: E402
from scene import net                            # noqa: E402,F401


class Desk(scene.Scene):
    queue = {'retry': ['1h'], 'keep_expired': '1d'}

    def ask(self, *args, **options):
        """The one object that a command answers with."""
        row, = self.relay.ctl_json(*args, **options)
        return row

    def changed(self, *args):
        """A verb that changes mail: (messages, recipients)."""
        row = self.ask(*args)
        return row['messages'], row['recipients']

    def defer(self, n, **options):
        self.refuse_all()
        sent = self.send(n, **options)
        rcpts = len(options.get('recipients', ('',)))
        self.relay.wait_deferred(n * rcpts, 'peer-deferred')
        return sent

    def restart(self):
        self.relay.kill()
        self.relay.start()
