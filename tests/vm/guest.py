# SPDX-License-Identifier: Apache-2.0
"""Talks to the agent in a VM (agent.c): runs scripts there as root, brings files, fetches files."""
import shlex
import socket
import struct
import sys

PORT = 99


class Gone(Exception):
    """The agent hung up before the script had ended: the VM is not well."""


class Guest:
    def __init__(self, port, timeout=60):
        self.port, self.timeout = port, timeout

    def start(self, script, stdin=b"", timeout=None):
        """A script that runs; see Running."""
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=timeout or self.timeout)
        text = script.encode()
        sock.sendall(struct.pack("<IQ", len(text), len(stdin)) + text)
        return Running(sock, stdin)

    def run(self, script, stdin=b"", timeout=None):
        """Exit code (a negative one is a signal), output, errors."""
        out, err = [], []
        with self.start(script, stdin, timeout) as r:
            for kind, data in r.frames():
                (out if kind == 1 else err).append(data)
            return r.code, b"".join(out), b"".join(err)

    def sh(self, script, stdin=b"", timeout=None):
        """Output, as text; the script must succeed."""
        code, out, err = self.run(script, stdin, timeout)
        if code:
            raise AssertionError(f"in the VM: {script[:300]!r} ended with {code}: {out[-1000:]!r} {err[-1000:]!r}")
        return out.decode("utf-8", "replace")

    def put(self, path, data, mode=0o600):
        q = shlex.quote(path)
        self.sh(f"cat >{q}.new && chmod {mode:o} {q}.new && mv {q}.new {q}", data)

    def get(self, path):
        code, out, err = self.run(f"cat {shlex.quote(path)}")
        if code:
            raise AssertionError(f"in the VM: {path}: {err!r}")
        return out

    def answers(self):
        try:
            return self.run("exit 7", timeout=5)[0] == 7
        except (OSError, Gone):
            return False


class Running:
    def __init__(self, sock, stdin):
        self.sock, self.code, self.pid = sock, None, None
        self.file = sock.makefile("rb")
        if stdin:
            sock.sendall(stdin)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Hanging up ends what still runs."""
        self.file.close()
        self.sock.close()

    def frame(self):
        head = self.file.read(5)
        if len(head) < 5:
            raise Gone("the agent hung up")
        kind, length = struct.unpack("<BI", head)
        data = self.file.read(length)
        if len(data) < length:
            raise Gone("the agent hung up")
        return kind, data

    def frames(self):
        """(1 or 2, bytes) for output and errors; afterwards code is set."""
        while True:
            kind, data = self.frame()
            if kind == 0:
                self.code = struct.unpack("<i", data)[0]
                return
            if kind == 3:
                self.pid = struct.unpack("<i", data)[0]
            else:
                yield kind, data


if __name__ == "__main__":      # guest.py PORT SCRIPT
    code, out, err = Guest(int(sys.argv[1])).run(sys.argv[2], timeout=600)
    sys.stdout.buffer.write(out)
    sys.stderr.buffer.write(err)
    sys.exit(code if code >= 0 else 128 - code)
