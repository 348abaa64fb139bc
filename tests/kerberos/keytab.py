# SPDX-License-Identifier: Apache-2.0
"""The server's keytab: taken once, sealed, replaced, and never to be seen again."""

import base64
import os
import signal
import struct
import subprocess

from kms import BIN, Skip, equal, expect, fresh_dir, refused as start_refused, test, wait_for, write
from setting import AUTH, PASSWORD, accepted, login, ours_only, realm, refused, secure_site, server


def keys_in(path):
    """The keys of a keytab file (MIT's format 0x0502)."""
    data, at, found = open(path, "rb").read(), 2, []
    while at + 4 <= len(data):
        size = struct.unpack_from(">i", data, at)[0]
        at += 4
        if size > 0:
            entry, i = data[at:at + size], 2
            for _ in range(struct.unpack_from(">H", entry)[0] + 1):
                i += 2 + struct.unpack_from(">H", entry, i)[0]
            i += 4 + 4 + 1 + 2
            length = struct.unpack_from(">H", entry, i)[0]
            found.append(entry[i + 2:i + 2 + length])
        at += abs(size)
    return found


def own_keytab(host):
    path = os.path.join(fresh_dir(), "own.keytab")
    realm().keytab(path, f"HTTP/{host}")
    return path


@test("without a usable keytab the server does not start and says what it needs")
def not_usable():
    ours_only()
    r = realm()
    environment = {"env": {"KRB5_CONFIG": str(r.conf)}}
    directory = fresh_dir()
    start_refused(78, "keytab", site=secure_site(os.path.join(directory, "missing")), **environment)
    start_refused(78, "keytab", site=secure_site(directory), **environment)
    for content in (b"", b"\x05\x02", b"\x05\x01" + bytes(40), b"not a keytab", bytes(100), b"\x05\x02" + b"\xff" * 60):
        path = os.path.join(fresh_dir(), "keytab")
        write(path, content)
        start_refused(78, "keytab", site=secure_site(path), **environment)
    path = os.path.join(fresh_dir(), "keytab")
    r.keytab(path, "HTTP/weak.example.com", enctypes="arcfour-hmac")
    start_refused(78, "AES", site=secure_site(path, "*"), **environment)
    start_refused(78, "keytab has no key", site=secure_site(principal="HTTP/nowhere.example.com"), **environment)
    start_refused(78, site=secure_site(str(r.dir / "kms.keytab"), "*"), **environment)   # only kms/localhost in it


@test("a keytab that others may read is used, with a warning")
def readable():
    ours_only()
    path = own_keytab("readable.example.com")
    os.chmod(path, 0o644)
    with server(secure_site(path, "*")) as s:
        expect("chmod 600" in s.log(), s.log())
        accepted(s.negotiate(login(target="HTTP@readable.example.com")))


@test("once sealed, the keytab's file may go: the server starts and lets in without it")
def sealed():
    ours_only()
    path = own_keytab("sealed.example.com")
    with server(secure_site(path, "*")) as s:
        accepted(s.negotiate(login(target="HTTP@sealed.example.com")))
        equal(s.stop(), 0)
        os.remove(path)
        shown = subprocess.run([BIN, "audit", "show", os.path.join(s.data, "kms-audit.chain")], stdout=subprocess.PIPE,
                               text=True, check=True).stdout
        equal(shown.count(" CONTROL OK KEYTAB"), 1, shown)
        s.start()
        expect(f"{path} is not there: the Kerberos keys that the store keeps count" in s.log(), s.log())
        accepted(s.negotiate(login(target="HTTP@sealed.example.com")))
        s.kill()        # not even asked to end
        s.start()
        accepted(s.negotiate(login(target="HTTP@sealed.example.com")))
        s.restart_service()
        accepted(s.negotiate(login(target="HTTP@sealed.example.com")))


@test("new keys in the file count after a reload")
def renewed():
    ours_only()
    r, path = realm(), own_keytab("renewed.example.com")
    with server(secure_site(path, "*")) as s:
        accepted(s.negotiate(login(target="HTTP@renewed.example.com")))
        r.rekey("HTTP/renewed.example.com")
        later = r.kinit("alice", password=PASSWORD)
        refused(s.negotiate(login(target="HTTP@renewed.example.com", credentials=later)))
        r.keytab(path, "HTTP/renewed.example.com")
        s.signal(signal.SIGHUP)
        wait_for(lambda: s.negotiate(login(target="HTTP@renewed.example.com", credentials=later)).status == 200,
                 lambda: "the new keys do not count: " + s.log()[-600:])
        accepted(s.negotiate(login(target="HTTP@renewed.example.com")))    # the file holds the old ones, too


@test("no page, no log and no file shows a key of the keytab")
def secrecy():
    ours_only()
    path = own_keytab("secret.example.com")
    keys = keys_in(path)
    equal(len(keys), 4)
    shown = {form for k in keys for form in (k, k.hex().encode(), k.hex().upper().encode(), base64.b64encode(k).rstrip(b"="))}
    with server(secure_site(path, "*")) as s:
        text = accepted(s.negotiate(login(target="HTTP@secret.example.com")))
        for page in ("/conf", "/kms/conf", "/jmx", "/metrics", "/health", "/stacks", "/logs/"):
            body = s.by_cookie(text, page).body
            expect(not [k for k in shown if k in body], f"a key is on {page}")
        expect(not [k for k in shown if k in s.log(all=True).encode()], "a key is in the log")
        for root, _, files in os.walk(s.data):
            for name in files:
                with open(os.path.join(root, name), "rb") as file:
                    content = file.read()
                expect(not [k for k in shown if k in content], f"a key is in {name}")


def memory_of(pid):
    """What is readable and writable in a process; the heap of a proxy, for instance."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            where, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            start, end = (int(x, 16) for x in where.split("-"))
            try:
                memory.seek(start)
                yield memory.read(end - start)
            except (OSError, ValueError):
                continue


@test("with the keytab's file gone, the server's untrusted part has no key in its memory")
def forgotten():
    ours_only()
    path = own_keytab("forgotten.example.com")
    keys = keys_in(path)
    with server(secure_site(path, "*")) as s:
        accepted(s.negotiate(login(target="HTTP@forgotten.example.com")))
        equal(s.stop(), 0)
        os.remove(path)
        s.start()
        accepted(s.negotiate(login(target="HTTP@forgotten.example.com")))
        try:
            parts = list(memory_of(s.process.pid))
        except PermissionError:
            raise Skip("this user may not look into the memory of its own processes") from None
        expect(any(b"hadoop.auth" in part for part in parts), "the proxy's memory was not read")
        for part in parts:
            expect(not [k for k in keys if k in part], "a key is in the proxy's memory")


@test("name rules that cannot be are refused with the reason, before anybody is let in")
def rules_refused():
    ours_only()
    environment = {"env": {"KRB5_CONFIG": str(realm().conf)}}
    for rules in ("RULE:", "RULE:[1:$1", "RULE:[1:$1](", "RULE:[1:$1]([)s/a/b/", "DEFAULTS", "RULE:[1:$1](a)s/(?<=x)a/b/",
                  r"RULE:[1:$1](a)s/(a)\1/b/"):
        start_refused(78, "rule", site={**secure_site(), AUTH + "kerberos.name.rules": rules}, **environment)
