# SPDX-License-Identifier: Apache-2.0
"""Who is not let in. Each refusal is 403 with the reason in the status line (without any token: 401), and no cookie."""

import base64
import hashlib
import hmac
import os
import random
import threading
import time

import spnego
from kms import Skip, equal, expect, fresh_dir, test, write
from setting import (AUTH, NAMES, PASSWORD, REFERENCE, accepted, cache, foreign, login, ours_only, realm, refused, secure_site,
                     server)
from spnego import KRB5


def negotiate(data):
    return "Negotiate " + base64.b64encode(bytes(data)).decode()


def need_clock():
    if not spnego.faked("0"):
        raise Skip("libfaketime is not installed: tools/deps test")


@test("without a token: 401 and the way to log in, whatever name is claimed")
def no_token():
    with server() as s:
        for path in (NAMES, NAMES + "?user.name=alice", NAMES + "?user.name=alice&doAs=bob", "/kms/v1/nothing", "/kms/jmx"):
            for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "negotiate YTpi"}, {"Authorization": ""},
                            {"Cookie": "a=b"}):
                refused(s.ask(path=path, headers=headers), "Authentication required", status=401)


@test("what is no token at all is 403 and says so")
def no_tokens():
    ntlm = "TlRMTVNTUAABAAAAl4II4gAAAAAAAAAAAAAAAAAAAAAKAO5CAAAADw=="
    with server() as s:
        for text in ("Negotiate", "Negotiate ", "Negotiate %%%", "Negotiate YTpi", "Negotiate " + ntlm, "Negotiate AAAA",
                     "Negotiate " + "A" * 8000, "Negotiate YIIJ", negotiate(b"\x60\x84\xff\xff\xff\xff" + b"x" * 40)):
            for method in ("GET", "OPTIONS", "POST"):
                refused(s.ask(method, NAMES, {"Authorization": text}))


@test("the same Authorization header twice: the second is a replay")
def replays():
    with server() as s:
        for mech in ({}, {"mech": KRB5}):
            one, between = login(**mech), login("bob", **mech)
            accepted(s.negotiate(one))
            refused(s.negotiate(one), "replay")
            accepted(s.negotiate(between), "bob", "bob@EXAMPLE.COM")
            refused(s.negotiate(one, "OPTIONS", "/kms/v1/"), "replay")
            refused(s.negotiate(between), "replay")


@test("one token, sent twenty times at once, lets in once")
def replays_at_once():
    with server() as s:
        for _ in range(5):
            header, seen = login().header, []
            threads = [threading.Thread(target=lambda: seen.append(s.negotiate(header).status)) for _ in range(20)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            equal(sorted(seen), [200] + [403] * 19)


@test("an authenticator that was used is not new in another wrapping")
def replay_rewrapped():
    with server() as s:
        wrapped = login()
        # The Kerberos token stands inside SPNEGO's as it would stand alone.
        at = wrapped.token.index(b"\x60", 1)
        raw = wrapped.token[at:]
        while raw[:1] == b"\x60" and not raw[2:20].count(bytes.fromhex("2a864886f712010202")):
            raw = raw[raw.index(b"\x60", 1):]
        accepted(s.negotiate(wrapped))
        refused(s.negotiate(negotiate(raw)), "replay")


@test("a ticket of another realm, for a principal of the same name")
def other_realm():
    with server() as s:
        refused(s.negotiate(login(where=foreign())))
        accepted(s.negotiate(login()))


@test("a ticket for another service, or for a principal that the keytab does not have")
def other_service():
    with server() as s:
        refused(s.negotiate(login(target="HTTP@elsewhere.example.com")))
        refused(s.negotiate(login(target="kms@localhost")))
    realm().keytab("both.keytab", "HTTP/localhost", "kms/localhost")
    with server(secure_site(str(realm().dir / "both.keytab"), "*")) as s:
        accepted(s.negotiate(login()))
        refused(s.negotiate(login(target="kms@localhost")))     # in the keytab, but no HTTP service


@test("keys that were changed since the keytab was written; with both in the keytab, old and new tickets are good")
def other_kvno():
    r = realm()
    r.add("HTTP/rekeyed.example.com")
    old = r.keytab("old.keytab", "HTTP/rekeyed.example.com")
    earlier = r.kinit("alice", password=PASSWORD)
    login(target="HTTP@rekeyed.example.com", credentials=earlier)       # fetches the ticket
    r.rekey("HTTP/rekeyed.example.com")
    with server(secure_site(old, "*")) as s:
        accepted(s.negotiate(login(target="HTTP@rekeyed.example.com", credentials=earlier)))
        later = r.kinit("alice", password=PASSWORD)
        refused(s.negotiate(login(target="HTTP@rekeyed.example.com", credentials=later)))
    both = str(r.dir / "old-and-new.keytab")
    write(both, open(old, "rb").read())
    r.keytab(both, "HTTP/rekeyed.example.com")
    with server(secure_site(both, "*")) as s:
        accepted(s.negotiate(login(target="HTTP@rekeyed.example.com", credentials=earlier)))
        accepted(s.negotiate(login(target="HTTP@rekeyed.example.com", credentials=later)))


@test("RC4: neither for the ticket nor for the session")
def rc4():
    ours_only()     # Java takes it where krb5.conf allows weak keys
    r = realm()
    r.keytab("with-rc4.keytab", "HTTP/localhost")
    r.keytab("with-rc4.keytab", "HTTP/rc4.example.com", enctypes="arcfour-hmac")
    r.keytab("with-rc4.keytab", "HTTP/mixed.example.com", enctypes="aes256-cts-hmac-sha1-96")
    r.admin("setstr HTTP/mixed.example.com session_enctypes arcfour-hmac")
    with server(secure_site(str(r.dir / "with-rc4.keytab"), "*")) as s:
        refused(s.negotiate(login(target="HTTP@rc4.example.com")))
        conf = r.dir / "rc4.conf"
        conf.write_text(r.client_conf("arcfour-hmac aes256-cts-hmac-sha1-96"))
        mine = r.kinit("alice", password=PASSWORD)
        refused(s.negotiate(login(target="HTTP@mixed.example.com", credentials=mine, conf=conf)))
        accepted(s.negotiate(login()))


@test("a clock that is off by more than the skew, either way; a little is allowed")
def skew():
    need_clock()
    r = realm()
    with server() as s:
        ahead = r.kinit("alice", password=PASSWORD)
        login(credentials=ahead)        # fetches the ticket: the KDC minds clocks, too
        refused(s.negotiate(spnego.token_at(r, ahead, "+10m")), "skew")
        refused(s.negotiate(spnego.token_at(r, ahead, "+6m")), "skew")
        accepted(s.negotiate(spnego.token_at(r, ahead, "+4m")))
        # A client whose clock is behind thinks that its ticket is not valid yet.
        behind = r.kinit("alice", password=PASSWORD)
        login(credentials=behind)
        spnego.shift_cache(behind, -1200)
        refused(s.negotiate(spnego.token_at(r, behind, "-10m")), "skew")
        accepted(s.negotiate(spnego.token_at(r, behind, "-4m")))
    ours_only()
    with server({**secure_site(), "svsm.kms.kerberos.skew.sec": "60"}) as s:
        refused(s.negotiate(spnego.token_at(r, ahead, "+4m")), "skew")
        refused(s.negotiate(spnego.token_at(r, behind, "-4m")), "skew")
        accepted(s.negotiate(login()))


def ticket_of(offset, life):
    """A cache with a ticket that was issued at another time, by a KDC and a client that believed in it."""
    r = realm()
    r.stop()
    r.launch(spnego.faked(offset))
    mine = r.kinit("alice", password=PASSWORD, life=life, environment=spnego.faked(offset))
    spnego.token_at(r, mine, offset)
    r.stop()
    r.launch()
    return mine


@test("a ticket that has ended, with an authenticator of now")
def ended():
    need_clock()
    mine = ticket_of("-2h", "30m")
    spnego.shift_cache(mine, 7200)
    with server() as s:
        refused(s.negotiate(login(credentials=mine)), "expired")


@test("a ticket that is not valid yet, with an authenticator of now")
def not_yet():
    ours_only()     # Java looks at the start time only, which a KDC leaves out when it is that of the login
    need_clock()
    mine = ticket_of("+2h", "30m")
    spnego.shift_cache(mine, -7200)
    with server() as s:
        refused(s.negotiate(login(credentials=mine)), "yet valid")


@test("every truncation of a token")
def truncated():
    with server() as s:
        for mech in ({}, {"mech": KRB5}):
            whole = login(**mech).token
            step = 41 if REFERENCE else 5
            for length in sorted({*range(0, 64), *range(64, len(whole), step), len(whole) - 1}):
                refused(s.negotiate(negotiate(whole[:length])))
            accepted(s.negotiate(negotiate(whole)))


@test("a few hundred tokens with one bit or a stretch of bytes changed: never somebody else, mostly nobody")
def mutated():
    chance, passed, count = random.Random(1510), 0, 60 if REFERENCE else 400
    with server() as s:
        for i in range(count):
            token = bytearray(login(mech=KRB5).token if i % 4 == 0 else login().token)
            at = chance.randrange(len(token))
            how = chance.randrange(4)
            if how == 0:
                token[at] ^= 1 << chance.randrange(8)
            elif how == 1:
                del token[at:at + chance.randrange(1, 9)]
            elif how == 2:
                token[at:at] = chance.randbytes(chance.randrange(1, 9))
            else:
                token[at:at + 4] = chance.randbytes(4)
            answer = s.negotiate(negotiate(token))
            if answer.status == 200:    # what says nothing about the client: flags, lists of mechanisms
                passed += 1
                accepted(answer)
            else:
                refused(answer)
        accepted(s.negotiate(login()))
    expect(passed < count / 4, f"{passed} of {count} changed tokens were accepted")


@test("what the server itself says is no token for it")
def reflected():
    with server() as s:
        for mech in ({}, {"mech": KRB5}):
            answer = s.negotiate(login(**mech))
            refused(s.ask(headers={"Authorization": answer.first("WWW-Authenticate")}))


SECRET = b"a shared secret"


def sign(text):
    return f"{text}&s={base64.b64encode(hmac.new(SECRET, text.encode(), hashlib.sha256).digest()).decode()}"


@test("cookies that no Kerberos login of this server made: other types, other signatures, none")
def forged_cookies():
    ours_only()
    secret = os.path.join(fresh_dir(), "secret")
    write(secret, SECRET)
    later = int(time.time() * 1000) + 3600_000
    with server({**secure_site(), AUTH + "signer.secret.provider": "file", AUTH + "signature.secret.file": secret}) as s:
        good = s.by_cookie(sign(f"u=alice&p=alice@EXAMPLE.COM&t=kerberos-dt&e={later}"))
        equal(good.status, 200, good.reason)    # whoever has the secret may sign: that is what the setting is for
        for kind in ("simple-dt", "simple", "kerberos", "KERBEROS-DT", "kerberos-dt ", "x"):
            refused(s.by_cookie(sign(f"u=alice&p=alice@EXAMPLE.COM&t={kind}&e={later}")), "Invalid AuthenticationToken type",
                    status=401)
        refused(s.by_cookie(sign("u=alice&p=alice@EXAMPLE.COM&t=kerberos-dt&e=1")), "expired", status=401)
        refused(s.by_cookie(f"u=alice&p=alice@EXAMPLE.COM&t=kerberos-dt&e={later}&s={'A' * 43}="), "Invalid signature", status=401)
        refused(s.by_cookie(f"u=alice&p=alice@EXAMPLE.COM&t=kerberos-dt&e={later}"), "Invalid signed text", status=401)
        text = s.log_in("bob")
        refused(s.by_cookie(text.replace("u=bob", "u=alice", 1)), "Invalid signature", status=401)
        refused(s.by_cookie(text.replace("p=bob@", "p=hdfs@", 1)), "Invalid signature", status=401)


@test("a cookie of a server with simple authentication does not open one with Kerberos")
def cookie_of_simple():
    ours_only()
    secret = os.path.join(fresh_dir(), "secret")
    write(secret, SECRET)
    shared = {AUTH + "signer.secret.provider": "file", AUTH + "signature.secret.file": secret}
    with server({AUTH + "type": "simple", **shared}) as s:
        text = s.call("GET", "/keys/names").cookie()
    with server({**secure_site(), **shared}) as s:
        refused(s.by_cookie(text), "Invalid AuthenticationToken type", status=401)
        text = s.log_in()
    with server({AUTH + "type": "simple", **shared}) as s:
        equal(s.by_cookie(text).status, 401)
