# SPDX-License-Identifier: Apache-2.0
"""The commands that work on a data directory: store verify, export, store recover."""
import os
import shutil
import signal
import subprocess

from kms import BIN, Server, Skip, equal, expect, fresh_dir, one_server, refused, test, wait_for, write, xml


def run(*args, timeout=60):
    r = subprocess.run([BIN, *args], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False)
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
    with one_server(data=d) as t:
        copied = t.all_keys()
        for name, both in copied.items():
            equal(both, keys[name], name)
        expect(set(before) | {f"k{i}" for i in range(20)} <= set(copied), "keys from before the export are missing")
        t.create("lives-on")


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
