# SPDX-License-Identifier: Apache-2.0
"""A store with an owner: configuration that only the owner's key can make."""
import base64
import hashlib
import hmac
import json
import os
import shutil
import signal
import struct
import subprocess
import time

from kms import OPEN_ACLS, Server, equal, expect, fresh_dir, refused, test, wait_for, write, xml
from recovery import key_pair, run


def acls(user):
    return {**OPEN_ACLS, "hadoop.kms.acl.GET": user}


def only(s, yes, no):
    equal(s.call("GET", "/key/k/_currentversion", user=yes).status, 200, yes)
    equal(s.call("GET", "/key/k/_currentversion", user=no).status, 403, no)


def reload(s, *words):
    """SIGHUP, and wait until the log says this once more."""
    before = [s.log().count(w) for w in words]
    s.signal(signal.SIGHUP)
    for w, n in zip(words, before):
        wait_for(lambda w=w, n=n: s.log().count(w) > n, what=f"no {w!r} in {s.log()[-1000:]}")


class Owner:
    def __init__(self, server):
        self.key, _ = key_pair()
        self.conf = server.conf
        self.bundle = os.path.join(server.conf, "kms-owner.bundle")

    def sign(self, verb, number, *more):
        code, out, err = run("owner", verb, "--conf", self.conf, "--key", self.key, "--number", str(number), "-o", "json", *more)
        equal(code, 0, err)
        return json.loads(out)["owner"]


@test("the secret that signs cookies does not travel in a bundle, and whoever has its file makes no cookie under an owner", "T-122")
def secret_stays():
    secret = "a secret that root can read"
    where = os.path.join(fresh_dir(), "secret")
    write(where, secret)
    os.chmod(where, 0o600)
    auth = "hadoop.kms.authentication."
    with Server(acls=acls("alice"), site={auth + "signer.secret.provider": "file",
                                          auth + "signature.secret.file": where}) as s:
        s.create("k")
        text = f"u=alice&p=alice&t=simple-dt&e={int(time.time() + 600) * 1000}"
        mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
        forged = f'hadoop.auth="{text}&s={base64.b64encode(mac).decode()}"'

        def ask():
            with s.conn() as c:
                return c.request("GET", "/kms/v1/key/k/_currentversion", headers={"Cookie": forged}).status
        equal(ask(), 200)
        owner, health = Owner(s), s.health()
        code, _, err = run("owner", "enroll", "--conf", s.conf, "--key", owner.key, "--number", "1", "--store",
                           health["storeId"])
        equal(code, 0, err)
        expect("signature secret" in err, err)
        with open(owner.bundle, "rb") as f:
            expect(secret.encode() not in f.read(), "the bundle shows the secret")
        reload(s, "configuration reloaded")
        equal(ask(), 401)
        only(s, "alice", "mallory")


@test("with an owner, edited access control lists are refused at a reload and at a start, until the owner signs", "T-122")
def edited_lists():
    with Server(acls=acls("alice")) as s:
        s.create("k")
        owner, thief, health = Owner(s), Owner(s), s.health()
        equal(health["owner"], "")
        code, _, err = run("owner", "enroll", "--conf", s.conf, "--key", owner.key, "--number", "1")
        expect(code == 2 and "--store" in err, err)
        fingerprint = owner.sign("enroll", 1, "--store", health["storeId"])
        reload(s, "configuration reloaded")
        equal(s.health()["owner"], fingerprint)
        only(s, "alice", "mallory")

        # Root edits the lists: the bundle counts, not the files.
        write(os.path.join(s.conf, "kms-acls.xml"), xml(acls("mallory")))
        reload(s, "configuration reloaded")
        wait_for(lambda: "those of the owner's bundle, version 1," in s.log())
        only(s, "alice", "mallory")
        # ... takes the bundle away, alters it.
        kept = owner.bundle + ".kept"
        shutil.copy(owner.bundle, kept)
        with open(kept, "rb") as f:
            good = f.read()
        for bad in (None, good[:-1], good.replace(b"alice", b"mally"), good + b"x", b""):
            if bad is None:
                os.remove(owner.bundle)
            else:
                write(owner.bundle, bad)
            reload(s, "not reloaded, the old one stays")
            only(s, "alice", "mallory")
        # ... signs with a key of his own.
        thief.sign("enroll", 2, "--store", health["storeId"])
        reload(s, "not the owner of this store")
        only(s, "alice", "mallory")
        equal(s.stop(), 0)
        refused(78, "not signed by the owner", data=s.data, conf=s.conf)
        os.remove(owner.bundle)
        refused(78, "not signed by the owner", data=s.data, conf=s.conf)
        shutil.copy(kept, owner.bundle)
        s.start()
        only(s, "alice", "mallory")

        # The owner signs the new lists; the old bundle is worth nothing afterwards.
        owner.sign("sign", 2)
        reload(s, "configuration reloaded")
        only(s, "mallory", "alice")
        equal(s.health()["configVersion"], 2)
        shutil.copy(kept, owner.bundle)
        reload(s, "has version 1")
        equal(s.stop(), 0)
        refused(78, "or is older", data=s.data, conf=s.conf)


@test("after the trusted program's death the owner's configuration is in force again", "T-122", "T-30")
def service_dies():
    with Server(acls=acls("alice")) as s:
        s.create("k")
        owner = Owner(s)
        owner.sign("enroll", 7, "--store", s.health()["storeId"])
        reload(s, "configuration reloaded")
        os.kill(s.service(), signal.SIGKILL)
        wait_for(lambda: s.health()["serviceRestarts"] == 1 and s.health()["status"] == "ok")
        equal(s.health()["configVersion"], 7)
        only(s, "alice", "mallory")


@test("with an owner only the recovery key that the owner named is given the store's root", "T-122")
def recovery_key():
    private, public = key_pair()
    _, foreign = key_pair()
    with Server(acls=acls("alice")) as s:
        s.create("k")
        owner = Owner(s)
        owner.sign("enroll", 1, "--store", s.health()["storeId"])
        reload(s, "configuration reloaded")
        equal(s.stop(), 0)
        site = os.path.join(s.conf, "kms-site.xml")
        write(site, xml({"svsm.kms.recovery.public-key": foreign}))
        refused(78, "not the recovery key that the owner's bundle names", data=s.data, conf=s.conf)
        write(site, xml({"svsm.kms.recovery.public-key": public}))
        owner.sign("sign", 2)
        s.start()
        only(s, "alice", "mallory")
        equal(s.stop(), 0)
        write(site, xml({"svsm.kms.recovery.public-key": foreign}))
        refused(78, "not the recovery key that the owner's bundle names", data=s.data, conf=s.conf)


def keytab(path, principal="localhost"):
    """A key that no ticket is ever made for, as a keytab."""
    def text(b):
        return len(b).to_bytes(2, "big") + b
    entry = ((2).to_bytes(2, "big") + text(b"EXAMPLE.COM") + text(b"HTTP") + text(principal.encode()) + (1).to_bytes(4, "big") +
             bytes(4) + b"\1" + (18).to_bytes(2, "big") + text(os.urandom(32)))
    write(path, b"\5\2" + len(entry).to_bytes(4, "big") + entry)
    return entry[-32:]


@test("Kerberos keys come once: then they are the store's, and nobody can read them back", "T-24")
def keytab_once():
    where = os.path.join(fresh_dir(), "keytab")
    auth = "hadoop.kms.authentication."
    site = {auth + "type": "kerberos", auth + "kerberos.keytab": where, auth + "kerberos.principal": "HTTP/localhost"}
    key = keytab(where)
    with Server(site=site) as s:
        equal(s.call("GET", "/keys/names", user=None).header("WWW-Authenticate"), "Negotiate")
        equal(s.stop(), 0)
        os.remove(where)
        s.start()
        equal(s.call("GET", "/keys/names", user="alice").header("WWW-Authenticate"), "Negotiate")
        for page in ("/conf", "/jmx", "/health", "/metrics", "/attestation"):
            expect(key not in s.call("GET", page, user=None).body)
        s.kill()
        for name in os.listdir(s.data):
            with open(os.path.join(s.data, name), "rb") as f:
                expect(key not in f.read(), name)
        s.start()
        keytab(where, "elsewhere")      # a keytab without the server's name is refused, and changes nothing
        reload(s, "has no key for a name in hadoop.kms.authentication.kerberos.principal")
        os.remove(where)
        reload(s, "configuration reloaded")
        equal(s.stop(), 0)
    refused(78, "kerberos.keytab", site=site)


@test("a reload to Kerberos without any keys is refused, and what was in force stays in force", "T-122")
def reload_without_keytab():
    auth = "hadoop.kms.authentication."
    site = xml({auth + "type": "kerberos", auth + "kerberos.keytab": "/nonexistent", auth + "kerberos.principal": "HTTP/localhost"})
    with Server(acls=acls("alice")) as s:
        file, owner = os.path.join(s.conf, "kms-site.xml"), Owner(s)
        with open(file, encoding="utf-8") as f:
            simple = f.read()
        s.create("k")
        write(file, site)
        reload(s, "configuration not reloaded, the old one stays: the authentication type needs Kerberos keys: there is no keytab")
        only(s, "alice", "mallory")     # simple authentication, with the old rights
        write(file, simple)
        owner.sign("enroll", 1, "--store", s.health()["storeId"])
        reload(s, "configuration reloaded")
        write(file, site)
        owner.sign("sign", 2)           # the owner's machine does not know what the store has
        reload(s, "configuration not reloaded, the old one stays", "the bundle brings no keytab", "`svsm-kms owner sign --keytab`")
        only(s, "alice", "mallory")
        equal(s.health()["configVersion"], 1)
        equal(s.stop(), 0)
        refused(78, "nor has the store one of this owner's", data=s.data, conf=s.conf)


@test("an owner's keytab travels sealed for the one core, and no other keytab counts", "T-122")
def keytab_of_owner():
    where = os.path.join(fresh_dir(), "keytab")
    auth = "hadoop.kms.authentication."
    site = {auth + "type": "kerberos", auth + "kerberos.keytab": where, auth + "kerberos.principal": "HTTP/localhost"}
    with Server() as s:
        owner, health, key = Owner(s), s.health(), keytab(where)
        equal(len(health["uploadKey"]), 64)
        write(os.path.join(s.conf, "kms-site.xml"), xml(site))
        code, _, err = run("owner", "enroll", "--conf", s.conf, "--key", owner.key, "--number", "1", "--store",
                           health["storeId"], "--keytab", where)
        expect(code == 2 and "--core-key" in err, err)
        code, _, err = run("owner", "enroll", "--conf", s.conf, "--key", owner.key, "--number", "1", "--store", health["storeId"])
        expect(code == 2 and "--keytab FILE --core-key HEX" in err, err)
        expect(not os.path.exists(owner.bundle), "a bundle that the core could not use")
        owner.sign("enroll", 1, "--store", health["storeId"], "--keytab", where, "--core-key", "5" * 64)
        reload(s, "svsm.sealed.keytab is not sealed to the upload key of this core")
        owner.sign("enroll", 1, "--store", health["storeId"], "--keytab", where, "--core-key", health["uploadKey"])
        with open(owner.bundle, "rb") as f:
            expect(key not in f.read(), "the bundle shows the key")
        reload(s, "configuration reloaded")
        equal(s.call("GET", "/keys/names", user="root").header("WWW-Authenticate"), "Negotiate")
        os.remove(where)
        owner.sign("sign", 2)           # without a keytab: the store has it
        reload(s, "configuration reloaded")
        equal(s.stop(), 0)
        s.start()
        equal(s.call("GET", "/keys/names", user="root").status, 401)
        equal(s.stop(), 0)


@test("a bundle that shows a secret is refused though the owner signed it, and says how to sign it", "T-13")
def no_secret_in_the_clear():
    with Server(acls=acls("alice")) as s:
        owner, health = Owner(s), s.health()
        s.create("k")
        owner.sign("enroll", 1, "--store", health["storeId"])
        reload(s, "configuration reloaded")
        for number, name in ((2, b"svsm.secret.keytab"), (3, b"svsm.secret.signature")):
            owner.sign("sign", number)
            with open(owner.bundle, "rb") as f:
                all_of_it = f.read()
            text = all_of_it[2 + struct.unpack_from("<H", all_of_it)[0]:]
            at = 38 + struct.unpack_from("<H", text, 36)[0]        # behind the owner's public key: count, properties
            value = b"a secret in the clear"
            text = (text[:at] + struct.pack("<I", struct.unpack_from("<I", text, at)[0] + 1) + text[at + 4:] +
                    struct.pack("<H", len(name)) + name + struct.pack("<I", len(value)) + value)
            signature = subprocess.run(["openssl", "dgst", "-sha384", "-sign", owner.key], input=text, check=True,
                                       capture_output=True).stdout
            write(owner.bundle, struct.pack("<H", len(signature)) + signature + text)
            reload(s, name.decode() + ": a secret in the clear has no place in a bundle", "--keytab FILE --core-key HEX")
            only(s, "alice", "mallory")
        equal(s.stop(), 0)
        refused(78, "`svsm-kms owner sign`", data=s.data, conf=s.conf)
        owner.sign("sign", 4)
        s.start()
        only(s, "alice", "mallory")
