# SPDX-License-Identifier: ISC
"""scripted - a server that answers each command with the line it was given,
as servers and firewalls do that have no better answer."""

import socket
import threading

from harness import net


class Scripted:
    """replies: by verb; lines are joined by LF in the script and by CRLF on
    the wire.  What is not in it gets a 500."""

    def __init__(self, banner, **replies):
        self.banner = banner
        self.replies = {'QUIT': '221 2.0.0 Bye', **replies}
        self.heard = []
        self.host = net.own_host()
        self.socket = socket.create_server((self.host, 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            with client:
                try:
                    self._serve(client)
                except OSError:
                    pass

    def _serve(self, client):
        client.settimeout(30)
        self._say(client, self.banner)
        if not self.banner.startswith('2'):
            return
        with client.makefile('rb') as file:
            for line in file:
                words = line.decode('latin-1').split()
                verb = words[0].upper() if words else ''
                self.heard.append(verb)
                self._say(client, self.replies.get(verb, '500 5.5.1 What?'))
                if verb == 'QUIT':
                    return

    @staticmethod
    def _say(client, reply):
        client.sendall(reply.replace('\n', '\r\n').encode() + b'\r\n')
