# SPDX-License-Identifier: Apache-2.0
"""Delegation tokens of users who log in by Kerberos: short names in them, and only tickets and cookies fetch and renew them."""

import base64
import json
import os
import re
import subprocess

import kms
from kms import equal, expect, fresh_dir, test
from setting import REFERENCE, AUTH, NAMES, login, ours_only, realm, secure_site, server

OP = "/kms/v1/?op="
INVALID = "org.apache.hadoop.security.token.SecretManager$InvalidToken: "


def fetch(s, user="alice", query="&renewer=bob"):
    context = login(user)
    answer = s.negotiate(context, "GET", OP + "GETDELEGATIONTOKEN" + query)
    equal(answer.status, 200, f"{answer.reason} {answer.body}")
    equal(answer.all("Set-Cookie"), [])
    expect(context.finish(answer.first("WWW-Authenticate")), "the server does not prove itself")
    return json.loads(answer.body)["Token"]["urlString"]


def names_in(token):
    """Owner, renewer, real user."""
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))[2:]
    names = []
    for _ in range(3):
        names.append(raw[1:1 + raw[0]].decode())
        raw = raw[1 + raw[0]:]
    return names


def use(s, token, headers=None, path=NAMES):
    return s.ask("GET", path, {"X-Hadoop-Delegation-Token": token, **(headers or {})})


@test("a ticket fetches a token, which then stands for its owner by the short name and needs no ticket")
def ticket_to_token():
    with server() as s:
        token = fetch(s)
        equal(names_in(token), ["alice", "bob", ""])
        for answer in (use(s, token), s.ask("GET", f"{NAMES}?delegation={token}"), use(s, token, path=NAMES + "?doAs=bob"),
                       use(s, token, {"Authorization": "Negotiate YWJj"}), use(s, token, {"Cookie": "hadoop.auth=bad&s=bad"})):
            equal(answer.status, 200, f"{answer.reason} {answer.body}")
            equal(answer.all("Set-Cookie") + answer.all("WWW-Authenticate"), [])


@test("the name rules make the renewer a short name, and refuse one that they make none of")
def renewers():
    with server() as s:
        for given, kept in (("bob%2Fhost.example.com%40EXAMPLE.COM", "bob"), ("yarn%40EXAMPLE.COM", "yarn"), ("x", "x")):
            equal(names_in(fetch(s, query="&renewer=" + given)), ["alice", kept, ""])
        equal(names_in(fetch(s, query="")), ["alice", "alice", ""])
        answer = s.negotiate(login(), "GET", OP + "GETDELEGATIONTOKEN&renewer=bob%40ELSE.WHERE")
        equal(answer.status, 500 if REFERENCE else 403)
    mit = {**secure_site(), AUTH + "kerberos.name.rules.mechanism": "mit"}
    with server(mit) as s:
        equal(names_in(fetch(s, query="&renewer=bob%40ELSE.WHERE")), ["alice", "bob@ELSE.WHERE", ""])


@test("without a ticket or a cookie no token is fetched or renewed, and the answer says how to log in")
def strangers():
    with server() as s:
        token = fetch(s)
        for method, op in (("GET", "GETDELEGATIONTOKEN&renewer=bob"), ("PUT", "RENEWDELEGATIONTOKEN&token=" + token)):
            for headers in ({}, {"Cookie": "hadoop.auth=bad&s=bad"}, {"X-Hadoop-Delegation-Token": token},
                            {"Authorization": "Basic YWJj"}):
                for name in ("", "&user.name=alice"):
                    answer = s.ask(method, OP + op + name, headers)
                    equal((answer.status, answer.reason, answer.body), (401, "Unauthorized", b""), f"{op} {headers}")
                    equal((answer.all("WWW-Authenticate"), answer.all("Set-Cookie")), (["Negotiate"], []))
            answer = s.negotiate("Negotiate YWJj", method, OP + op)
            equal(answer.status, 403)
            equal((answer.all("WWW-Authenticate"), answer.all("Set-Cookie")), ([], ["hadoop.auth=; HttpOnly"]))


@test("the renewer renews with a ticket or a cookie; nobody else does")
def renewing():
    with server() as s:
        token, cookie = fetch(s), s.log_in("bob")
        context = login("bob")
        answer = s.negotiate(context, "PUT", OP + "RENEWDELEGATIONTOKEN&token=" + token)
        equal(answer.status, 200, answer.reason)
        expect(context.finish(answer.first("WWW-Authenticate")))
        equal(answer.all("Set-Cookie"), [])
        answer = s.by_cookie(cookie, OP + "RENEWDELEGATIONTOKEN&token=" + token, "PUT")
        expect(re.fullmatch(rb'\{"long":\d{13}\}\n?', answer.body), answer.body)
        answer = s.negotiate(login("alice"), "PUT", OP + "RENEWDELEGATIONTOKEN&token=" + token)
        equal(answer.status, 403)
        expect(answer.reason.endswith("with non-matching renewer bob") and "alice tries to renew" in answer.reason,
               answer.reason)


@test("a cookie says who cancels; a ticket is not looked at; afterwards the token counts no more")
def cancelling():
    with server() as s:
        carol, alice = s.log_in("carol"), s.log_in("alice")
        token = fetch(s)
        cancel = OP + "CANCELDELEGATIONTOKEN&token="
        answer = s.by_cookie(carol, cancel + token, "PUT")
        equal((answer.status, answer.reason), (404, "Invalid delegation token, cannot cancel"))
        equal(use(s, token).status, 200)
        equal(s.by_cookie(alice, cancel + token, "PUT").status, 200)
        answer = use(s, token)
        equal(answer.status, 403)
        equal(json.loads(answer.body)["RemoteException"]["message"],
              INVALID + "Token for real user: , can't be found in cache")
        token = fetch(s)
        equal(s.negotiate(login("carol"), "PUT", cancel + token).status, 200)
        equal(use(s, token).status, 403)


@test("who may act for somebody fetches tokens in that name; both are short names in it")
def acting():
    site = {**secure_site(), "hadoop.kms.proxyuser.proxy.users": "carol", "hadoop.kms.proxyuser.proxy.hosts": "*"}
    with server(site) as s:
        token = fetch(s, "proxy", "&renewer=bob&doAs=carol")
        equal(names_in(token), ["carol", "bob", "proxy"])
        equal(use(s, token).status, 200)
        context = login("proxy")
        answer = s.negotiate(context, "GET", OP + "GETDELEGATIONTOKEN&doAs=dave")
        equal(answer.status, 403)
        equal(json.loads(answer.body)["RemoteException"]["message"], "User: proxy is not allowed to impersonate dave")
        equal(answer.all("Set-Cookie"), [])
        expect(context.finish(answer.first("WWW-Authenticate")))
        cookie = s.log_in("proxy")
        cancel = OP + "CANCELDELEGATIONTOKEN&token=" + token
        equal(s.by_cookie(cookie, cancel, "PUT").status, 404)
        equal(s.by_cookie(cookie, cancel + "&doAs=carol", "PUT").status, 200)


@test("svsm-kms shows a delegation token where Kerberos is wanted, also to copy keys from one such server to another")
def command():
    ours_only()

    def run(*args, code=0):
        done = subprocess.run([kms.BIN, *args], capture_output=True, text=True, timeout=60 * kms.SLOW, check=False,
                              env=realm().env())
        equal(done.returncode, code, f"{args}: {done.stdout} {done.stderr}")
        return done.stdout + done.stderr

    with server() as old, server() as new:
        urls = [f"http://localhost:{s.port}/kms" for s in (old, new)]
        files = [os.path.join(fresh_dir(), "token") for _ in urls]
        for s, file in zip((old, new), files):
            kms.write(file, s.negotiate(login(), "GET", OP + "GETDELEGATIONTOKEN").body.decode(), 0o600)
        expect("kinit" in run("key", "create", "k", "--url", urls[0], "--user", "alice", code=4))
        run("key", "create", "k", "--url", urls[0], "--token", files[0])
        copy = ("import", "--from", urls[0], "--url", urls[1], "--token", files[1])
        run(*copy, code=4)
        run(*copy, "--from-token", files[1], code=4)        # of the other server
        expect("1 copied" in run(*copy, "--from-token", files[0]))
        expect("user=alice" in new.audit(), new.audit())
