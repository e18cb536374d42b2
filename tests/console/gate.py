"""A proxy before the server that wants a token, as a server with authentication does, and that can cut
streams off."""

import threading
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# Headers that are of one connection, or name it.
OWN = {"host", "origin", "connection", "transfer-encoding", "content-length", "keep-alive"}


class Gate(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, upstream, token):
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = urlsplit(upstream).netloc
        self.token = token
        # How many of the next streams end after their first piece.
        self.cuts = 0
        # What was asked for, and behind which event a stream was to go on.
        self.resumed = []
        self.denied = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        allowed = f"Bearer {self.server.token}"
        is_open = self.path.startswith("/console")
        if not is_open and self.headers.get("authorization") != allowed:
            self.server.denied.append(self.path)
            self.send_response(401)
            self.send_header("www-authenticate", "Bearer")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        if self.path.endswith("/stream") or "/stream?" in self.path:
            self.server.resumed.append(self.headers.get("last-event-id"))
        upstream = HTTPConnection(self.server.upstream, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in OWN}
        upstream.request(self.command, self.path, body or None, headers)
        got = upstream.getresponse()
        self.close_connection = True
        self.send_response(got.status)
        for name, value in got.getheaders():
            if name.lower() not in OWN:
                self.send_header(name, value)
        self.send_header("connection", "close")
        self.end_headers()
        is_stream = got.getheader("content-type") == "text/event-stream"
        while piece := got.read1(65536):
            self.wfile.write(piece)
            self.wfile.flush()
            if is_stream and self.server.cuts > 0:
                self.server.cuts -= 1
                break
        upstream.close()

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def handle(self):
        # A browser that goes away is no fault.
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            pass


@contextmanager
def gate(upstream, token):
    server = Gate(upstream, token)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
