# SPDX-License-Identifier: Apache-2.0
"""svsm-kms over https: whom it believes, whom not, and that nothing is sent to those."""
import contextlib
import json
import os
import ssl
import subprocess
import threading

import kms
from certs import Authority
from kms import expect, equal, test
from tls import authority, one_server, pem_site, server

USAGE, MACHINE = 2, 3


def run(*args, env=None, data=b""):
    """(exit code, standard output, standard error)"""
    clean = {n: v for n, v in os.environ.items() if not n.startswith(("SVSM_KMS_URL", "SSL_CERT"))}
    done = subprocess.run([kms.BIN, *args], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**clean, **(env or {})}, timeout=60 * kms.SLOW)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def good(*args, **more):
    code, out, err = run(*args, **more)
    equal(code, 0, err)
    return out


def bad(*args, words=(), **more):
    code, _, err = run(*args, **more)
    expect(code != 0, f"{args} went well")
    for w in words:
        expect(w in err, f"{w!r} is not in {err!r}")
    return err


@test("every kind of verb works over https, by name, by address, and by Hadoop's form of address")
def verbs():
    with one_server() as s:
        for url in (f"https://localhost:{s.port}/kms", f"https://127.0.0.1:{s.port}/kms", f"kms://https@localhost:{s.port}/kms"):
            to = ("--url", url, "--ca", authority().cert)
            good("key", "create", "k", *to)
            expect("k" in good("key", "list", *to))
            eek = good("eek", "generate", "k", "--count", "3", *to)
            good("eek", "decrypt", *to, data=eek.splitlines()[0].encode() + b"\n")
            good("health", *to)
            good("key", "delete", "k", "--yes", *to)
        good("key", "list", env={"SVSM_KMS_URL": f"https://localhost:{s.port}/kms", "SSL_CERT_FILE": authority().cert})


@test("a certificate of an unknown authority, for another name, or past its time is refused before anything is sent", "T-87")
def not_believed():
    stranger = Authority("stranger")
    for pair, ca, host, words in (
            (authority().issue(), stranger.cert, "localhost", ("not accepted", "--ca")),
            (authority().issue(), authority().cert, "127.0.0.2", ("not accepted", "mismatch")),
            (authority().issue(days="0"), authority().cert, "localhost", ("expired",))):
        with server(site=pem_site(pair), listen="127.0.0.1:0" if host != "127.0.0.2" else "127.0.0.2:0") as s:
            url = f"https://{host}:{s.port}/kms"
            bad("key", "create", "k", "--url", url, "--ca", ca, words=words)
            bad("key", "create", "k", "--url", url, words=("not accepted",))
            expect("CREATE_KEY" not in s.audit(), s.audit())
            _, out, err = run("key", "create", "k", "--url", url, "--insecure")
            expect("warning: --insecure" in err and "k@0" in out + err, (out, err))


@contextlib.contextmanager
def asking():
    """A server that asks for a certificate: it, how to reach it, one for it and its key, and both in one file."""
    pair = authority().issue("operator", client=True)
    both = os.path.join(kms.fresh_dir(), "both.pem")
    kms.write(both, b"".join(open(f, "rb").read() for f in pair))
    need = {"ssl.server.need.client.auth": "true", "ssl.server.truststore.location": authority().cert}
    with server(ssl=need) as s:
        yield s, ("--url", f"https://localhost:{s.port}/kms", "--ca", authority().cert), pair, both


@test("a certificate is shown to a server that asks for one")
def own_certificate():
    with asking() as (_, to, pair, both):
        good("key", "create", "k", *to, "--client-cert", both)
        bad("key", "list", *to)
        bad("key", "list", *to, "--client-cert", pair[0], words=("holds no key",))
        bad("key", "list", *to, "--client-cert", pair[1], words=("holds no certificate",))


@test("bench measures over https, with the certificates of the other verbs, and leaves no key")
def bench():
    with asking() as (s, to, _, both):
        short = ("bench", "--seconds", "1", "--connections", "1,40", "-o", "json")
        for op in ("decrypt", "generate", "create"):
            runs = json.loads(good(*short, "--op", op, *to, "--client-cert", both))["runs"]
            equal([(r["connections"], r["errors"]) for r in runs], [(1, 0), (40, 0)])
            expect(all(r["requests"] > 0 for r in runs), runs)
        equal(good("key", "list", *to, "--client-cert", both).strip(), "")
        bad(*short, *to)
        bad(*short, "--url", f"https://localhost:{s.port}/kms", "--client-cert", both, words=("not accepted",))


@test("http and https are not mistaken for each other")
def mistaken():
    with one_server() as s:
        bad("key", "list", "--url", f"http://localhost:{s.port}/kms", words=("https",))
    with kms.Server() as s:
        bad("key", "list", "--url", f"https://localhost:{s.port}/kms", words=("does not speak TLS", "http://"))


@test("a file of authorities that is none is refused")
def no_authorities():
    here = kms.fresh_dir()
    for name, data in (("empty", b""), ("text", b"nothing")):
        kms.write(os.path.join(here, name), data)
    for name in ("empty", "text", "missing"):
        bad("key", "list", "--url", "https://localhost:1/kms", "--ca", os.path.join(here, name))
    with one_server() as s:
        bad("key", "list", "--url", f"https://localhost:{s.port}/kms", "--ca", os.path.join(here, "text"), words=("holds no certificates",))


@test("keys are imported from a server with https into one with http and the other way round")
def import_keys():
    with server() as old, kms.Server() as new:
        old.create("a")
        old.create("b", length=256)
        good("import", "--from", f"kms://https@localhost:{old.port}/kms", "--url", f"http://localhost:{new.port}/kms", "--ca",
             authority().cert)
        equal(sorted(new.names()), ["a", "b"])
        new.create("c")
        good("import", "--from", f"kms://http@localhost:{new.port}/kms", "--url", f"https://localhost:{old.port}/kms", "--ca",
             authority().cert, "--key", "c")
        equal(new.versions("c")[0]["material"], old.versions("c")[0]["material"])


@test("a server that stops in the middle of handshake or answer is an error, not a hang or a crash")
def broken_servers():
    import socket

    def serve(listener, after):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority().issue())
        for _ in range(2):
            raw, _ = listener.accept()
            try:
                if after == "hello":
                    raw.recv(100)
                    continue
                with context.wrap_socket(raw, server_side=True) as t:
                    t.recv(65536)
                    if after == "head":
                        t.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[")
            except OSError:
                pass
            finally:
                raw.close()

    for after in ("hello", "request", "head"):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            t = threading.Thread(target=serve, args=(listener, after), daemon=True)
            t.start()
            bad("key", "list", "--url", f"https://localhost:{listener.getsockname()[1]}/kms", "--ca", authority().cert, "--timeout", "20")
