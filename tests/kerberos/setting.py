# SPDX-License-Identifier: Apache-2.0
"""What the tests of this folder share: one KDC with a second, foreign one; servers that trust the first.

SVSM_KERBEROS_AGAINST=reference puts the real Hadoop KMS in place of ours: that checks the tests.
"""

import atexit
import functools
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent

import kdc  # noqa: E402
import kms  # noqa: E402
import spnego  # noqa: E402
import wire  # noqa: E402
from kms import Skip, equal, expect, fresh_dir  # noqa: E402

REFERENCE = os.environ.get("SVSM_KERBEROS_AGAINST") == "reference"
USERS = ("alice", "bob", "carol", "proxy", "hdfs/nn.example.com", "alice/admin")
PASSWORD = "not-a-secret"
NAMES = "/kms/v1/keys/names"
COOKIE = re.compile(r'hadoop\.auth="u=([^&]*)&p=([^&]*)&t=([^&]*)&e=(\d+)&s=[A-Za-z0-9+/]{43}="; HttpOnly')
KIND = {"aes256-sha1": "aes256-cts-hmac-sha1-96", "aes128-sha1": "aes128-cts-hmac-sha1-96",
        "aes256-sha2": "aes256-cts-hmac-sha384-192", "aes128-sha2": "aes128-cts-hmac-sha256-128", "rc4": "arcfour-hmac"}


# --- realms ----------------------------------------------------------------------------------------

@functools.cache
def realm():
    made = kdc.Realm(fresh_dir("realm"), "EXAMPLE.COM").start()
    atexit.register(made.stop)
    made.add(*USERS, password=PASSWORD)
    made.keytab("http.keytab", "HTTP/localhost", "HTTP/other.example.com")
    made.add("HTTP/elsewhere.example.com")
    made.keytab("kms.keytab", "kms/localhost")
    return made


@functools.cache
def foreign():
    """A realm that nobody here trusts, with principals of the same names."""
    made = kdc.Realm(fresh_dir("foreign"), "OTHER.TEST").start()
    atexit.register(made.stop)
    made.add("alice", password=PASSWORD)
    made.add("HTTP/localhost")
    return made


@functools.cache
def cache(user, where=None):
    return (where or realm()).kinit(user, password=PASSWORD)


def login(user="alice", target="HTTP@localhost", where=None, credentials=None, conf=None, **more):
    """A context with its token, for one handshake."""
    where = where or realm()
    os.environ.update(where.env(conf=conf))
    return spnego.Context(credentials or cache(user, where), target, **more)


# --- servers ---------------------------------------------------------------------------------------

AUTH = "hadoop.kms.authentication."


def secure_site(keytab=None, principal="HTTP/localhost", **more):
    return {AUTH + "type": "kerberos", AUTH + "kerberos.keytab": keytab or str(realm().dir / "http.keytab"),
            AUTH + "kerberos.principal": principal, AUTH + "kerberos.name.rules": "DEFAULT",
            **{name.replace("__", "."): value for name, value in more.items()}}


class Talk:
    """Asks a server, byte by byte, with or without a connection that is kept."""

    port = None

    def ask(self, method="GET", path=NAMES, headers=None, body=None, connection=None):
        lines = [f"{method} {path} HTTP/1.1", f"Host: localhost:{self.port}", "Accept: */*"]
        lines += [f"{n}: {v}" for n, v in (headers or {}).items()]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        data = "\r\n".join(lines + ["", ""]).encode("latin-1") + (body or b"")
        own = connection or wire.Connection("127.0.0.1", self.port, 30 * kms.SLOW)
        try:
            return own.exchange(data, method)
        finally:
            if not connection:
                own.close()

    def negotiate(self, context_or_header, method="GET", path=NAMES, headers=None, **more):
        text = getattr(context_or_header, "header", context_or_header)
        return self.ask(method, path, {"Authorization": text, **(headers or {})}, **more)

    def by_cookie(self, cookie, path=NAMES, method="GET"):
        return self.ask(method, path, {"Cookie": f"hadoop.auth={cookie}"})

    def log_in(self, user="alice", **more):
        """The cookie of a user who logs in as Hadoop's client does."""
        context = login(user, **more)
        answer = self.negotiate(context, "OPTIONS", "/kms/v1/")
        equal(answer.status, 200, f"{answer}")
        expect(context.finish(answer.first("WWW-Authenticate")), "the server does not prove itself")
        return cookie_of(answer)[0]


class Ours(kms.Server, Talk):
    def __init__(self, site=None, **more):
        super().__init__(site=site or secure_site(), env={"KRB5_CONFIG": str(realm().conf)}, **more)

    def restart_service(self):
        """Kills the trusted program; returns when another is there and has its records."""
        self.kill_service()
        kms.wait_for(lambda: "is back" in self.log())
        kms.wait_for(lambda: self.call("GET", "/health", user=None).json().get("store") == "ready")


class Reference(Talk):
    """The real Hadoop KMS, as far as these tests use a server."""

    def __init__(self, site=None, acls=None, core=None, conf=None, **_):
        self.dir = fresh_dir("reference")
        self.conf = conf or kms.conf_dir(site or secure_site(), acls, core)
        self.port = kdc.free_port()
        self.log_path = os.path.join(self.dir, "output")
        self.process = None
        self.start()

    def start(self):
        argv = [str(HERE.parent / "reference" / "reference-kms"), "run", "--conf", self.conf, "--data", self.dir,
                "--listen", f"127.0.0.1:{self.port}", "--java-option=-Djdk.jceks.iterationCount=10000",
                f"--java-option=-Djava.security.krb5.conf={realm().conf}"]
        with open(self.log_path, "ab") as out:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        atexit.register(self.process.kill)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Skip("the reference does not run: " + self.log()[-300:])
            try:
                self.ask("OPTIONS", "/kms/v1/")
                return
            except ValueError:      # it answers, in TLS
                return
            except (OSError, wire.Closed):
                time.sleep(0.2)
        raise Skip("the reference does not answer")

    def audit(self):
        return pathlib.Path(self.dir, "logs", "kms-audit.log").read_text(errors="replace")

    def log(self):
        return pathlib.Path(self.log_path).read_text(errors="replace")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@functools.cache
def reference(site):
    return Reference(dict(site))


def server(site=None, **more):
    """A server for a `with`. Ours is new each time; the reference, slow to start, lives for all tests of a configuration."""
    if not REFERENCE:
        return Ours(site, **more)
    if "conf" in more:
        return Reference(**more)
    return reference(tuple((site or secure_site()).items()))


def ours_only():
    if REFERENCE:
        raise Skip("of ours only")


# --- what is expected ------------------------------------------------------------------------------

def cookie_of(answer):
    """The signed text and its parts (user, principal, type, expiry) of the cookie that an answer sets."""
    found = [COOKIE.fullmatch(v) for v in answer.all("Set-Cookie")]
    expect(len(found) == 1 and found[0], lambda: f"not one proper cookie: {answer.all('Set-Cookie')}")
    return answer.first("Set-Cookie").split('"')[1], found[0].groups()


def accepted(answer, user="alice", principal="alice@EXAMPLE.COM", status=200):
    equal(answer.status, status, f"{answer.status} {answer.reason} {answer.body[:300]}")
    text, (u, p, kind, _) = cookie_of(answer)
    equal((u, p, kind), (user, principal, "kerberos-dt"))
    return text


def refused(answer, *words, status=403):
    """A refused handshake: no cookie but the one that clears, nothing about Negotiate, a reason on one line."""
    equal(answer.status, status, f"{answer.reason} {answer.body[:200]}")
    equal(answer.all("Set-Cookie"), ["hadoop.auth=; HttpOnly"])
    equal(answer.all("WWW-Authenticate"), ["Negotiate"] if status == 401 else [])
    expect(answer.reason and answer.reason not in ("OK", "Forbidden"), f"the reason says nothing: {answer.reason!r}")
    for word in words:
        expect(word.lower() in answer.reason.lower(), f"{word!r} is not in the reason {answer.reason!r}")
    expect(b"k@0" not in answer.body and b"[" not in answer.body[:1], "it answered in spite of it")
    return answer.reason
