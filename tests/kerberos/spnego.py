#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The initiator's half of `Authorization: Negotiate`, by MIT's GSS library, and credential caches with other times.

`spnego.py TARGET` prints one token for the cache in $KRB5CCNAME: for clients that live with another clock.
`spnego.py --serve` is for programs whose Python does not know GSS: see serve().
"""

import base64
import glob
import json
import os
import subprocess
import sys

import gssapi

SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
KRB5 = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2")
Flag = gssapi.RequirementFlag
MUTUAL = Flag.mutual_authentication | Flag.out_of_sequence_detection


class Context:
    """One attempt to log in to `target` (service@host, or a principal with a slash)."""

    def __init__(self, cache, target="HTTP@localhost", mech=SPNEGO, flags=MUTUAL):
        kind = gssapi.NameType.hostbased_service if "@" in target and "/" not in target else gssapi.NameType.kerberos_principal
        creds = gssapi.Credentials(usage="initiate", store={"ccache": f"FILE:{cache}"})
        self.gss = gssapi.SecurityContext(name=gssapi.Name(target, kind), creds=creds, mech=mech, usage="initiate",
                                          flags=flags)
        self.token = self.gss.step()

    @property
    def header(self):
        return "Negotiate " + base64.b64encode(self.token).decode()

    def finish(self, answer):
        """Checks what the server answered; True if that proves the server."""
        scheme, _, text = (answer or "").partition(" ")
        if scheme != "Negotiate" or not text:
            return False
        try:
            self.gss.step(base64.b64decode(text))
            return self.gss.complete    # an error of the step may show only here
        except gssapi.exceptions.GSSError:
            return False


def faked(offset):
    """Environment for a program whose clock is off, such as "-2h"; None without libfaketime."""
    found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    return {"LD_PRELOAD": found[0], "FAKETIME": offset, "FAKETIME_NO_CACHE": "1"} if found else None


def token_at(realm, cache, offset, target="HTTP@localhost"):
    """The header that a client with another clock sends."""
    done = subprocess.run([sys.executable, os.path.abspath(__file__), target], capture_output=True, text=True,
                          env={**realm.env(cache), **faked(offset)}, check=False)
    if done.returncode:
        raise RuntimeError(f"no token at {offset}: {done.stderr[-400:]}")
    return "Negotiate " + done.stdout.strip()


# --- credential caches: the times in them are the client's notes, the ticket has its own -------------------------------

class _Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, size):
        self.at += size
        return int.from_bytes(self.data[self.at - size:self.at], "big")

    def skip(self, size):
        self.at += size

    def counted(self):
        self.skip(self.number(4))

    def principal(self):
        self.skip(4)
        parts = self.number(4)
        for _ in range(parts + 1):      # the realm comes first
            self.counted()

    def pairs(self):
        for _ in range(self.number(4)):
            self.skip(2)
            self.counted()


def shift_cache(path, seconds):
    """Makes a client believe that all its tickets were issued, and end, so many seconds later than they do."""
    data = bytearray(open(path, "rb").read())
    c = _Cursor(bytes(data))
    if c.number(2) != 0x0504:
        raise RuntimeError("not a credential cache of version 4")
    c.skip(c.number(2))
    c.principal()
    while c.at < len(data):
        c.principal()
        c.principal()
        c.skip(2)               # kind of the session key
        c.counted()
        for at in range(c.at, c.at + 16, 4):
            value = int.from_bytes(data[at:at + 4], "big")
            if value:
                data[at:at + 4] = (value + seconds).to_bytes(4, "big")
        c.skip(16 + 1 + 4)
        c.pairs()
        c.pairs()
        c.counted()
        c.counted()
    with open(path, "wb") as out:
        out.write(data)


def serve():
    """
    Answers JSON lines with JSON lines: {"conf", "cache", "target", "raw"} with {"token", "id"}, the token in Base64; and
    {"id", "answer"}, the server's WWW-Authenticate, with {"proven": whether it proves the server}.
    """
    contexts = []
    for line in sys.stdin:
        ask = json.loads(line)
        if "answer" in ask:
            answer = {"proven": contexts[ask["id"]].finish(ask["answer"])}
        else:
            os.environ["KRB5_CONFIG"] = ask["conf"]
            contexts.append(Context(ask["cache"], ask["target"], KRB5 if ask["raw"] else SPNEGO))
            answer = {"token": base64.b64encode(contexts[-1].token).decode(), "id": len(contexts) - 1}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve()
    else:
        print(base64.b64encode(Context(os.environ["KRB5CCNAME"].partition(":")[2], sys.argv[1]).token).decode())
