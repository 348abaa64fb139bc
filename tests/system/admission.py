# SPDX-License-Identifier: Apache-2.0
"""Who is let in: cookies, user names, doAs, delegation tokens, groups, rights."""
import base64
import hashlib
import hmac
import os
import pwd
import grp
import time

from kms import OPEN_ACLS, Server, Skip, equal, expect, fresh_dir, one_server, quote, test, wait_for, write

FILE = {"hadoop.kms.authentication.signer.secret.provider": "file"}


def file_secret(content=b"a shared secret"):
    path = os.path.join(fresh_dir(), "secret")
    write(path, content)
    return {**FILE, "hadoop.kms.authentication.signature.secret.file": path}


def sign(token, secret=b"a shared secret"):
    sig = base64.b64encode(hmac.new(secret, token.encode(), hashlib.sha256).digest()).decode()
    return f"{token}&s={sig}"


def ms(seconds=0):
    return int((time.time() + seconds) * 1000)


def with_cookie(s, cookie, method="GET", path="/keys/names", quoted=False):
    value = f'"{cookie}"' if quoted else cookie
    return s.call(method, path, user=None, headers={"Cookie": f"hadoop.auth={value}"})


@test("without identity everything but /health and /metrics is 401 with a way to authenticate", "T-01")
def strangers():
    with one_server() as s:
        s.create("k")
        for method, path in (("GET", "/keys/names"), ("GET", "/key/k"), ("GET", "/key/k/_currentversion"),
                             ("GET", "/key/k/_versions"), ("GET", "/keyversion/k%400"), ("DELETE", "/key/k"),
                             ("POST", "/key/k"), ("POST", "/keys"), ("GET", "/key/k/_eek?eek_op=generate"),
                             ("POST", "/keyversion/k%400/_eek?eek_op=decrypt"), ("POST", "/key/k/_reencryptbatch"),
                             ("POST", "/key/k/_invalidatecache"), ("OPTIONS", "/"), ("GET", "/nosuch"),
                             ("PUT", "/keys"), ("GET", "/jmx"), ("GET", "/conf"), ("GET", "/stacks"),
                             ("GET", "/kms/jmx"), ("POST", "/svsm/v1/import")):
            r = s.call(method, path, {} if method == "POST" else None, user=None)
            equal(r.status, 401, f"{method} {path}: {r}")
            equal(r.header("WWW-Authenticate"), "PseudoAuth")
            expect(r.header("Set-Cookie", "").startswith("hadoop.auth=;"), r.headers)
            expect(b"k@0" not in r.body, repr(r))
        equal(s.names(), ["k"])
        equal(s.call("GET", "/health", user=None).status, 200)
        equal(s.call("GET", "/metrics", user=None).status, 200)


@test("a stranger learns nothing from what else is wrong with his request", "T-01")
def strangers_learn_nothing():
    with one_server() as s:
        s.create("k")
        bodies = set()
        for path, body in (("/key/k", b"{"), ("/key/nosuch", b"{}"), ("/key/k", b"{}"), ("/key/" + "x" * 2000, b"{}"),
                           ("/key/k", b'{"material":1}'), ("/key/k", b"\x00")):
            r = s.call("POST", path, body, user=None)
            bodies.add((r.status, r.reason, r.body))
        equal(len(bodies), 1, f"{bodies}")


@test("cookies signed with the file's secret survive a restart, the random secret's do not", "T-02")
def cookies_across_restarts():
    for props, status in ((file_secret(), 200), ({}, 401)):
        with Server(site=props) as s:
            cookie = s.call("OPTIONS", "/").cookie()
            equal(with_cookie(s, cookie).status, 200)
            equal(s.stop(), 0)
            s.start()
            equal(with_cookie(s, cookie).status, status)
            equal(s.stop(), 0)


@test("cookies of another secret, unsigned ones and tampered ones are refused with Hadoop's reasons", "T-02")
def foreign_cookies():
    with one_server(site=file_secret()) as s:
        good = sign(f"u=alice&p=alice&t=simple-dt&e={ms(100)}")
        equal(with_cookie(s, good).status, 200)
        equal(with_cookie(s, good, quoted=True).status, 200)
        signer = "org.apache.hadoop.security.authentication.util.SignerException: "
        text, sig = good.split("&s=")
        for cookie, reason in (
                (sign(f"u=alice&p=alice&t=simple-dt&e={ms(100)}", b"another secret"), signer + "Invalid signature"),
                (good.replace("u=alice", "u=root"), signer + "Invalid signature"),
                (good[:-1], signer + "Invalid signature"),
                (text + "&s=" + sig.replace("=", ""), signer + "Invalid signature"),
                (text + "&s=", signer + "Invalid signature"),
                (text + "&s=" + "A" * 43 + "=", signer + "Invalid signature"),
                (text, signer + "Invalid signed text: " + text),
                ("x", signer + "Invalid signed text: x"),
                ("", "Unauthorized access"),
                (sign(f"u=alice&p=alice&t=simple-dt&e={ms(-1)}"), "AuthenticationToken expired"),
                (sign(f"u=alice&p=alice&t=simple-dt&i={ms(-1)}&e={ms(100)}"), "AuthenticationToken expired"),
                (sign(f"u=alice&p=alice&t=kerberos&e={ms(100)}"), "Invalid AuthenticationToken type"),
                (sign(f"u=alice&p=alice&e={ms(100)}"), "Invalid token string, missing attributes"),
                (sign("nonsense"), "Invalid authentication token"),
                (sign("u=alice&p=alice&t=simple-dt&e=99999999999999999999999"), "Invalid authentication token"),
                (sign(f"u=a\tb&p=a&t=simple-dt&e={ms(100)}"), "Invalid authentication token"),
                ("u=" + "a" * 5000 + "&s=" + sig, None)):
            r = with_cookie(s, cookie)
            equal(r.status, 401, cookie[:80])
            if reason:
                equal(r.reason, reason)
            expect(r.header("WWW-Authenticate"), r.headers)
        for i in range(len(good)):    # every single byte counts
            other = good[:i] + ("B" if good[i] == "A" else "A") + good[i + 1:]
            expect(with_cookie(s, other).status == 401, f"byte {i} changed and accepted: {other}")
        equal(with_cookie(s, sign(f"u=alice&p=alice&t=simple-dt&e={ms(100)}", b"a shared secret")).status, 200)


@test("of several cookies the first counts; a bad one beside a user name does no harm", "T-02")
def several_cookies():
    with one_server(site=file_secret()) as s:
        good, bad = sign(f"u=alice&p=alice&t=simple-dt&e={ms(100)}"), "u=x&s=y"
        equal(s.call("GET", "/keys/names", user=None,
                     headers={"Cookie": f"a=b; hadoop.auth={bad}; hadoop.auth={good}"}).status, 401)
        equal(s.call("GET", "/keys/names", user=None,
                     headers={"Cookie": f"a=b; hadoop.auth={good}; hadoop.auth={bad}"}).status, 200)
        equal(s.call("GET", "/keys/names", headers={"Cookie": f"hadoop.auth={bad}"}).status, 200)


@test("a cookie expires after token.validity, however busy its user is", "T-03")
def expiry():
    with one_server(site={"hadoop.kms.authentication.token.validity": "1"}) as s:
        cookie = s.call("OPTIONS", "/").cookie()
        equal(with_cookie(s, cookie).status, 200)
        r = wait_for(lambda: (lambda r: r if r.status == 401 else None)(with_cookie(s, cookie)))
        equal(r.reason, "AuthenticationToken expired")


@test("with max-inactive-interval the cookie is renewed by use and ends without", "T-03")
def inactivity():
    with one_server(site={"hadoop.kms.authentication.token.max-inactive-interval": "1"}) as s:
        cookie = s.call("OPTIONS", "/").cookie()
        r = with_cookie(s, cookie)
        equal(r.status, 200)
        cookie = r.cookie()
        expect(cookie and "&i=" in cookie, cookie)
        equal(with_cookie(s, cookie).status, 200)
        r = wait_for(lambda: (lambda r: r if r.status == 401 else None)(with_cookie(s, cookie)))
        equal(r.reason, "AuthenticationToken expired")


@test("cookie attributes are as configured, and nothing of a request gets into them", "T-04")
def attributes():
    a = "hadoop.kms.authentication.cookie."
    with one_server(site={a + "path": "/kms", a + "domain": "example.com", a + "persistent": "true"}) as s:
        c = s.call("OPTIONS", "/").header("Set-Cookie")
        expect("; Path=/kms; Domain=example.com; Expires=" in c and c.endswith("; HttpOnly"), c)
        c = s.call("GET", "/keys/names", user=None).header("Set-Cookie")
        equal(c, "hadoop.auth=; Path=/kms; Domain=example.com; HttpOnly")


@test("user names that could forge cookies, headers or log lines are refused", "T-04")
def hostile_users():
    with one_server() as s:
        for user in ("a&b", "a\nb", "a\r\nSet-Cookie: x=y", "a\x00b", 'a"b', "a\x7fb", "x" * 513, "x" * 600, "x" * 5000):
            r = s.call("GET", "/keys/names", user=user)
            equal(r.status, 401, repr(user)[:60])
        for user in ("a b", "a/host@REALM", "ünï", "a;b", "a,b=c", "x" * 512):
            r = s.call("GET", "/keys/names", user=user)
            equal(r.status, 200, repr(user)[:60])
            equal(with_cookie(s, r.cookie(), quoted=True).status, 200) if user.isascii() and ";" not in user else None


@test("the first user.name counts, even when it is one that cannot be used", "T-05")
def first_user_name():
    with one_server(acls={**OPEN_ACLS, "hadoop.kms.acl.GET_KEYS": "bob"}) as s:
        get = lambda q: s.call("GET", "/keys/names?" + q, user=None).status
        equal(get("user.name=bob&user.name=alice"), 200)
        equal(get("user.name=alice&user.name=bob"), 403)
        for first in ("x" * 600, "x" * 3000, "%zz", "%", "a%0", "%00"):
            equal(get(f"user.name={first}&user.name=bob"), 401, first[:20])
        equal(get("user.name=&user.name=bob"), 401)
        equal(get("user%2Ename=bob"), 200)
        equal(get("User.Name=bob"), 401)


@test("doAs is refused in every spelling, never ignored", "T-06")
def do_as():
    with one_server() as s:
        s.create("k")
        for q in ("doAs=bob", "doas=bob", "DOAS=bob", "d%6fAs=bob", "doAs=", "doAs", "doAs=" + "b" * 512,
                  "doAs=" + "b" * 513, "doAs=" + "b" * 3000, "doAs=%zz", "doAs=%", "doAs=alice", "x=y&doAs=bob&doAs=",
                  "&&doAs=bob"):
            for method, path in (("GET", "/keys/names"), ("OPTIONS", "/"), ("DELETE", "/key/k"), ("GET", "/jmx"),
                                 ("GET", "/conf"), ("POST", "/key/k")):
                r = s.call(method, f"{path}?{q}", {} if method == "POST" else None)
                equal((r.status, r.reason), (403, "Forbidden"), f"{method} {path}?{q[:40]}: {r}")
                expect("is not allowed to impersonate" in r.error()[1], repr(r))
        equal(len(s.versions("k")), 1)


@test("what is no delegation token is refused, not taken for no token at all", "T-07")
def delegation():
    with one_server() as s:
        for q in ("delegation=abc", "delegation=", "delegation=" + "x" * 9000, "delegation=%zz", "delegation"):
            r = s.call("GET", "/keys/names?" + q)
            expect(r.status in (401, 403), f"{q[:30]}: {r}")
        r = s.call("GET", "/keys/names", headers={"X-Hadoop-Delegation-Token": "abc"})
        equal(r.status, 403)
        equal(r.error()[0], "AuthenticationException")
        for op in ("GETDELEGATIONTOKEN", "getdelegationtoken", "RENEWDELEGATIONTOKEN", "CANCELDELEGATIONTOKEN"):
            for method in ("GET", "PUT"):
                r = s.call(method, f"/kms/v1/?op={op}", user=None)
                expect(r.status >= 400, f"{method} {op}: {r}")


@test("groups of the operating system count for the user that was let in, not for one he names in a cookie", "T-08")
def groups_of_the_right_user():
    user = next((p.pw_name for p in pwd.getpwall() if any(p.pw_name in g.gr_mem for g in grp.getgrall())), None)
    group = None
    if user:
        group = next(g.gr_name for g in grp.getgrall() if user in g.gr_mem)
    else:
        user, group = "root", grp.getgrgid(pwd.getpwnam("root").pw_gid).gr_name
    with one_server(site={"svsm.kms.groups.os": "true"},
                    acls={**OPEN_ACLS, "hadoop.kms.acl.GET_KEYS": " " + group,
                          "hadoop.kms.blacklist.GET_METADATA": " " + group}) as s:
        equal(s.call("GET", "/keys/names", user=user).status, 200)
        equal(s.call("GET", "/keys/names", user="mallory").status, 403)
        forged = {"Cookie": f"hadoop.auth=u={user}&p={user}&t=simple-dt&e={ms(100)}&s=AAAA"}
        r = s.call("GET", "/keys/names", user="mallory", headers=forged)
        expect(r.status in (401, 403), f"mallory got the rights of {user}'s group: {r}")
        equal(s.call("GET", "/key/x/_metadata", user=user).status, 403)
        other = {"Cookie": f"hadoop.auth=u=mallory&p=mallory&t=simple-dt&e={ms(100)}&s=AAAA"}
        r = s.call("GET", "/key/x/_metadata", user=user, headers=other)
        expect(r.status in (401, 403), f"{user} got around the blacklist: {r}")
        # A cookie of one's own that went stale still does no harm.
        own = {"Cookie": f"hadoop.auth=u={user}&p={user}&t=simple-dt&e=1&s=AAAA"}
        equal(s.call("GET", "/keys/names", user=user, headers=own).status, 200)


@test("groups of the operating system are those of the name that the core decides on, whatever shows it", "T-08")
def groups_of_every_credential():
    group = grp.getgrgid(pwd.getpwnam("root").pw_gid).gr_name
    proxies = {f"hadoop.kms.proxyuser.{u}.{k}": "*" for u in ("px", "root") for k in ("users", "hosts")}
    with one_server(site={"svsm.kms.groups.os": "true", **file_secret(), **proxies},
                    acls={**OPEN_ACLS, "hadoop.kms.acl.GET_KEYS": " " + group,
                          "hadoop.kms.blacklist.GET_METADATA": " " + group}) as s:
        def token(user, more=""):
            r = s.call("GET", f"/kms/v1/?op=GETDELEGATIONTOKEN&user.name={user}{more}", user=None)
            equal(r.status, 200, repr(r))
            return r.json()["Token"]["urlString"]

        def cookie(user):       # as a server that shares the secret may write it: not our order
            return f"hadoop.auth={sign(f'p={user}&t=simple-dt&u=nobody&e={ms(100)}&u={user}')}"

        def shown_for(user, other):
            """What makes the core decide on user, with everything beside it that names the other."""
            by_token = {"X-Hadoop-Delegation-Token": token(user)}
            yield f"?user.name={user}", {}
            yield f"?user.name={user}", {"Cookie": f"hadoop.auth=u={other}&p={other}&t=simple-dt&e={ms(100)}&s=AAAA"}
            yield f"?user.name={user}", {"Cookie": f"hadoop.auth={sign(f'u={other}&p={other}&t=simple-dt&e={ms(-1)}')}"}
            yield "", {"Cookie": cookie(user)}
            yield f"?user.name={other}", {"Cookie": cookie(user)}
            yield "", {"Cookie": cookie(user), "X-Hadoop-Delegation-Token": token(other)}
            yield "", by_token
            yield f"?user.name={other}&doAs={other}", by_token
            yield "", {"X-Hadoop-Delegation-Token": token("px", f"&doAs={user}")}
            yield f"?user.name=px&doAs={user}", {}
            yield f"?doAs={user}&user.name={other}", {"Cookie": cookie("px"), "X-Hadoop-Delegation-Token": token(other)}

        for user, other, names, metadata in (("root", "mallory", 200, 403), ("mallory", "root", 403, 200)):
            for query, headers in shown_for(user, other):
                for path, want in (("/keys/names", names), ("/key/x/_metadata", metadata)):
                    r = s.call("GET", path + query, user=None, headers=headers)
                    equal(r.status, want, f"{user} {path}{query} {sorted(headers)}: {r}")


@test("operation and key ACLs decide each operation; a denied one changes nothing", "T-09")
def rights():
    acls = {"hadoop.kms.acl.CREATE": "maker", "hadoop.kms.acl.DELETE": "maker", "hadoop.kms.acl.ROLLOVER": "maker",
            "hadoop.kms.acl.GET": "maker", "hadoop.kms.acl.SET_KEY_MATERIAL": "setter",
            "hadoop.kms.blacklist.DECRYPT_EEK": "hdfs", **OPEN_ACLS, "key.acl.own.MANAGEMENT": "maker",
            "key.acl.own.READ": "reader"}
    with one_server(acls=acls) as s:
        equal(s.call("POST", "/keys", {"name": "k"}).status, 403)
        s.create("k", user="maker")
        s.create("own", user="maker")
        r = s.call("POST", "/keys", {"name": "m", "material": "AAAAAAAAAAAAAAAAAAAAAA"}, user="maker")
        equal((r.status, r.error()[1]), (403, "User:maker not allowed to do 'CREATE_KEY' on 'm'"))
        equal(s.call("DELETE", "/key/k").status, 403)
        equal(s.call("POST", "/key/k", {}).status, 403)
        r = s.call("GET", "/key/own/_currentversion", user="maker")
        equal((r.status, r.error()[1]), (403, "User [maker] is not authorized to perform [READ] on key with ACL name [own]!!"))
        eek = s.call("GET", "/key/k/_eek?eek_op=generate").json()[0]
        body = {"name": "k", "iv": eek["iv"], "material": eek["encryptedKeyVersion"]["material"]}
        equal(s.call("POST", "/keyversion/k%400/_eek?eek_op=decrypt", body).status, 200)
        equal(s.call("POST", "/keyversion/k%400/_eek?eek_op=decrypt", body, user="hdfs").status, 403)
        r = s.call("GET", "/key/own/_eek?eek_op=generate")
        expect(r.status in (403, 500) and not isinstance(r.json(), list), repr(r))
        equal(sorted(s.names()), ["k", "own"])
        equal(s.call("GET", "/key/k/_metadata").json()["versions"], 1)
        # material is withheld from whoever may make keys but not read them
        r = s.call("POST", "/key/k", {}, user="maker")
        expect(r.json()["material"], repr(r))


@test("material is withheld from who may create but not read", "T-09")
def withheld():
    with one_server(acls={**OPEN_ACLS, "hadoop.kms.acl.GET": "reader"}) as s:
        equal(s.create("k")["material"], None)
        equal(s.call("POST", "/key/k", {}).json()["material"], None)
        expect(s.create("k2", user="reader")["material"], "the reader gets it")


@test("when access to pages is for administrators only, others are refused", "T-10")
def administrators():
    with one_server(site={"hadoop.kms.http.administrators": "root,admin"},
                    core={"hadoop.security.authorization": "true",
                          "hadoop.security.instrumentation.requires.admin": "true"}) as s:
        for page in ("/jmx", "/conf", "/stacks", "/kms/jmx"):
            equal(s.call("GET", page, user="admin").status, 200, page)
            equal(s.call("GET", page + "?doAs=admin", user="alice").status, 403, page)
            r = s.call("GET", page, user="alice")
            equal(r.status, 403, f"{page}: {r!r:.300}")
            equal(r.reason, "Unauthenticated users are not authorized to access this page.")
    with one_server(core={"hadoop.security.authorization": "true",
                          "hadoop.security.instrumentation.requires.admin": "true"}) as s:
        equal(s.call("GET", "/jmx", user="admin").status, 403, "no administrators: nobody")


def shown(s, cookie):
    with s.conn() as c:
        return c.request("GET", "/kms/v1/keys/names", headers={"Cookie": f'hadoop.auth="{cookie}"'})


@test("a stranger's credentials are refused for as long as there is an allowance, then turned away before they fill a disk", "T-168")
def turned_away():
    good = sign(f"u=alice&p=alice&t=simple-dt&e={int(time.time() + 3000) * 1000}")
    forged = sign(f"u=alice&p=alice&t=simple-dt&e={int(time.time() + 3000) * 1000}", b"another secret")
    with Server(site={**file_secret(), "svsm.kms.failed-logins.per-minute": "1"}) as s:
        equal(shown(s, good).status, 200)
        equal(shown(s, forged).status, 401)
        # A minute's worth is one: what follows reaches neither the core nor the disk.
        before = s.health()["auditWritten"]
        for _ in range(30):
            r = shown(s, forged)
            equal(r.status, 429, repr(r))
            expect(0 < int(r.header("Retry-After")) <= 60, repr(r))
        equal(s.health()["auditWritten"], before)
        expect("svsm_kms_failed_logins_turned_away_total 30" in s.call("GET", "/metrics", user=None).body.decode())
        # Whoever was let in before, from the same address, goes on; so does one without a credential.
        equal(shown(s, good).status, 200)
        equal(s.call("GET", "/keys/names", user="bob").status, 200)
        equal(s.call("GET", "/keys/names", user=None).status, 401)
        equal(s.call("GET", "/keys/names", user=None, headers={"X-Hadoop-Delegation-Token": "AAAA"}).status, 429)
        equal(s.call("PUT", "/kms/v1/?op=CANCELDELEGATIONTOKEN&token=AAAA", user=None).status, 429)
        # A cookie that is new to the proxy is what a forged one looks like.
        equal(shown(s, sign(f"u=bob&p=bob&t=simple-dt&e={int(time.time() + 3000) * 1000}")).status, 429)
        site = os.path.join(s.conf, "kms-site.xml")
        with open(site, encoding="utf-8") as f:
            text = f.read()
        write(site, text.replace("<name>svsm.kms.failed-logins.per-minute</name><value>1<",
                                 "<name>svsm.kms.failed-logins.per-minute</name><value>0<"))
        s.signal(1)
        wait_for(lambda: "configuration reloaded" in s.log())
        for _ in range(5):
            equal(shown(s, forged).status, 401)


@test("a cookie that was good once does not open the way for what is refused after it has expired", "T-168")
def expired_friend():
    with Server(site={**file_secret(), "svsm.kms.failed-logins.per-minute": "1"}) as s:
        short = sign(f"u=alice&p=alice&t=simple-dt&e={int(time.time() + 5) * 1000}")
        equal(shown(s, short).status, 200)
        wait_for(lambda: shown(s, short).status == 401)
        equal(shown(s, short).status, 429)


@test("a job that shows its ended token on and on does not keep out who logs in from the same host", "T-168")
def ended_token():
    with Server(site={**file_secret(), "svsm.kms.failed-logins.per-minute": "64"}) as s:
        job = s.call("GET", "/kms/v1/?op=GETDELEGATIONTOKEN&renewer=bob").json()["Token"]["urlString"]
        equal(s.call("PUT", "/kms/v1/?op=CANCELDELEGATIONTOKEN&token=" + job, user=None).status, 200)
        seen = [s.call("GET", "/keys/names", user=None, headers={"X-Hadoop-Delegation-Token": job}).status for _ in range(200)]
        equal(sorted(set(seen)), [403, 429])
        equal(seen[:2], [403, 429])
        equal(shown(s, sign(f"u=bob&p=bob&t=simple-dt&e={int(time.time() + 3000) * 1000}")).status, 200)


@test("requests with no credential at all do not fill the disk with lines of kms-audit.log", "T-168")
def bare():
    with Server(site={"svsm.kms.failed-logins.per-minute": "1"}) as s:
        for _ in range(30):
            equal(s.call("GET", "/keys/names?x=" + "y" * 500, user=None).status, 401)
        equal(s.call("GET", "/keys/names", user="bob").status, 200)
        expect("svsm_kms_unauthenticated_not_logged_total 29" in s.call("GET", "/metrics", user=None).body.decode())
        equal(s.stop(), 0)
        with open(os.path.join(s.data, "kms-audit.log"), encoding="utf-8") as f:
            equal(sum("UNAUTHENTICATED" in line for line in f), 1)


@test("cancelling asks for no other credential than the token, and is no way to fill the disk either", "T-168")
def cancelled():
    with Server(site={"svsm.kms.failed-logins.per-minute": "1"}) as s:
        def cancel(token):
            return s.call("PUT", "/kms/v1/?op=CANCELDELEGATIONTOKEN&token=" + token, user=None).status

        def fetch():
            return s.call("GET", "/kms/v1/?op=GETDELEGATIONTOKEN&renewer=bob").json()["Token"]["urlString"]

        used, unused = fetch(), fetch()
        equal(s.call("GET", "/keys/names", user=None, headers={"X-Hadoop-Delegation-Token": used}).status, 200)
        equal(cancel("AAAA"), 404)
        before = s.health()["auditWritten"]
        for _ in range(10):
            equal(cancel("AAAA"), 429)
        equal(s.health()["auditWritten"], before)
        equal(cancel(unused), 429)
        equal(cancel(used), 200)
        equal([cancel(used), cancel(used)], [404, 429])     # refused once, it is not known any more
