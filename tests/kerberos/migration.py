# SPDX-License-Identifier: Apache-2.0
"""From a real Hadoop KMS with Kerberos to ours, with a ticket on either side: what docs/operations.md tells administrators."""

import json
import os
import subprocess

import kms
from cluster import take_over
from command import AUTHENTICATION, OK, Relay, run
from kms import Skip, equal, expect, fresh_dir, test
from setting import PASSWORD, REFERENCE, Ours, Reference, ours_only, realm, secure_site, server

CONFLICT = 6
KEYS = {
    "staff-zone": (3, ["--description", "of the staff, \"quoted\" \u00e4\u00f6", "--attr", "owner=hr", "--attr", "note=a=b c"]),
    "plain-zone": (1, []),
    "big.one_2": (2, ["--length", "256", "--attr", "key.acl.name=staff-zone"]),
    "given": (2, []),       # its first material comes from a file
}


def real(conf=None, site=None):
    if REFERENCE:
        raise Skip("needs both servers")
    return Reference(site, conf=conf)


def fill(old, ca, *options):
    """Keys on the old server as an administrator made them over the years; encrypted keys of each first version."""
    material = os.path.join(fresh_dir(), "material")
    kms.write(material, "0123456789abcdef")
    for name, (versions, args) in KEYS.items():
        args = [*args, "--material-file", material] if name == "given" else args
        old_run(old, ca, "key", "create", name, *args, *options).ok()
    sealed = {n: old_run(old, ca, "eek", "generate", n, "--count", "2", user="nn/nn1.example.com").ok() for n in KEYS}
    for name, (versions, _) in KEYS.items():
        for _ in range(versions - 1):
            old_run(old, ca, "key", "roll", name).ok()
    return sealed


def old_run(old, ca, *args, user="keyadmin", stdin=None):
    return run(old, *args, *(("--ca", ca.cert) if ca else ()), user=user, scheme="https" if ca else "http", stdin=stdin)


def move(old, new, ca, *args, user="keyadmin", environment=None):
    scheme = "https" if ca else "http"
    from_url = f"kms://{scheme}@localhost:{old.port}/kms"       # as it stands in core-site.xml
    return run(new, "import", "--from", from_url, *(("--ca", ca.cert) if ca else ()), *args, user=user, scheme=scheme,
               environment=environment)


def counts(done, code=OK):
    equal(done.code, code, done.err)
    report = json.loads(done.out)
    return {k["name"]: k["result"] for k in report["keys"]}, report


def grant(conf, **acls):
    """What an administrator adds to kms-acls.xml for the time of the move."""
    path = os.path.join(conf, "kms-acls.xml")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    more = "".join(f"<property><name>{n.replace('__', '.')}</name><value>{v}</value></property>\n" for n, v in acls.items())
    kms.write(path, text.replace("</configuration>", more + "</configuration>"), 0o644)


def shown(s, ca, name):
    document = json.loads(old_run(s, ca, "key", "show", name, "--material", "-o", "json").ok())
    return document


@test("a secure cluster's keys move with a ticket over HTTPS: dry run, copy, the same again, nothing overwritten, its files as they are")
def secure_cluster():
    conf, ca = take_over()
    grant(conf, hadoop__kms__acl__GET="keyadmin", hadoop__kms__acl__SET_KEY_MATERIAL="keyadmin",
          key__acl__given__DECRYPT_EEK="alice", key__acl__given__GENERATE_EEK="hdfs", key__acl__given__MANAGEMENT="keyadmin",
          key__acl__given__READ="keyadmin")
    old = real(conf=conf)
    try:
        sealed = fill(old, ca)
        with Ours(conf=conf) as new:        # the same files, the same keytab, the same key store
            move(old, new, ca, user=None).fails(AUTHENTICATION, "run kinit")
            move(old, new, ca, user="alice").fails(AUTHENTICATION, "alice", "GET_KEYS")
            equal(old_run(new, ca, "key", "list").ok(), "")

            found, report = counts(move(old, new, ca, "--dry-run", "-o", "json", "--negotiate", "--from-negotiate"))
            equal(found, {name: "would copy" for name in KEYS})
            equal(old_run(new, ca, "key", "list").ok(), "")
            found, report = counts(move(old, new, ca, "-o", "json"))
            equal((found, report["copied"]), ({name: "copied" for name in KEYS}, len(KEYS)))
            equal(counts(move(old, new, ca, "-o", "json"))[0], {name: "same" for name in KEYS})
            for name, (versions, _) in KEYS.items():
                there, here = shown(old, ca, name), shown(new, ca, name)
                equal(here, there)
                equal(len({v["material"] for v in here["versionList"]}), versions)

            for name, who in (("staff-zone", "bob"), ("big.one_2", "alice"), ("given", "alice")):
                dek = old_run(old, ca, "eek", "decrypt", user=who, stdin=sealed[name]).ok()
                equal(old_run(new, ca, "eek", "decrypt", user=who, stdin=sealed[name]).ok(), dek)
            old_run(new, ca, "eek", "decrypt", user="carol", stdin=sealed["staff-zone"]).fails(AUTHENTICATION, "carol")

            # Both went on: the old one rolled a key, the new one has another of the same name.
            old_run(old, ca, "key", "roll", "plain-zone").ok()
            before = shown(new, ca, "plain-zone")
            found, _ = counts(move(old, new, ca, "-o", "json"), CONFLICT)
            equal(found, {**{name: "same" for name in KEYS}, "plain-zone": "conflict"})
            equal(shown(new, ca, "plain-zone"), before)
            said = new.audit()
            expect("user=keyadmin@EXAMPLE.COM" in said, said)
    finally:
        old.stop()


@test("an import whose login ends and cannot be made again stops there, and goes on when it is repeated")
def shut_out():
    ours_only()
    with server() as old, server() as new:
        for i in range(4):
            run(old, "key", "create", f"k{i}").ok()

        def change(request, answer):
            if request.path.endswith("/k2/_metadata"):
                over.append(request)
            return (403, [], b"") if over and "Authorization" in request.headers else \
                (401, [("WWW-Authenticate", "Negotiate")], b"") if over else answer
        over = []
        with Relay(old, change) as relay:
            found, _ = counts(move(relay, new, None, "-o", "json", user="alice"), AUTHENTICATION)
            equal(found, {"k0": "copied", "k1": "copied", "k2": "failed"})
        found, _ = counts(move(old, new, None, "-o", "json", user="alice"))
        equal(found, {"k0": "same", "k1": "same", "k2": "copied", "k3": "copied"})


@test("keys that the old server withholds are named, the others are copied; over HTTP, by ticket, token and another principal")
def withheld():
    site = secure_site()
    conf = kms.conf_dir(site, {**{f"hadoop.kms.acl.{op}": "*" for op in ("CREATE", "ROLLOVER", "GET", "GET_KEYS", "GET_METADATA",
                                                                          "SET_KEY_MATERIAL", "GENERATE_EEK", "DECRYPT_EEK")},
                               **{f"default.key.acl.{op}": "*" for op in ("MANAGEMENT", "GENERATE_EEK", "DECRYPT_EEK", "READ")},
                               "key.acl.closed.MANAGEMENT": "alice", "key.acl.closed.READ": "bob"})
    old = real(conf=conf)
    try:
        for name in ("open1", "closed", "open2"):
            run(old, "key", "create", name).ok()
        token = os.path.join(fresh_dir(), "token")
        run(old, "token", "get", "--out", token).ok()
        equal(os.stat(token).st_mode & 0o777, 0o600)
        run(old, "token", "get", "--out", token).fails(2, "exists")
        with Ours() as new:
            found, report = counts(move(old, new, None, "-o", "json", user="alice"), AUTHENTICATION)
            equal(found, {"open1": "copied", "open2": "copied", "closed": "failed"})
            reason = [k for k in report["keys"] if k["name"] == "closed"][0]["reason"]
            expect("alice" in reason and "GET, and key ACL READ)" in reason, reason)
        with Ours(acls={"hadoop.kms.acl.SET_KEY_MATERIAL": "nobody"}) as new:
            done = move(old, new, None, "--dry-run", "--key", "open1", user="alice").ok()
            equal(done, "would copy open1\n")
            done = move(old, new, None, "--key", "open1", user="alice")
            equal(done.code, AUTHENTICATION, done.err)
            expect("alice not allowed to do" in done.out and "SET_KEY_MATERIAL" in done.out, done.out)
        with Ours() as new:     # the token is the old server's; at the new one the ticket counts
            found, _ = counts(move(old, new, None, "--from-token", token, "--key", "open*", "-o", "json", user="bob"))
            equal(found, {"open1": "copied", "open2": "copied"})
            expect("user=bob@EXAMPLE.COM" in new.audit(), new.audit())
            both = f"DIR:{fresh_dir()}"
            for user in ("alice", "bob"):
                subprocess.run(["kinit", user], input=PASSWORD + "\n", text=True, stdout=subprocess.DEVNULL, check=True,
                               env={**realm().env(), "KRB5CCNAME": both})
            found, _ = counts(move(old, new, None, "--from-user", "bob", "--user", "alice", "-o", "json",
                                   environment={"KRB5CCNAME": both}))
            equal(found, {"open1": "same", "open2": "same", "closed": "copied"})
            expect("key=closed, user=alice@EXAMPLE.COM" in new.audit(), new.audit())
    finally:
        old.stop()
