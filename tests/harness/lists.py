# SPDX-License-Identifier: ISC
"""lists - an HTTP server for revocation lists, and one that has better things
to say."""

import http.server
import threading

from . import net


class Lists:
    """Serves what is in `pages`: a path -> bytes, a status, or the location
    of a redirect; may be changed at any time.  While it is closed nobody
    listens at its port."""

    def __init__(self, start=True):
        self.host = net.own_host()
        self.port = net.free_port(self.host)
        self.pages = {}
        self.asked = []                 # paths, in order
        self.server = None
        if start:
            self.open()

    def url(self, path):
        return f'http://{self.host}:{self.port}{path}'

    def put(self, path, page):
        self.pages[path] = page
        return self.url(path)

    def open(self):
        lists = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                lists.asked.append(self.path)
                page = lists.pages.get(self.path, 404)
                status = page if isinstance(page, int) else 200
                body = page if isinstance(page, bytes) else b''
                if isinstance(page, str):
                    status = 302
                self.send_response(status)
                if isinstance(page, str):
                    self.send_header('Location', page)
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((self.host, self.port),
                                                      Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,),
                         daemon=True).start()

    def close(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
