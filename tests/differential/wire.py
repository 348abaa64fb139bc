# SPDX-License-Identifier: Apache-2.0
"""A very small HTTP/1.1 client that sends exactly the bytes it is told to.

http.client would add lengths, refuse odd targets and hide reason phrases; here those are the subject of
the test.
"""

import socket
import ssl
from dataclasses import dataclass, field


@dataclass
class Response:
    status: int
    reason: str
    headers: list = field(default_factory=list)     # (name, value) in order, names as sent
    body: bytes = b""

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def first(self, name):
        return next(iter(self.all(name)), None)


class Closed(Exception):
    """The server closed the connection before answering."""


class Connection:
    """One keep-alive connection, reopened when the server has closed it."""

    def __init__(self, host, port, timeout=30, tls=False):
        self.host, self.port, self.timeout = host, port, timeout
        self.tls = None
        if tls:     # who the server is, other tests ask
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE
        self.sock = None
        self.file = None

    def close(self):
        if self.sock:
            self.file.close()
            self.sock.close()
        self.sock = None

    def exchange(self, data, method):
        reused = self.sock is not None
        try:
            return self._once(data, method)
        except (Closed, ConnectionError):
            self.close()
            if not reused:
                raise
            # An idle connection may be dropped at any time; the request was not answered.
            return self._once(data, method)

    def _once(self, data, method):
        if not self.sock:
            self.sock = socket.create_connection((self.host, self.port), self.timeout)
            if self.tls:
                self.sock = self.tls.wrap_socket(self.sock, server_hostname="localhost")
            self.file = self.sock.makefile("rb")
        self.sock.sendall(data)
        response = self._read(method)
        while response.status == 100:
            response = self._read(method)
        if (response.first("Connection") or "").lower() == "close":
            self.close()
        return response

    def _line(self):
        line = self.file.readline(65536)
        if not line:
            raise Closed("connection closed by the server")
        return line.decode("latin-1").rstrip("\r\n")

    def _read(self, method):
        version, status, *reason = self._line().split(" ", 2)
        if not version.startswith("HTTP/1."):
            raise ValueError(f"not an HTTP status line: {version}")
        response = Response(int(status), reason[0] if reason else "")
        while line := self._line():
            name, _, value = line.partition(":")
            response.headers.append((name, value.strip()))
        if method == "HEAD" or response.status in (100, 204, 304):
            return response
        if (response.first("Transfer-Encoding") or "").lower() == "chunked":
            response.body = self._chunks()
        elif (length := response.first("Content-Length")) is not None:
            response.body = self.file.read(int(length))
        else:
            response.body = self.file.read()
            self.close()
        return response

    def _chunks(self):
        parts = []
        while size := int(self._line().split(";")[0], 16):
            parts.append(self.file.read(size))
            self._line()
        while self._line():
            pass
        return b"".join(parts)
