# SPDX-License-Identifier: Apache-2.0
"""`svsm-kms` with a ticket: who is let in, and servers that do not prove themselves, or never stop asking."""

import dataclasses
import functools
import http.server
import json
import os
import pathlib
import subprocess
import threading

import kms
import spnego
from cluster import take_over
from kms import BIN, Skip, equal, expect, fresh_dir, test
from refusals import need_clock, ticket_of
from setting import AUTH, PASSWORD, cache, foreign, ours_only, realm, secure_site, server

OK, USAGE, CONNECT, REFUSED, AUTHENTICATION = 0, 2, 3, 1, 4


class Done:
    """What a run of the command came to."""

    def __init__(self, args, environment, stdin):
        done = subprocess.run([BIN, *args], input=stdin, capture_output=True, text=True, env=environment, timeout=120,
                              check=False)
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def ok(self):
        equal(self.code, OK, self.err)
        return self.out

    def fails(self, code, *words):
        equal(self.code, code, f"{self.out} {self.err}")
        for word in words:
            expect(word in self.err, f"{word!r} is not in {self.err!r}")
        return self.err


def url_of(s, scheme="http", host="localhost"):
    return f"{scheme}://{host}:{getattr(s, 'port', s)}/kms"


def run(s, *args, user="alice", credentials=None, scheme="http", host="localhost", stdin=None, environment=None, **more):
    """The command against a server, with the ticket of a user, or the cache that is named."""
    credentials = credentials or (cache(user) if user else None)
    return Done([*args, "--url", url_of(s, scheme, host)], {**realm().env(credentials, **more), **(environment or {})}, stdin)


# --- who is let in ------------------------------------------------------------------------------------

@test("the command logs in with the ticket of kinit where the server asks for one, and is its principal")
def ticket():
    with server() as s:
        for options in ((), ("--negotiate",)):
            name = f"made{len(options)}"
            equal(run(s, "key", "create", name, *options, stdin="").code, OK)
            expect(name in run(s, "key", "list", *options, user="bob").ok())
            sealed = run(s, "eek", "generate", name, *options).ok()
            plain = run(s, "eek", "decrypt", *options, stdin=sealed).ok()
            equal(len(plain.strip()), 22)
            equal(run(s, "eek", "decrypt", *options, stdin=run(s, "eek", "reencrypt", stdin=sealed).ok()).ok(), plain)
            run(s, "key", "roll", name, *options).ok()
            run(s, "key", "invalidate", name, *options).ok()
            run(s, "key", "delete", name, "--yes", *options).ok()
        said = s.audit()
        expect("user=alice@EXAMPLE.COM" in said and "user=bob@EXAMPLE.COM" in said, said)


@test("health and doctor need no ticket, bench uses one")
def others():
    ours_only()
    with server() as s:
        expect("process" in run(s, "health", user=None).ok())
        run(s, "bench", "--connections", "2", "--seconds", "1").ok()


@test("one login for all requests of a run")
def one_login():
    with server() as s, Relay(s) as r:
        run(r, "key", "create", "once").ok()
        r.seen.clear()
        run(r, "key", "show", "once", "--versions").ok()
        equal(sum("Authorization" in q.headers for q in r.seen), 1, r.said())
        expect(len(r.seen) >= 3, r.said())
        equal([q.command for q in r.seen if "Authorization" in q.headers], ["OPTIONS"])


@test("with --negotiate nothing goes out before the server has proved itself, no name ever")
def nothing_before():
    with server() as s, Relay(s) as r:
        run(r, "key", "create", "careful", "--negotiate").ok()
        equal([(q.command, "user.name" in q.path) for q in r.seen], [("OPTIONS", False), ("POST", False)])
        expect("Authorization" in r.seen[0].headers and r.seen[1].headers["Cookie"].startswith("hadoop.auth="), r.said())


@test("a server that lets in by name is refused with --negotiate")
def by_name():
    with server({AUTH + "type": "simple"}) as s:
        path = os.path.join(fresh_dir(), "token")
        run(s, "token", "get", "--user", "alice", "--out", path).ok()
        run(s, "key", "list", "--token", path, user=None).ok()
        run(s, "key", "list", "--negotiate").fails(AUTHENTICATION, "knows no login by Kerberos")


@test("a ticket over HTTPS, the server's certificate checked first")
def https():
    conf, ca = take_over()
    with server(conf=conf) as s:
        run(s, "key", "create", "over-tls", "--ca", ca.cert, user="keyadmin", scheme="https").ok()
        run(s, "key", "list", "--ca", ca.cert, "--negotiate", user="keyadmin", scheme="https").ok()
        run(s, "key", "list", user="keyadmin", scheme="https").fails(CONNECT, "certificate is not accepted")
        run(s, "key", "list", "--ca", ca.cert, scheme="https").fails(AUTHENTICATION, "alice")       # not her right
        run(s, "key", "list", "--ca", ca.cert, user=None, scheme="https").fails(AUTHENTICATION, "run kinit")


@test("--user picks the principal whose ticket is used, and another's is not taken for it")
def principal():
    with server() as s:
        both = f"DIR:{fresh_dir()}"
        for user in ("alice", "bob"):
            subprocess.run(["kinit", user], input=PASSWORD + "\n", text=True, stdout=subprocess.DEVNULL, check=True,
                           env={**realm().env(), "KRB5CCNAME": both})
        for user in ("alice", "bob"):
            run(s, "key", "create", f"of-{user}", "--user", user, environment={"KRB5CCNAME": both}).ok()
            expect(f"key=of-{user}, user={user}@EXAMPLE.COM" in s.audit(), s.audit())
        run(s, "key", "list", "--user", "carol", environment={"KRB5CCNAME": both}).fails(
            AUTHENTICATION, "carol@EXAMPLE.COM", "leave out --user")
        run(s, "key", "list", "--user", "bob").fails(AUTHENTICATION, "leave out --user")


@test("of several hosts the ticket is for the one that answers")
def several_hosts():
    with server() as s:
        run(s, "key", "create", "of-the-second").ok()
        for options in ((), ("--negotiate",)):
            done = Done(["key", "list", "--url", f"kms://http@127.9.9.9;localhost:{s.port}/kms", *options],
                        realm().env(cache("alice")), None)
            expect("of-the-second" in done.ok())


@test("a client's keytab logs in without kinit, for unattended use")
def client_keytab():
    r = realm()
    r.add("batch")
    with server() as s:
        run(s, "key", "create", "unattended", environment={
            "KRB5_CLIENT_KTNAME": r.keytab("batch.keytab", "batch"), "KRB5CCNAME": f"FILE:{fresh_dir()}/cc"}).ok()
        expect("user=batch@EXAMPLE.COM" in s.audit(), s.audit())


@test("tokens are fetched with a ticket, used without one, renewed and cancelled")
def tokens():
    with server() as s:
        path = os.path.join(fresh_dir(), "token")
        kms.write(path, run(s, "token", "get", "--renewer", "bob").ok())
        run(s, "key", "create", "by-token", "--token", path, user=None).ok()
        expect("20" in run(s, "token", "renew", path, user="bob").ok())
        run(s, "token", "renew", path, user="carol").fails(AUTHENTICATION)
        run(s, "token", "cancel", path).ok()
        run(s, "key", "list", "--token", path, user=None).fails(AUTHENTICATION)
        run(s, "key", "list", "--token", path, "--negotiate").fails(USAGE, "not both")


# --- who is not ---------------------------------------------------------------------------------------

@test("without a ticket: what to do, and nothing else is tried")
def no_ticket():
    with server() as s, Relay(s) as r:
        for options in ((), ("--negotiate",)):
            run(r, "key", "list", *options, user=None).fails(AUTHENTICATION, "run kinit")
        expect(not [q for q in r.seen if "Authorization" in q.headers], r.said())
        equal(len(r.seen), 1, r.said())
        document = json.loads(run(s, "key", "list", "-o", "json", user=None).fails(AUTHENTICATION))
        expect("kinit" in document["error"]["message"], document)


@test("a ticket whose time is over")
def over():
    need_clock()
    mine = ticket_of("-2h", "30m")
    with server() as s:
        run(s, "key", "list", credentials=mine).fails(AUTHENTICATION, "run kinit", "xpired")
        spnego.shift_cache(mine, 7200)      # the client believes in it, the server does not
        run(s, "key", "list", credentials=mine).fails(AUTHENTICATION, "refuses the login", "run kinit")


@test("a clock that is wrong is named")
def skew():
    need_clock()
    if kms.sanitized():
        raise Skip("libfaketime and the sanitizers do not go together")
    mine = realm().kinit("alice", password=PASSWORD)
    with server() as s:
        run(s, "key", "list", credentials=mine).ok()        # fetches the ticket: the KDC minds clocks, too
        run(s, "key", "list", credentials=mine, environment=spnego.faked("+10m")).fails(AUTHENTICATION, "set the clock")


@test("a host name that the KDC does not know, another server's, and an address")
def names():
    realm().keytab("elsewhere.keytab", "HTTP/other.example.com")
    with server(secure_site(str(realm().dir / "elsewhere.keytab"), "HTTP/other.example.com")) as s:
        run(s, "key", "list", host="127.0.0.1").fails(AUTHENTICATION, "KDC does not know", "host name")
        run(s, "key", "list").fails(AUTHENTICATION, "refuses the login")     # the KDC has that one, the keytab not


@test("a ticket of a realm that is not the server's")
def other_realm():
    with server() as s:
        strange = cache("alice", foreign())
        run(s, "key", "list", credentials=strange, conf=foreign().conf).fails(AUTHENTICATION, "refuses the login")
        run(s, "key", "list", credentials=strange).fails(AUTHENTICATION)


@test("no KDC, and a krb5.conf that names none")
def no_kdc():
    conf = os.path.join(fresh_dir(), "krb5.conf")
    mine = realm().kinit("alice", password=PASSWORD)
    with server() as s:
        text = pathlib.Path(realm().conf).read_text().replace(f"127.0.0.1:{realm().port}", "127.0.0.1:1")
        kms.write(conf, text)
        run(s, "key", "list", credentials=mine, conf=conf).fails(AUTHENTICATION, "Cannot contact any KDC", "krb5.conf")


@test("without the library everything but tickets works, and what to install is said")
def no_library():
    with server() as s, server({AUTH + "type": "simple"}) as simple:
        stub = os.path.join(fresh_dir(), "libgssapi_krb5.so.2")
        kms.write(stub, "not a library")
        hidden = {"LD_LIBRARY_PATH": os.path.dirname(stub)}
        run(simple, "key", "list", "--user", "alice", environment=hidden).ok()
        run(s, "key", "list", environment=hidden).fails(AUTHENTICATION, "libgssapi-krb5-2", "--token")


# --- servers that are not what they should be -----------------------------------------------------------

@dataclasses.dataclass
class Seen:
    """A request that arrived."""

    command: str
    path: str
    headers: dict


class Relay:
    """Between the command and a server; `change` may alter an answer: (request, answer) -> (status, headers, body)."""

    def __init__(self, behind=None, change=None):
        relay, self.seen, self.behind, self.change = self, [], behind, change

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                relay.seen.append(Seen(self.command, self.path, dict(self.headers)))
                status, headers, answer = relay.answer(self, body)
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = handle_any

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, request, body):
        if not self.behind:
            return self.change(request, None)
        told = {n: v for n, v in request.headers.items() if n in ("Authorization", "Cookie")}
        answer = self.behind.ask(request.command, request.path, told, body or None)
        headers = [(n, v) for n, v in answer.headers if n in ("WWW-Authenticate", "Set-Cookie", "Content-Type", "Date")]
        if self.change:
            return self.change(request, (answer.status, headers, answer.body))
        return answer.status, headers, answer.body

    def said(self):
        return str(self.seen)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


def at_login(alter):
    """Changes the headers of answers to requests with a ticket."""
    @functools.wraps(alter)
    def change(request, answer):
        status, headers, body = answer
        return (status, alter(headers), body) if "Authorization" in request.headers else answer
    return change


def proof(headers, new):
    return [(n, new(v) if n == "WWW-Authenticate" else v) for n, v in headers]


def flip(value):
    at = len(value) - 24
    return value[:at] + ("A" if value[at] != "A" else "B") + value[at + 1:]


@test("a server that does not prove itself, or wrongly, gets nothing but the login")
def no_proof():
    with server() as s:
        earlier = s.negotiate(spnego_login()).first("WWW-Authenticate")
        ways = {
            "no proof": lambda h: [(n, v) for n, v in h if n != "WWW-Authenticate"],
            "an empty one": lambda h: proof(h, lambda v: "Negotiate"),
            "another scheme": lambda h: proof(h, lambda v: 'Basic realm="x"'),
            "a changed one": lambda h: proof(h, flip),
            "half of it": lambda h: proof(h, lambda v: v[:len(v) // 8 * 4]),
            "not Base64": lambda h: proof(h, lambda v: "Negotiate ****"),
            "that of another login": lambda h: proof(h, lambda v: earlier),
            "only that all is well": lambda h: proof(h, lambda v: "Negotiate oQcwBaADCgEA"),
        }
        for name, way in ways.items():
            with Relay(s, at_login(way)) as r:
                for options in ((), ("--negotiate",)):
                    r.seen.clear()
                    err = run(r, "key", "create", "secret-name", *options).fails(AUTHENTICATION)
                    expect("prove" in err or "not Base64" in err, f"{name}: {err}")
                    equal([q.command for q in r.seen], ["POST"] * (not options) + ["OPTIONS"], f"{name}: {r.said()}")


def spnego_login():
    os.environ.update(realm().env())
    return spnego.Context(cache("alice"))


@test("a server that asks for a ticket for ever is left after a few requests")
def for_ever():
    with server() as s:
        real = s.negotiate(spnego_login()).first("WWW-Authenticate")
    challenges = {"bare": "Negotiate", "with a token": real, "half done": "Negotiate oQcwBaADCgEB",
                  "nonsense": "Negotiate " + "QUJD" * 50}
    for name, challenge in challenges.items():
        with Relay(change=lambda *_: (401, [("WWW-Authenticate", challenge)], b"")) as r:
            for options in ((), ("--negotiate",)):
                r.seen.clear()
                run(r, "key", "list", *options).fails(AUTHENTICATION)
                expect(len(r.seen) <= 6, f"{name}: {len(r.seen)} requests")


@test("a server that takes the ticket, and then not its own cookie, or gives none")
def no_cookie():
    with server() as s:
        with Relay(s, at_login(lambda h: [(n, v) for n, v in h if n != "Set-Cookie"])) as r:
            run(r, "key", "list").fails(AUTHENTICATION, "no hadoop.auth cookie")
        with Relay(s, lambda q, a: a if "Authorization" in q.headers else (401, [("WWW-Authenticate", "Negotiate")], b"")) as r:
            run(r, "key", "list").fails(AUTHENTICATION, "cookie that it gave")
            expect(len(r.seen) <= 4, r.said())


@test("a login that has ended is made again, once")
def again():
    with server() as s:
        def change(request, answer):
            cookies.update([request.headers.get("Cookie")])
            if request.headers.get("Cookie") and len(cookies - {None}) == 1 and "_versions" in request.path:
                return 401, [("WWW-Authenticate", "Negotiate"), ("Set-Cookie", "hadoop.auth=; HttpOnly")], b""
            return answer
        cookies = set()
        run(s, "key", "create", "again").ok()
        with Relay(s, change) as r:
            run(r, "key", "show", "again", "--material").ok()
            equal(sum("Authorization" in q.headers for q in r.seen), 2, r.said())


@test("nothing of a ticket is in the arguments, and what goes to the server is one that it can open")
def only_ours():
    with server() as s, Relay(s) as r:
        run(r, "key", "list").ok()
        equal({n for q in r.seen for n in q.headers} - {"Host", "User-Agent", "Accept", "Content-Length"},
              {"Authorization", "Cookie"})
