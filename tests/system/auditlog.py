# SPDX-License-Identifier: Apache-2.0
"""kms-audit.log, byte for byte: other people's parsers read it."""
import re
import time

from kms import OPEN_ACLS, Server, equal, expect, one_server, quote, test, wait_for

STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ")


class Log:
    """New lines since the last look, without their time stamps."""

    def __init__(self, s):
        self.s, self.seen = s, len(s.audit())

    def lines(self):
        text = self.s.audit()[self.seen:]
        self.seen += len(text)
        expect(text == "" or text.endswith("\n"), repr(text))
        out = []
        for line in text.split("\n")[:-1]:
            expect(STAMP.match(line), f"no time stamp: {line!r}")
            out.append(STAMP.sub("", line))
        return out

    def equal(self, *wanted):
        equal(self.lines(), list(wanted))


@test("each operation writes its line exactly as Hadoop does", "T-50")
def formats():
    with one_server() as s:
        log = Log(s)
        s.create("k", description="of a key")
        log.equal("OK[op=CREATE_KEY, key=k, user=alice] UserProvidedMaterial:false Description:of a key")
        s.create("m", material="AAAAAAAAAAAAAAAAAAAAAA==", length=128)
        log.equal("OK[op=CREATE_KEY, key=m, user=alice] UserProvidedMaterial:true Description:null")
        s.call("POST", "/key/k", {})
        log.equal("OK[op=ROLL_NEW_VERSION, key=k, user=alice] UserProvidedMaterial:false NewVersion:k@1")
        s.call("POST", "/key/m", {"material": "AAAAAAAAAAAAAAAAAAAAAA"})
        log.equal("OK[op=ROLL_NEW_VERSION, key=m, user=alice] UserProvidedMaterial:true NewVersion:m@1")
        s.call("POST", "/key/k/_invalidatecache")
        log.equal("OK[op=INVALIDATE_CACHE, key=k, user=alice] ")
        s.call("GET", "/keys/names")
        log.equal("OK[op=GET_KEYS, user=alice] ")
        s.call("GET", "/keys/metadata?key=k&key=m")
        log.equal("OK[op=GET_KEYS_METADATA, user=alice] ")
        s.call("GET", "/key/k/_metadata")
        log.equal("OK[op=GET_METADATA, key=k, user=alice] ")
        s.call("GET", "/key/k/_versions")
        log.equal("OK[op=GET_KEY_VERSIONS, key=k, user=alice] ")
        eek = s.call("GET", "/key/k/_eek?eek_op=generate&num_keys=3").json()
        log.equal("OK[op=GENERATE_EEK, key=k, user=alice, accessCount=1, interval=0ms] ")
        body = [{"versionName": e["versionName"], "iv": e["iv"], "encryptedKeyVersion":
                 {"versionName": "EEK", "material": e["encryptedKeyVersion"]["material"]}} for e in eek]
        s.call("POST", "/key/k/_reencryptbatch", body)
        log.equal("OK[op=REENCRYPT_EEK_BATCH, key=k, user=alice] reencrypted 3 keys")
        one = {"name": "k", "iv": eek[0]["iv"], "material": eek[0]["encryptedKeyVersion"]["material"]}
        s.call("POST", "/keyversion/k%401/_eek?eek_op=decrypt", one)
        log.equal("OK[op=DECRYPT_EEK, key=k, user=alice, accessCount=1, interval=0ms] ")
        s.call("POST", "/keyversion/k%401/_eek?eek_op=reencrypt", one)
        log.equal("OK[op=REENCRYPT_EEK, key=k, user=alice, accessCount=1, interval=0ms] ")
        s.call("GET", "/key/k/_currentversion")
        log.equal("OK[op=GET_CURRENT_KEY, key=k, user=alice, accessCount=1, interval=0ms] ")
        s.call("GET", "/keyversion/k%400")
        log.equal("OK[op=GET_KEY_VERSION, key=k, user=alice, accessCount=1, interval=0ms] ")
        s.call("GET", "/keyversion/nosuch%400")
        log.equal()
        s.call("OPTIONS", "/")
        s.call("OPTIONS", "/", user=None)
        log.equal()
        s.call("DELETE", "/key/k")
        log.equal("OK[op=DELETE_KEY, key=k, user=alice] ")


@test("errors write an ERROR line with the method and the message's first line", "T-50")
def errors():
    with one_server() as s:
        s.create("k")
        log = Log(s)
        s.call("POST", "/keys", {"name": "k"})
        log.equal("ERROR[user=alice] Method:'POST' Exception:'Key k already exists in svsm-kms'")
        s.call("DELETE", "/key/nosuch")
        log.equal("ERROR[user=alice] Method:'DELETE' Exception:'Key nosuch does not exist in svsm-kms'")
        s.call("POST", "/keys", {"name": "UPPER\nsecond line"})
        log.equal("ERROR[user=alice] Method:'POST' Exception:'Uppercase key names are unsupported: UPPER'")
        s.call("GET", "/nosuch")
        log.equal("ERROR[user=alice] Method:'GET' Exception:'null for uri: http://kms.test/kms/v1/nosuch?user.name=alice'")


@test("a denied operation writes UNAUTHORIZED once, a denied key twice", "T-51")
def denials():
    with one_server(acls={**OPEN_ACLS, "hadoop.kms.acl.DELETE": "bob", "hadoop.kms.acl.GET_KEYS": "bob",
                          "key.acl.k.READ": "bob", "key.acl.k.MANAGEMENT": "alice"}) as s:
        s.create("k")
        log = Log(s)
        s.call("DELETE", "/key/k")
        log.equal("UNAUTHORIZED[op=DELETE_KEY, key=k, user=alice] ")
        s.call("GET", "/keys/names")
        log.equal("UNAUTHORIZED[op=GET_KEYS, user=alice] ")
        s.call("GET", "/key/k/_currentversion")
        equal(sorted(log.lines()), ["UNAUTHORIZED[op=ALL, key=k, user=alice] ", "UNAUTHORIZED[op=READ, key=k, user=alice] "])
        s.call("GET", "/key/k/_eek?eek_op=generate")
        equal(sorted(x for x in log.lines() if not x.startswith("ERROR")),
              ["UNAUTHORIZED[op=ALL, key=k, user=alice] ", "UNAUTHORIZED[op=GENERATE_EEK, key=k, user=alice] "])


@test("a denial is written before the answer is sent", "T-51")
def denial_first():
    with one_server(acls={**OPEN_ACLS, "hadoop.kms.acl.GET_KEYS": " "}) as s:
        for i in range(50):
            log = Log(s)
            equal(s.call("GET", "/keys/names", user=f"u{i}").status, 403)
            log.equal(f"UNAUTHORIZED[op=GET_KEYS, user=u{i}] ")


@test("frequent operations are counted and reported when the window ends", "T-50")
def aggregation():
    with Server(site={"hadoop.kms.audit.aggregation.window.ms": "400"}) as s:
        s.create("k")
        log = Log(s)
        for _ in range(7):
            s.call("GET", "/key/k/_currentversion")
        seen = []

        def done():
            seen.extend(log.lines())
            return sum(int(re.search(r"accessCount=(\d+)", x).group(1)) for x in seen[1:]) >= 7

        wait_for(done, lambda: f"{seen}")
        equal(seen[0], "OK[op=GET_CURRENT_KEY, key=k, user=alice, accessCount=1, interval=0ms] ")
        for line in seen:
            expect(re.fullmatch(r"OK\[op=GET_CURRENT_KEY, key=k, user=alice, accessCount=\d+, interval=\d+ms\] ", line), line)
        for _ in range(3):
            s.call("GET", "/key/k/_currentversion", user="bob")
        log.lines()
        s.call("GET", "/key/k/_currentversion", user="bob")
        equal(s.stop(), 0)
        total = sum(int(re.search(r"accessCount=(\d+)", x).group(1)) for x in s.audit().split("\n")
                    if "user=bob" in x) - 1    # the first is written at once and counted again
        equal(total, 4, "what was counted must be written at the stop")


@test("nothing in names, users, descriptions and URLs can forge a line", "T-52")
def forgery():
    with one_server() as s:
        log = Log(s)
        fake = "x\n2020-01-01 00:00:00,000 OK[op=DELETE_KEY, key=k, user=root] "
        for name in (fake.lower(), "x\ry", "x\x0b\x0c\x85y", "x\u2028y\u2029z", "\u202egnp", "x\x1b[2m"):
            s.create(name, description=name + fake)
            s.call("GET", f"/key/{quote(name)}/_currentversion")
            s.call("GET", f"/key/{quote(name)}/_metadata")
            s.call("DELETE", f"/key/{quote(name)}x")
            s.call("DELETE", f"/key/{quote(name)}")
            s.call("GET", f"/keys/names?x={quote(name)}", user=None)
            s.call("GET", f"/nosuch/{quote(name)}")
            s.call("POST", "/keys", {"name": name.upper() + "\n" + fake})
        raw = s.audit()[:]
        lines = log.lines()
        for line in lines:
            expect(re.match(r"(OK|UNAUTHORIZED|ERROR)\[|UNAUTHENTICATED RemoteHost:", line), line)
            expect(not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", line), repr(line))
        expect("user=root" in "".join(lines), "the text is kept, escaped")
        expect(sum(x.startswith("OK[op=DELETE_KEY, key=k,") for x in lines) == 0, "forged")
        equal(len(raw.splitlines()), raw.count("\n"))


@test("refused strangers are written with peer, method, URL and reason, and without their secrets", "T-53")
def unauthenticated():
    with one_server() as s:
        log = Log(s)
        s.call("GET", "/keys/names", user=None)
        log.equal("UNAUTHENTICATED RemoteHost:127.0.0.1 Method:GET URL:http://kms.test/kms/v1/keys/names "
                  "ErrorMsg:'Authentication required'")
        secret = "SECRETTOKENVALUE"
        s.call("GET", f"/keys/names?token={secret}&x=1", user=None)
        s.call("GET", f"/keys/names?delegation={secret}", user=None)
        s.call("GET", f"/keys/names?%64elegation={secret}&a=b", user=None)
        s.call("GET", "/keys/names", user=None, headers={"Cookie": f"hadoop.auth=u=a&p=a&t=simple-dt&e=1&s={secret}"})
        s.call("GET", "/keys/names", user=None, headers={"Cookie": "hadoop.auth=" + "y" * 300})
        lines = log.lines()
        expect(secret not in "".join(lines), "\n".join(lines))
        expect("token=<redacted>&x=1" in lines[0], lines[0])
        expect("SignerException: Invalid signature" in lines[-2], lines[-2])


@test("a log that cannot be written degrades /health, and works again by itself", "T-54")
def unwritable():
    import os
    with Server(site={"svsm.kms.audit.file": "/dev/full"}) as s:
        s.create("k")
        wait_for(lambda: s.health()["status"] == "degraded")
        equal(s.health()["audit"], "failing")
        expect("audit log /dev/full: cannot be written" in s.log(), s.log())
        equal(s.call("GET", "/key/k/_metadata").status, 200)
        equal(s.stop(), 0)
    from kms import refused
    refused(74, "/nosuch/dir/log", "audit log", site={"svsm.kms.audit.file": "/nosuch/dir/log"})
    expect(os.path.exists("/dev/full"), "")


@test("every acknowledged change has its line when the server stops", "T-50")
def complete():
    from lifecycle import Load
    with Server() as s:
        load = Load(s, 6)
        wait_for(lambda: len(load.acked) > 200)
        load.stop()
        equal(s.stop(), 0)
        text = s.audit()
        created = set(re.findall(r"OK\[op=CREATE_KEY, key=(\S+), user=load\]", text))
        expect(set(load.acked) <= created, f"{len(set(load.acked) - created)} without a line")
        equal(len(re.findall(r"OK\[op=CREATE_KEY", text)), len(created), "a line twice")
