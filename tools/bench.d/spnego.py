#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kerberos logins over HTTP: a KDC of the benchmark's own, tokens made beforehand, and a client that shows each once.

Run by itself, `spnego.py CACHE NUMBER` prints so many tokens for HTTP@localhost, one a line; that needs python3-gssapi.
"""

import base64
import pathlib
import selectors
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
OPTIONS = "OPTIONS /kms/v1/ HTTP/1.1\r\nHost: localhost\r\n{}\r\n\r\n"


def realm(directory):
    """A started realm with `bench` and a keytab http.keytab, or Skip."""
    sys.path.append(str(HERE.parents[1] / "tests/kerberos"))
    import kdc
    from common import Skip
    try:
        made = kdc.Realm(directory).start()
    except kdc.Missing as why:
        raise Skip(str(why)) from why
    made.add("bench", password="bench")
    made.keytab("http.keytab", "HTTP/localhost")
    return made


def tokens(made, number):
    """New tokens of `bench`, each with an authenticator of its own."""
    from common import Skip
    cache = made.kinit("bench", password="bench")
    for python in (sys.executable, "/usr/bin/python3"):
        done = subprocess.run([python, __file__, cache, str(number)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=made.env(cache), check=False)
        if done.returncode == 0:
            return done.stdout.split()
    raise Skip(f"no tokens: {done.stderr.strip().splitlines()[-1]} (tools/deps test)")


def ask_all(port, headers, connections):
    """Sends OPTIONS once with each header, over connections that are kept. (seconds, answers that were 200)"""
    left, good = [OPTIONS.format(h).encode() for h in reversed(headers)], 0
    waiting = selectors.DefaultSelector()
    for _ in range(min(connections, len(left))):
        s = socket.create_connection(("127.0.0.1", port), 60)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        waiting.register(s, selectors.EVENT_READ)
    began = time.monotonic()
    for key in list(waiting.get_map().values()):
        key.fileobj.sendall(left.pop())
    while waiting.get_map():
        for key, _ in waiting.select(60):
            answer = key.fileobj.recv(65536)        # heads and bodies here are smaller than a segment of the loopback
            if not answer:
                raise RuntimeError("the server closed a connection")
            good += answer.startswith(b"HTTP/1.1 200 ")
            if left:
                key.fileobj.sendall(left.pop())
            else:
                waiting.unregister(key.fileobj)
                key.fileobj.close()
    return time.monotonic() - began, good


def make(cache, number):
    import gssapi
    spnego, flag = gssapi.OID.from_int_seq("1.3.6.1.5.5.2"), gssapi.RequirementFlag
    to = gssapi.Name("HTTP@localhost", gssapi.NameType.hostbased_service)
    creds = gssapi.Credentials(usage="initiate", store={"ccache": f"FILE:{cache}"})
    for _ in range(number):
        context = gssapi.SecurityContext(name=to, creds=creds, mech=spnego, usage="initiate", flags=flag.mutual_authentication)
        print(base64.b64encode(context.step()).decode())


if __name__ == "__main__":
    make(sys.argv[1], int(sys.argv[2]))
