# SPDX-License-Identifier: Apache-2.0
"""A store with an owner: configuration that only the owner's key can make."""
import json
import os
import shutil
import signal

from kms import OPEN_ACLS, Server, equal, expect, refused, test, wait_for, write, xml
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
