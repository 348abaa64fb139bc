# SPDX-License-Identifier: Apache-2.0
"""The commands that work on a data directory: store verify, export, store recover."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading

from kms import BIN, BUILD, SLOW, Server, Skip, equal, expect, fresh_dir, one_server, refused, test, wait_for, write, xml


def run(*args, timeout=60, env=None):
    r = subprocess.run([BIN, *args], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout * SLOW, check=False,
                       env={**os.environ, **(env or {})})
    expect(r.returncode >= 0, f"ended by signal {-r.returncode}: {r.stderr.decode()[-1500:]}")
    expect(b"Sanitizer" not in r.stderr, r.stderr.decode()[-3000:])
    return r.returncode, r.stdout.decode(), r.stderr.decode()


def key_pair(curve="secp384r1"):
    """Paths of a private and a public key."""
    if not shutil.which("openssl"):
        raise Skip("no openssl command")
    d = fresh_dir("owner")
    private, public = os.path.join(d, "private.pem"), os.path.join(d, "public.pem")
    subprocess.run(["openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "ec", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


def place(file):
    """An exported file as the store of a new data directory, on what could be another machine."""
    d = os.path.join(fresh_dir("other"), "data")
    os.mkdir(d, 0o700)
    shutil.copy(file, os.path.join(d, "store.mdb"))
    os.chmod(os.path.join(d, "store.mdb"), 0o600)
    return d


# A copy of the store comes without the audit chain, which the server otherwise misses.
NO_CHAIN = {"svsm.kms.audit.on-failure": "continue"}


@test("store verify finds a good store good, also beside a running server, and a changed one changed", "T-102")
def verify():
    with Server() as s:
        for i in range(30):
            s.create(f"k{i}")
        code, out, err = run("store", "verify", "--data", s.data)
        equal(code, 0, err)
        expect("30" in out, out)
        s.create("more")
        equal(s.stop(), 0)
        code, out, err = run("store", "verify", "--data", s.data)
        equal(code, 0, err)
        with open(os.path.join(s.data, "platform.key"), "r+b") as f:
            good = f.read()
            f.seek(0)
            f.write(bytes(32))
        code, out, err = run("store", "verify", "--data", s.data)
        expect(code != 0 and "platform.key" in out + err, out + err)
        write(os.path.join(s.data, "platform.key"), good)
        with open(os.path.join(s.data, "store.mdb"), "r+b") as f:
            f.truncate(8192)
        code, out, err = run("store", "verify", "--data", s.data)
        expect(code != 0 and "store.mdb" in out + err, out + err)
    code, out, err = run("store", "verify", "--data", "/nosuch")
    expect(code != 0 and "/nosuch" in out + err, out + err)


class Busy:
    """Changes a server's store whenever a program with this environment is about to read it (busy.c)."""

    def __init__(self, server):
        lib = os.path.join(BUILD, "tests", "libtest-busy.so")
        if not os.path.exists(lib):
            raise Skip(lib + " is not built")
        self.server, self.made, self.bad, self.seen = server, [], [], {}
        path = os.path.join(fresh_dir("busy"), "socket")
        self.env = {"LD_PRELOAD": lib, "SVSM_TEST_BUSY": path}
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(16)
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                c, _ = self.listener.accept()
                with c:
                    what = c.makefile("rb").read().decode()
                    self.seen[what] = self.seen.get(what, 0) + 1
                    try:
                        self.change()
                    except Exception as problem:    # told by stop()
                        self.bad.append(repr(problem))
                    c.sendall(b".")

    def change(self):
        """Records come, go and are written again: of some keys the material is the same when all is over."""
        name = f"busy{len(self.made)}"
        self.server.create(name)
        self.made.append(name)
        if len(self.made) % 3 == 0:
            equal(self.server.call("DELETE", f"/key/{self.made[-2]}").status, 200)
        if len(self.made) % 5 == 0:
            equal(self.server.call("POST", f"/key/{name}", {}).status, 200)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(30)
        expect(not self.thread.is_alive(), "a change never came back")
        equal(self.bad, [])


@test("however often a server commits, verify, export and acl check work on one state of its store", "T-102")
def one_state():
    _, public = key_pair()
    with one_server(site={"svsm.kms.recovery.public-key": public}) as s:
        for i in range(30):
            s.create(f"k{i}")
        kept = {f"k{i}": s.versions(f"k{i}") for i in range(30)}
        with Busy(s) as b:
            for command in (("store", "verify"), ("acl", "check", "alice", "GET_METADATA", "k7")):
                before = len(b.made)
                code, out, err = run(*command, "--data", s.data, env=b.env)
                equal(code, 0, err)
                expect(len(b.made) - before > 30, f"{command}: only {len(b.made) - before} changes: {b.seen}")
            copy = os.path.join(fresh_dir(), "copy")
            code, out, err = run("export", "--data", s.data, "--recovery", copy, env=b.env)
            equal(code, 0, err)
        d = place(copy)
        shutil.copy(os.path.join(s.data, "platform.key"), d)
        with one_server(data=d, site=NO_CHAIN) as t:
            expect(f"{len(t.names())} keys, epoch {t.epoch}," in out, f"{out} but {len(t.names())} keys, epoch {t.epoch}")
            for name, versions in kept.items():
                equal(t.versions(name), versions, name)


@test("a copy without a recovery slot is not made; with one it opens elsewhere with the owner's key only", "T-143")
def export_and_recover():
    private, public = key_pair()
    other_private, _ = key_pair()
    out = os.path.join(fresh_dir(), "copy")
    with Server() as s:
        s.create("k")
        code, _, err = run("export", "--data", s.data, "--recovery", out)
        expect(code != 0 and "svsm.kms.recovery.public-key" in err, err)
        expect(not os.path.exists(out), "a file was left")
        equal(s.stop(), 0)
        write(os.path.join(s.conf, "kms-site.xml"), xml({"svsm.kms.recovery.public-key": public}))
        s.start()
        for i in range(20):
            s.create(f"k{i}", length=256)
        from lifecycle import Load
        load = Load(s, 3)
        wait_for(lambda: len(load.acked) > 20)
        before = dict(load.acked)
        code, _, err = run("export", "--data", s.data, "--recovery", out)
        load.stop()
        equal(code, 0, err)
        code, _, err = run("export", "--data", s.data, "--recovery", out)
        expect(code != 0, "an existing file was written over")
        keys = s.all_keys()
        equal(s.stop(), 0)
    equal(os.stat(out).st_mode & 0o777, 0o600)
    d = place(out)
    refused(78, "platform.key", "store recover", data=d)
    for bad in (other_private, "/nosuch", public):
        code, o, err = run("store", "recover", "--data", d, "--key", bad)
        expect(code != 0 and (o + err).strip(), f"{bad}: {code}")
        expect(not os.path.exists(os.path.join(d, "platform.key")), "a useless platform.key was left")
    refused(78, "platform.key", data=d)
    code, _, err = run("store", "recover", "--data", d, "--key", private)
    equal(code, 0, err)
    equal(os.stat(os.path.join(d, "platform.key")).st_mode & 0o777, 0o600)
    with one_server(data=d, site=NO_CHAIN) as t:
        copied = t.all_keys()
        for name, both in copied.items():
            equal(both, keys[name], name)
        expect(set(before) | {f"k{i}" for i in range(20)} <= set(copied), "keys from before the export are missing")
        t.create("lives-on")


@test("a copy of a store that does not verify is not kept, whoever notices", "T-102", "T-108")
def bad_export():
    edit = os.path.join(os.path.dirname(BIN), "tests", "tamper-edit")
    if not os.path.exists(edit):
        raise Skip("tamper-edit is not built")
    _, public = key_pair()
    with Server(site={"svsm.kms.recovery.public-key": public}) as s:
        for i in range(5):
            s.create(f"k{i}")
        equal(s.stop(), 0)
        file, key = os.path.join(s.data, "store.mdb"), os.path.join(s.data, "platform.key")
        good, good_key = open(file, "rb").read(), open(key, "rb").read()
        where = fresh_dir()

        def refuses(*words):
            code, _, err = run("export", "--data", s.data, "--recovery", os.path.join(where, "copy"))
            expect(code != 0 and all(w in err for w in words), f"{code} {err}")
            equal(os.listdir(where), [])

        record = next(x.split(" ")[1] for x in subprocess.run([edit, "dump", file], capture_output=True, check=True).stdout.decode().split("\n")
                      if x.startswith("records "))
        subprocess.run([edit, "apply", file], input=f"del records {record}\n".encode(), check=True)
        refuses("records were removed")    # by the core, which reads the copy
        write(file, good[:3 * os.sysconf("SC_PAGE_SIZE")])  # of half a file all that is left out may be free
        refuses("store.mdb")    # by the check of the store's structure
        write(file, good)
        write(key, bytes(32))
        refuses("platform.key")
        os.unlink(key)
        refuses("platform.key")
        expect(not os.path.exists(key), "a useless platform.key was left")
        write(key, good_key)
        code, _, err = run("export", "--data", s.data, "--recovery", os.path.join(where, "copy"))
        equal(code, 0, err)
        equal(os.listdir(where), ["copy"])


@test("recovery of a directory that a server uses is refused, and of one without a slot", "T-21")
def recover_in_use():
    private, public = key_pair()
    with one_server(site={"svsm.kms.recovery.public-key": public}) as s:
        s.create("k")
        code, _, err = run("store", "recover", "--data", s.data, "--key", private)
        expect(code != 0 and "writer.lock" in err, err)
        equal(s.names(), ["k"])
    with Server() as s:
        s.create("k")
        equal(s.stop(), 0)
        os.unlink(os.path.join(s.data, "platform.key"))
        code, _, err = run("store", "recover", "--data", s.data, "--key", private)
        expect(code != 0 and "no recovery keyslot" in err, err)
        expect(not os.path.exists(os.path.join(s.data, "platform.key")), "a useless platform.key was left")


@test("with a new owner's key the old one opens the store no more", "T-143")
def changed_owner():
    old, old_public = key_pair()
    new, new_public = key_pair()
    with Server(site={"svsm.kms.recovery.public-key": old_public}) as s:
        s.create("k")
        equal(s.stop(), 0)
        write(os.path.join(s.conf, "kms-site.xml"), xml({"svsm.kms.recovery.public-key": new_public}))
        s.start()
        equal(s.stop(), 0)
        os.unlink(os.path.join(s.data, "platform.key"))
        code, _, err = run("store", "recover", "--data", s.data, "--key", old)
        expect(code != 0 and err.strip(), err)
        code, _, err = run("store", "recover", "--data", s.data, "--key", new)
        equal(code, 0, err)
        s.start()
        equal(s.names(), ["k"])
        equal(s.stop(), 0)


@test("an owner's key that is none is refused at the start, with how to make one", "T-143")
def bad_owner_keys():
    private, public = key_pair("prime256v1")
    d = fresh_dir()
    for name, content in (("empty", b""), ("text", b"hello"), ("cut", open(public, "rb").read()[:80]),
                          ("long", b"-----BEGIN PUBLIC KEY-----\n" + b"A" * 7000 + b"\n-----END PUBLIC KEY-----\n"),
                          ("p256", open(public, "rb").read()), ("private", open(private, "rb").read()),
                          ("random", b"-----BEGIN PUBLIC KEY-----\n" + b"MHYw" * 40 + b"\n-----END PUBLIC KEY-----\n")):
        path = os.path.join(d, name)
        write(path, content)
        refused(78, "svsm.kms.recovery.public-key", "P-384", site={"svsm.kms.recovery.public-key": path})
    refused(78, "svsm.kms.recovery.public-key", site={"svsm.kms.recovery.public-key": "/nosuch"})


@test("a recovery slot that was tampered with recovers nothing", "T-106", "T-143")
def bent_slot():
    edit = os.path.join(os.path.dirname(BIN), "tests", "tamper-edit")
    if not os.path.exists(edit):
        raise Skip("tamper-edit is not built")
    private, public = key_pair()
    with Server(site={"svsm.kms.recovery.public-key": public}) as s:
        s.create("k")
        equal(s.stop(), 0)
        file = os.path.join(s.data, "store.mdb")
        slot = next(x.split(" ")[2] for x in subprocess.run([edit, "dump", file], capture_output=True, check=True).stdout.decode().split("\n")
                    if x.startswith("main 7301 "))
        os.unlink(os.path.join(s.data, "platform.key"))
        good = open(file, "rb").read()
        value = bytes.fromhex(slot)
        for at in list(range(0, len(value), 9)) + [len(value) - 1]:
            bent = bytearray(value)
            bent[at] ^= 1 << at % 8
            subprocess.run([edit, "apply", file], input=f"put main 7301 {bent.hex()}\n".encode(), check=True)
            code, _, err = run("store", "recover", "--data", s.data, "--key", private)
            expect(code != 0 and err.strip(), f"byte {at}: {code} {err}")
            write(file, good)
        code, _, err = run("store", "recover", "--data", s.data, "--key", private)
        equal(code, 0, err)
        s.start()
        equal(s.names(), ["k"])
        equal(s.stop(signal.SIGINT), 0)
