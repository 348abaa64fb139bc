# SPDX-License-Identifier: Apache-2.0
"""Delegation tokens over HTTP: fetched, used, renewed, cancelled; what is none; a restart and a crash."""
import base64
import os
import re
import signal
import subprocess

from kms import BIN, OPEN_ACLS, Closed, NotReady, Server, equal, expect, one_server, test, wait_for

DT = "hadoop.kms.authentication.delegation-token."
INVALID = "org.apache.hadoop.security.token.SecretManager$InvalidToken: "
DENIED = "org.apache.hadoop.security.AccessControlException: "
EOF = "java.io.EOFException"


def ask(s, op, user=None, method=None, headers=None, path="/", **query):
    method = method or ("GET" if op.upper().startswith("GET") else "PUT")
    q = "".join(f"&{k}={v}" for k, v in query.items())
    return s.call(method, f"/kms/v1{path}?op={op}{q}", user=user, headers=headers)


def fetch(s, user="alice", renewer="bob", **more):
    r = ask(s, "GETDELEGATIONTOKEN", user, renewer=renewer, **more)
    equal(r.status, 200, repr(r))
    equal(r.header("Set-Cookie"), None)
    expect(re.fullmatch(rb'\{"Token":\{"urlString":"[A-Za-z0-9_-]+"\}\}\n', r.body), repr(r))
    return r.json()["Token"]["urlString"]


def use(s, token, path="/keys/names", user=None, **headers):
    return s.call("GET", path, user=user, headers={"X-Hadoop-Delegation-Token": token, **headers})


def cookie_of(s, user):
    return {"Cookie": f'hadoop.auth="{s.call("OPTIONS", "/", user=user).cookie()}"'}


def raw(token):
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def refused(r, message):
    equal((r.status, r.reason), (403, "Forbidden"), repr(r))
    equal(r.error()[0], "AuthenticationException")
    expect(re.fullmatch(message, r.error()[1]), f"{r.error()[1]!r} is not {message!r}")
    equal((r.header("Set-Cookie"), r.header("WWW-Authenticate")), (None, None))


@test("a token stands for who fetched it, by header and by parameter, and gives no cookie", "T-160")
def works():
    with one_server(acls={**OPEN_ACLS, "hadoop.kms.acl.DELETE": "bob"}) as s:
        s.create("k")
        t = fetch(s)
        for r in (use(s, t), s.call("GET", "/keys/names?delegation=" + t, user=None), use(s, t, user="bob"),
                  use(s, t + "=="), use(s, t, "/keys/names?doAs=bob"), s.call("OPTIONS", "/", user=None,
                  headers={"X-Hadoop-Delegation-Token": t}),
                  use(s, t, "/keys/names?delegation=garbage")):
            equal(r.status, 200, repr(r))
            equal(r.header("Set-Cookie"), None)
        r = s.call("DELETE", "/key/k", user="bob", headers={"X-Hadoop-Delegation-Token": t})
        equal(r.status, 403)
        equal(r.error()[1], "User:alice not allowed to do 'DELETE_KEY' on 'k'")
        r = s.call("POST", "/keys", {"name": "made"}, user=None, headers={"X-Hadoop-Delegation-Token": t})
        equal(r.status, 201)
        expect("OK[op=CREATE_KEY, key=made, user=alice]" in s.audit(), s.audit())
        expect(t not in s.audit() and t not in s.log(), "a token in a log")


@test("a token fetches and renews no token", "T-161")
def no_chain():
    with one_server() as s:
        t = fetch(s)
        for headers in (None, {"X-Hadoop-Delegation-Token": t}, {"Cookie": "hadoop.auth=bad&s=bad"}):
            for op in ("GETDELEGATIONTOKEN", "RENEWDELEGATIONTOKEN"):
                r = ask(s, op, token=t, headers=headers)
                equal((r.status, r.reason, r.body), (403, "Forbidden", b""))
                equal(r.header("WWW-Authenticate"), "PseudoAuth")
                equal(r.header("Set-Cookie"), None)
        r = ask(s, "GETDELEGATIONTOKEN", "carol", headers={"X-Hadoop-Delegation-Token": t})
        equal(raw(r.json()["Token"]["urlString"])[1:8], b"\0\5carol")


@test("no part of a token can be changed", "T-160")
def mutations():
    with one_server() as s:
        t = raw(fetch(s))
        with s.conn() as c:
            for at in range(len(t) - 1):    # the last byte is the length of the service, which is the client's
                for bit in (1, 0x80):
                    bad = bytearray(t)
                    bad[at] ^= bit
                    r = c.request("GET", "/kms/v1/keys/names", headers={"X-Hadoop-Delegation-Token": url(bad)})
                    equal((r.status, r.error()[0]), (403, "AuthenticationException"), f"byte {at}: {r}")
            for n in range(len(t)):
                r = c.request("GET", "/kms/v1/keys/names", headers={"X-Hadoop-Delegation-Token": url(t[:n])})
                equal((r.status, r.error()[1]), (403, EOF), f"{n} bytes: {r}")
        refused(use(s, ""), EOF)
        refused(use(s, "!" * 4000), EOF)
        refused(use(s, "A" * 9000), EOF)
        refused(use(s, url(t[:1] + b"\1" + t[2:])), "java.io.IOException: Unknown version of delegation token 1")
        refused(use(s, url(t[:-1] + b"\3abc" + b"x")), ".*")
        equal(use(s, url(t[:-1] + b"\3abc")).status, 200)


@test("of cookie, token and name the first one that is there counts, and a bad token is not excused", "T-07")
def order():
    with one_server() as s:
        t, carol = fetch(s), cookie_of(s, "carol")
        equal(use(s, "garbage", **carol).status, 200)
        refused(use(s, "garbage", user="root"), EOF)
        refused(use(s, "garbage", "/keys/names?delegation=" + t), EOF)
        refused(use(s, "garbage", Cookie="hadoop.auth=bad&s=bad"), EOF)
        equal(use(s, t, Cookie="hadoop.auth=bad&s=bad").status, 200)


@test("only the renewer renews, and is told the new date", "T-162")
def renew():
    with one_server() as s:
        t = fetch(s)
        ident = (r"\(kms-dt owner=alice, renewer=bob, realUser=, issueDate=\d+, maxDate=\d+, sequenceNumber=\d+, "
                 r"masterKeyId=\d+\)")
        r = ask(s, "RENEWDELEGATIONTOKEN", "alice", token=t)
        equal((r.status, r.header("Set-Cookie")), (403, "hadoop.auth=; HttpOnly"))
        expect(re.fullmatch(re.escape(DENIED) + f"alice tries to renew a token {ident} with non-matching renewer bob",
                            r.reason), r.reason)
        for headers in (None, cookie_of(s, "bob")):
            r = ask(s, "RENEWDELEGATIONTOKEN", None if headers else "bob", token=t, headers=headers)
            equal(r.status, 200, repr(r))
            expect(re.fullmatch(rb'\{"long":\d{13}\}\n', r.body) and r.json()["long"] > 2 ** 31, repr(r))
        bad = bytearray(raw(t))
        bad[-10] ^= 1
        r = ask(s, "RENEWDELEGATIONTOKEN", "bob", token=url(bad))
        expect(re.fullmatch(re.escape(DENIED) + f"bob is trying to renew a token {ident} with wrong password", r.reason),
               r.reason)
        equal(ask(s, "RENEWDELEGATIONTOKEN", "bob", token="garbage").reason, EOF)
        equal(ask(s, "RENEWDELEGATIONTOKEN", "bob", token="x" * 9000).reason, EOF)
        r = ask(s, "RENEWDELEGATIONTOKEN", "bob")
        equal((r.status, r.reason), (400, "Operation [RENEWDELEGATIONTOKEN] requires the parameter [token]"))


@test("owner and renewer cancel by cookie; without one, whoever holds the token; nobody else", "T-162")
def cancel():
    with one_server() as s:
        for headers in (cookie_of(s, "alice"), cookie_of(s, "bob"), None):
            t = fetch(s)
            r = ask(s, "CANCELDELEGATIONTOKEN", token=t, headers=cookie_of(s, "mallory"))
            equal((r.status, r.reason), (404, "Invalid delegation token, cannot cancel"))
            equal(use(s, t).status, 200)
            r = ask(s, "CANCELDELEGATIONTOKEN", token=t, headers=headers)
            equal((r.status, r.body), (200, b""), repr(r))
            refused(use(s, t), re.escape(INVALID) + "Token for real user: , can't be found in cache")
            equal(ask(s, "CANCELDELEGATIONTOKEN", token=t, headers=headers).status, 404)
            r = ask(s, "RENEWDELEGATIONTOKEN", "bob", token=t)
            expect(r.reason.startswith(INVALID + "Renewal request for unknown token (kms-dt owner=alice"), r.reason)
        t = bytearray(raw(fetch(s)))
        t[-10] ^= 1     # in the password
        equal(ask(s, "CANCELDELEGATIONTOKEN", token=url(t)).status, 404)
        r = ask(s, "CANCELDELEGATIONTOKEN")
        equal((r.status, r.reason), (400, "Operation [CANCELDELEGATIONTOKEN] requires the parameter [token]"))


@test("operations on tokens have their method, in any spelling, on any path", "T-07")
def methods():
    with one_server() as s:
        for op, good, bad in (("GETDELEGATIONTOKEN", "GET", ("PUT", "POST", "DELETE", "HEAD")),
                              ("RENEWDELEGATIONTOKEN", "PUT", ("GET", "POST", "DELETE")),
                              ("CANCELDELEGATIONTOKEN", "PUT", ("GET", "POST", "DELETE"))):
            for method in bad:
                for user in (None, "alice"):
                    r = ask(s, op.lower(), user, method)
                    equal(r.status, 400)
                    equal(r.reason, f"Wrong HTTP method [{method}] for operation [{op}], it should be [{good}]")
                    equal(r.header("Set-Cookie"), None)
        for path in ("/", "/key/k/_metadata", "/nothing", "/keys"):
            equal(ask(s, "GetDelegationToken", "alice", path=path).status, 200)
        for path in ("/jmx", "/conf"):
            equal(s.call("GET", path + "?op=GETDELEGATIONTOKEN").status, 200)
            expect(b"urlString" in s.call("GET", path + "?op=GETDELEGATIONTOKEN").body, path)
        equal(s.call("GET", "/health?op=GETDELEGATIONTOKEN", user=None).json()["status"], "ok")
        equal(s.call("OPTIONS", "/?op=GETDELEGATIONTOKEN").status, 200)
        for q in ("renewer=%zz", "renewer=" + "x" * 3000, "service=%zz", "service=" + "x" * 3000):
            equal(s.call("GET", "/kms/v1/?op=GETDELEGATIONTOKEN&" + q).status, 400, q[:20])
        for renewer in ("a%0ab", "%00", "x" * 600):
            r = s.call("GET", "/kms/v1/?op=GETDELEGATIONTOKEN&renewer=" + renewer)
            equal(r.status, 403, renewer[:20])
        equal(raw(fetch(s, service="kms%3A%2F%2Fx"))[-8:], b"\7kms://x")
        equal(raw(fetch(s, service="y" * 200))[-202:-200], b"\x8f\xc8")
        equal(raw(fetch(s, service="y" * 900))[-903:-900], b"\x8e\x03\x84")


@test("who acts for somebody gets tokens in that name, and only with the right to", "T-162")
def do_as():
    site = {"hadoop.kms.proxyuser.alice.users": "dave", "hadoop.kms.proxyuser.alice.hosts": "*"}
    with one_server(site=site) as s:
        t = fetch(s, doAs="dave")
        equal(raw(t)[1:18], b"\0\4dave\3bob\5alice\x8a")
        s.call("POST", "/keys", {"name": "made"}, user=None, headers={"X-Hadoop-Delegation-Token": t})
        expect("OK[op=CREATE_KEY, key=made, user=dave]" in s.audit(), s.audit())
        r = ask(s, "GETDELEGATIONTOKEN", "alice", doAs="erin")
        equal((r.status, r.error()[1]), (403, "User: alice is not allowed to impersonate erin"))
        equal(r.header("Set-Cookie"), None)
        alice = cookie_of(s, "alice")
        equal(ask(s, "CANCELDELEGATIONTOKEN", token=t, headers=alice).status, 404)
        equal(ask(s, "CANCELDELEGATIONTOKEN", token=t, headers=alice, doAs="dave").status, 200)


@test("tokens end, are removed, and do not come back", "T-163")
def expiry():
    with one_server(site={DT + "renew-interval.sec": "2", DT + "removal-scan-interval.sec": "1"}) as s:
        t = fetch(s)
        equal(use(s, t).status, 200)
        equal(s.health()["tokens"], 1)
        wait_for(lambda: s.health()["tokens"] == 0)
        refused(use(s, t), re.escape(INVALID) + "Token for real user: , can't be found in cache")
    with one_server(site={DT + "max-lifetime.sec": "1"}) as s:
        t = fetch(s)
        wait_for(lambda: use(s, t).status == 403)
        refused(use(s, t), re.escape(INVALID) + r"Token  has expired, current time: [-\d]{10} [:\d]{8},\d{3}\+0000 "
                r"expected renewal time: [-\d]{10} [:\d]{8},\d{3}\+0000")
        r = ask(s, "RENEWDELEGATIONTOKEN", "bob", token=t)
        equal(r.status, 403)
        expect(r.reason.startswith(INVALID + "bob tried to renew an expired token (kms-dt owner=alice"), r.reason)


@test("a user has so many tokens and no more; others are not touched", "T-164")
def bounded():
    with one_server(site={"svsm.kms.delegation-token.max-per-user": "3"}) as s:
        held = [fetch(s) for _ in range(3)]
        r = ask(s, "GETDELEGATIONTOKEN", "alice")
        equal(r.status, 503)
        expect("svsm.kms.delegation-token.max-per-user" in r.error()[1], repr(r))
        fetch(s, user="carol")
        equal(ask(s, "CANCELDELEGATIONTOKEN", token=held[0]).status, 200)
        fetch(s)
        equal(ask(s, "GETDELEGATIONTOKEN", "alice").status, 503)


@test("tokens survive restarts of server and core; cancelled ones stay cancelled", "T-163")
def restart():
    with Server() as s:
        kept, gone = fetch(s), fetch(s)
        equal(ask(s, "RENEWDELEGATIONTOKEN", "bob", token=kept).status, 200)
        equal(ask(s, "CANCELDELEGATIONTOKEN", token=gone).status, 200)
        for end in (lambda: s.stop(), lambda: s.kill()):
            end()
            s.start()
            equal((use(s, kept).status, use(s, gone).status), (200, 403))
        s.kill_service()
        wait_for(lambda: s.health()["store"] == "ready")
        equal((use(s, kept).status, use(s, gone).status), (200, 403))
        equal(s.stop(), 0)


@test("store verify counts tokens apart from keys", "T-102")
def verified():
    with Server() as s:
        s.create("k")
        for _ in range(3):
            fetch(s)
        equal(s.stop(), 0)
        done = subprocess.run([BIN, "store", "verify", "--data", s.data], capture_output=True, text=True, check=False)
        equal(done.returncode, 0, done.stderr)
        expect("verified: 1 keys, 3 delegation tokens, epoch" in done.stdout, done.stdout)
        s.start()
        equal((s.keys, s.health()["tokens"]), (1, 3))
        equal(s.stop(), 0)


@test("a crash loses no cancellation that was acknowledged, and no token that was given", "T-163")
def crash():
    with Server() as s:
        for _ in range(5):
            held = [fetch(s) for _ in range(4)]
            done = set()
            with s.conn() as c:
                for t in held[:3]:
                    c.send(f"PUT /kms/v1/?op=CANCELDELEGATIONTOKEN&token={t} HTTP/1.1\r\nHost: x\r\n"
                           "Content-Length: 0\r\n\r\n".encode())
                equal(c.read().status, 200)
                done.add(held[0])
                os.kill(s.process.pid, signal.SIGKILL)
                try:
                    for t in held[1:3]:
                        equal(c.read().status, 200)
                        done.add(t)
                except (Closed, OSError):
                    pass
            s.process.wait()
            s.start()
            for t in held:
                r = use(s, t)
                if t in done:
                    equal(r.status, 403)
                elif t == held[3]:
                    equal(r.status, 200, repr(r))
                else:
                    expect(r.status in (200, 403), repr(r))
        equal(s.stop(), 0)


@test("intervals that are none are refused at the start", "T-23")
def settings():
    for name in ("update-interval.sec", "max-lifetime.sec", "renew-interval.sec", "removal-scan-interval.sec"):
        s = Server(site={DT + name: "0"}, start=False)
        with s:
            try:
                s.start()
                raise AssertionError("it started")
            except NotReady as e:
                equal(e.code, 78, e.err)
                expect(name in e.err, e.err)
