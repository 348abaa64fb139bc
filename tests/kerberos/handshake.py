# SPDX-License-Identifier: Apache-2.0
"""Who is let in: real clients with real tickets."""

import base64
import json
import os
import subprocess
import threading

import kdc
import wire
from kms import Skip, equal, expect, fresh_dir, test, wait_for
from setting import (AUTH, KIND, NAMES, PASSWORD, REFERENCE, accepted, cache, cookie_of, login, ours_only, realm, refused,
                     secure_site, server)
from spnego import KRB5, MUTUAL, Context, Flag


def curl(s, *args, cache_of="alice", path=NAMES):
    url = f"http://localhost:{s.port}{path}"
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--max-time", "60", "-i", "--negotiate", "-u", ":", *args, url],
                          capture_output=True, text=True, env=realm().env(cache(cache_of)), check=False)
    equal(done.returncode, 0, done.stderr)
    return done.stdout


@test("curl --negotiate is let in, and afterwards by its cookie alone")
def curl_negotiates():
    features = subprocess.run(["curl", "-V"], capture_output=True, text=True, check=False).stdout
    if "SPNEGO" not in features:
        raise Skip("this curl cannot negotiate")
    with server() as s:
        jar = os.path.join(fresh_dir(), "jar")
        said = curl(s, "-c", jar)
        expect(said.startswith("HTTP/1.1 200"), said)
        expect("WWW-Authenticate: Negotiate " in said and "t=kerberos-dt" in said, said)
        text = next(line.split("\t")[6].strip('"\n') for line in open(jar) if "hadoop.auth" in line)
        answer = s.by_cookie(text)
        equal(answer.status, 200)
        equal(answer.all("Set-Cookie") + answer.all("WWW-Authenticate"), [])
        name = f"curl-{os.getpid()}"
        made = curl(s, "-X", "POST", "-H", "Content-Type: application/json", "-d", json.dumps({"name": name}),
                    path="/kms/v1/keys")
        expect("HTTP/1.1 201" in made, made)
        expect(name.encode() in s.by_cookie(text).body)


@test("curl without a ticket is told how to log in, and is not let in")
def curl_without_ticket():
    with server() as s:
        done = subprocess.run(["curl", "-sS", "--noproxy", "*", "-i", "--negotiate", "-u", ":",
                               f"http://localhost:{s.port}{NAMES}"], capture_output=True, text=True,
                              env=realm().env(), check=False)
        expect(done.stdout.startswith("HTTP/1.1 401") and "WWW-Authenticate: Negotiate" in done.stdout, done.stdout)


@test("requests-kerberos is let in and finds the server's proof of itself good")
def requests_kerberos():
    try:
        import requests
        from requests_kerberos import REQUIRED, HTTPKerberosAuth
    except ImportError as why:
        raise Skip(f"{why}: tools/deps test") from None
    with server() as s:
        os.environ.update(realm().env(cache("bob")))
        with requests.Session() as session:
            session.trust_env = False
            session.auth = HTTPKerberosAuth(mutual_authentication=REQUIRED)
            url = f"http://localhost:{s.port}"
            answer = session.get(url + NAMES)
            equal(answer.status_code, 200)
            expect(answer.request.kerberos_authenticated if hasattr(answer.request, "kerberos_authenticated") else True)
            expect("u=bob&p=bob@EXAMPLE.COM&t=kerberos-dt" in answer.headers["Set-Cookie"], answer.headers)
            name = f"requests-{os.getpid()}"
            equal(session.post(url + "/kms/v1/keys", json={"name": name}).status_code, 201)
            expect(name in session.get(url + NAMES).json())


@test("the server proves itself, to SPNEGO and to plain Kerberos clients, and each answer fits its own request only")
def mutual():
    with server() as s:
        for mech in ({}, {"mech": KRB5}):
            one, other = login(**mech), login(**mech)
            first, second = s.negotiate(one), s.negotiate(other)
            accepted(first)
            expect(first.first("WWW-Authenticate") != second.first("WWW-Authenticate"), "the same proof twice")
            expect(not login(**mech).finish(first.first("WWW-Authenticate")), "a proof for another request is believed")
            expect(one.finish(first.first("WWW-Authenticate")), "no proof")
            expect(other.finish(second.first("WWW-Authenticate")), "no proof")


@test("a client that asks for no proof, and one that hands on its ticket, are let in")
def flags():
    with server() as s:
        accepted(s.negotiate(login(flags=0)))
        forwardable = realm().kinit("alice", password=PASSWORD)
        realm().admin("modprinc +ok_as_delegate HTTP/localhost")
        context = login(credentials=forwardable, flags=MUTUAL | Flag.delegate_to_peer)
        expect(len(context.token) > len(login().token) + 500, "no ticket was handed on")
        answer = s.negotiate(context)
        accepted(answer)
        expect(context.finish(answer.first("WWW-Authenticate")))


@test("every AES kind of key, for the ticket and for the session")
def kinds_of_keys():
    r, services = realm(), {}
    for short in ("aes256-sha1", "aes128-sha1", "aes256-sha2", "aes128-sha2"):
        services[short] = f"{short}.example.com"
        r.keytab("kinds.keytab", f"HTTP/{services[short]}", enctypes=KIND[short])
        # So that every kind of session key is possible with every kind of ticket.
        r.admin(f"setstr HTTP/{services[short]} session_enctypes {','.join(KIND[k] for k in KIND if k != 'rc4')}")
    with server(secure_site(str(r.dir / "kinds.keytab"), "*")) as s:
        for session in services:
            conf = r.dir / f"{session}.conf"
            conf.write_text(r.client_conf(KIND[session]))
            mine = r.kinit("alice", password=PASSWORD, conf=conf)
            for ticket, host in services.items():
                context = login(target=f"HTTP@{host}", credentials=mine, conf=conf)
                answer = s.negotiate(context)
                equal(answer.status, 200, f"session {session}, ticket {ticket}: {answer.reason}")
                expect(context.finish(answer.first("WWW-Authenticate")), f"session {session}, ticket {ticket}: no proof")
            kinds = subprocess.run(["klist", "-e", "-c", mine], capture_output=True, text=True, check=False,
                                   env=r.env(mine)).stdout
            for ticket in services.values():
                expect(f"HTTP/{ticket}" in kinds, kinds)
            expect(f"(skey, tkt): {KIND[session]}" in kinds, kinds)


@test("with `*` every HTTP principal of the keytab, otherwise the one that is named")
def principals():
    with server(secure_site(principal="*")) as s:
        for target in ("HTTP@localhost", "HTTP@other.example.com"):
            accepted(s.negotiate(login(target=target)))
    ours_only()     # Java takes what the keytab has
    with server(secure_site(principal="HTTP/other.example.com")) as s:
        accepted(s.negotiate(login(target="HTTP@other.example.com")))
        refused(s.negotiate(login(target="HTTP@localhost")))
    with server(secure_site(principal="HTTP/localhost@EXAMPLE.COM")) as s:
        accepted(s.negotiate(login()))


RULES = {AUTH + "kerberos.name.rules":
         "RULE:[2:$1@$0](hdfs@EXAMPLE.COM)s/.*/superuser/ RULE:[1:$1@$0](b.*@EXAMPLE\\.COM)s/@.*// DEFAULT"}


@test("name rules make the user of the principal; the cookie has both, rights go by the user")
def name_rules():
    with server({**secure_site(), **RULES}, acls=None if REFERENCE else {
            "hadoop.kms.acl.GET_KEYS": "superuser,bob", "default.key.acl.READ": "*"}) as s:
        text = accepted(s.negotiate(login("hdfs/nn.example.com")), "superuser", "hdfs/nn.example.com@EXAMPLE.COM")
        equal(s.by_cookie(text).status, 200)
        accepted(s.negotiate(login("bob")), "bob", "bob@EXAMPLE.COM")
        accepted(s.negotiate(login("alice")), status=200 if REFERENCE else 403)
    ours_only()
    with server({**secure_site(), AUTH + "kerberos.name.rules": "RULE:[1:$1@$0](.*@EXAMPLE\\.COM)s/@.*//"}) as s:
        accepted(s.negotiate(login()))
        refused(s.negotiate(login("alice/admin")), "rule")


@test("in `mit` mode a name that no rule changes stays whole")
def mit_rules():
    with server({**secure_site(), AUTH + "kerberos.name.rules": "RULE:[1:$1@$0](bob@EXAMPLE.COM)s/@.*//",
                 AUTH + "kerberos.name.rules.mechanism": "mit"}) as s:
        accepted(s.negotiate(login("alice/admin")), "alice/admin@EXAMPLE.COM", "alice/admin@EXAMPLE.COM")
        accepted(s.negotiate(login("bob")), "bob", "bob@EXAMPLE.COM")


@test("the handshake of Hadoop's client: OPTIONS, 401, OPTIONS with a token, then the cookie alone")
def hadoops_handshake():
    with server() as s:
        keep = wire.Connection("127.0.0.1", s.port)
        answer = s.ask("OPTIONS", "/kms/v1/", connection=keep)
        refused(answer, "Authentication required", status=401)
        equal(answer.body, b"")
        context = login()
        answer = s.negotiate(context, "OPTIONS", "/kms/v1/", connection=keep)
        text = accepted(answer)
        expect(context.finish(answer.first("WWW-Authenticate")))
        name = f"handshake-{os.getpid()}".encode()
        for method, path, body, status in (("POST", "/kms/v1/keys", b'{"name":"%s"}' % name, 201), ("GET", NAMES, None, 200),
                                           ("GET", "/kms/v1/key/%s/_eek?eek_op=generate&num_keys=3" % name.decode(), None, 200),
                                           ("DELETE", "/kms/v1/key/" + name.decode(), None, 200)):
            answer = s.ask(method, path, {"Cookie": f'hadoop.auth="{text}"'}, body, keep)
            equal(answer.status, status, f"{method} {path}: {answer.body}")
            equal(answer.all("WWW-Authenticate") + answer.all("Set-Cookie"), [])
        keep.close()


@test("a token may come with any operation; cookie and proof go with the operation's own answer, whatever it is")
def with_any_operation():
    with server() as s:
        name = f"direct-{os.getpid()}"
        context = login()
        answer = s.negotiate(context, "POST", "/kms/v1/keys", body=json.dumps({"name": name, "length": 256}).encode())
        accepted(answer, status=201)
        expect(context.finish(answer.first("WWW-Authenticate")))
        context = login()
        answer = s.negotiate(context, "GET", f"/kms/v1/key/{name}/_eek?eek_op=generate&num_keys=500")
        accepted(answer)
        equal(len(json.loads(answer.body)), 500)
        for method, path, body, status in (("POST", "/kms/v1/keys", b"{}", 400), ("GET", "/kms/v1/no-such", None,
                                           500 if REFERENCE else 404), ("DELETE", f"/kms/v1/key/{name}", None, 200)):
            context = login()
            answer = s.negotiate(context, method, path, body=body)
            accepted(answer, status=status)
            expect(context.finish(answer.first("WWW-Authenticate")), f"{method} {path}")


@test("user.name and other credentials mean nothing under Kerberos; a valid cookie wins over a token")
def what_counts():
    with server() as s:
        accepted(s.negotiate(login(), path=NAMES + "?user.name=bob"))
        text = s.log_in("bob")
        for header in ("Negotiate YTpi", login().header, "Basic YTpi"):
            answer = s.ask(headers={"Cookie": f"hadoop.auth={text}", "Authorization": header})
            equal(answer.status, 200)
            equal(answer.all("Set-Cookie") + answer.all("WWW-Authenticate"), [])
        accepted(s.ask(headers={"Cookie": "hadoop.auth=u=root&p=root&t=kerberos-dt&e=1&s=x", "Authorization": login().header}))


@test("many at once: no handshake is taken for the replay of another")
def many_at_once():
    users, rounds = ("alice", "bob", "carol"), 3 if REFERENCE else 12
    with server() as s:
        headers = [(u, login(u).header) for _ in range(rounds) for u in users for _ in range(2)]
        wrong, lock = [], threading.Lock()

        def work(part):
            for user, header in part:
                answer = s.negotiate(header)
                if answer.status != 200 or f"u={user}&" not in (answer.first("Set-Cookie") or ""):
                    with lock:
                        wrong.append((user, answer.status, answer.reason))
        threads = [threading.Thread(target=work, args=(headers[i::8],)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        equal(wrong, [])


SCHEMES = AUTH + "multi-scheme-auth-handler."
WEB = "org.apache.hadoop.security.token.delegation.web."


@test("the handler may be named by its class, alone or behind the one for several schemes, whose cookies are of another type")
def by_class():
    with server({**secure_site(), AUTH + "type": WEB + "KerberosDelegationTokenAuthenticationHandler"}) as s:
        accepted(s.negotiate(login()))
    with server({**secure_site(), AUTH + "type": WEB + "MultiSchemeDelegationTokenAuthenticationHandler",
                 SCHEMES + "schemes": "negotiate", SCHEMES + "schemes.negotiate.handler": "kerberos",
                 SCHEMES + "delegation.schemes": "negotiate"}) as s:
        refused(s.ask(), "Authentication required", status=401)
        context = login()
        answer = s.negotiate(context)
        equal(answer.status, 200, answer.reason)
        expect(context.finish(answer.first("WWW-Authenticate")))
        text, (user, principal, kind, _) = cookie_of(answer)
        equal((user, principal, kind), ("alice", "alice@EXAMPLE.COM", "kerberos"))
        equal(s.by_cookie(text).status, 200)
        equal(s.by_cookie(text, "/kms/v1/?op=GETDELEGATIONTOKEN").status, 200)
        refused(s.negotiate("Negotiate YTpi"))


@test("a cookie of a Kerberos login ends, and then a token is asked for again")
def cookie_ends():
    with server({**secure_site(), AUTH + "token.validity": "2"}) as s:
        text = s.log_in()
        equal(s.by_cookie(text).status, 200)
        wait_for(lambda: s.by_cookie(text).status != 200, "the cookie does not end")
        refused(s.by_cookie(text), "AuthenticationToken expired", status=401)
        accepted(s.ask(headers={"Cookie": f"hadoop.auth={text}", "Authorization": login().header}))


@test("the audit log names the whole principal")
def audit_names():
    ours_only()
    with server({**secure_site(), **RULES}) as s:
        text = accepted(s.negotiate(login("hdfs/nn.example.com")), "superuser", "hdfs/nn.example.com@EXAMPLE.COM")
        equal(s.ask("POST", "/kms/v1/keys", {"Cookie": f"hadoop.auth={text}"}, b'{"name":"audited"}').status, 201)
        line = "OK[op=CREATE_KEY, key=audited, user=hdfs/nn.example.com@EXAMPLE.COM]"
        wait_for(lambda: line in s.audit(), lambda: s.audit())
