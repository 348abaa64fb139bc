# SPDX-License-Identifier: Apache-2.0
"""Kerberos: logging in, what follows from it, and tokens and proxy users of those who did."""

from exchange import get, head, options, post, put, ticket
from .tokens import damages

NAMES = "/keys/names"
GET = "/?op=GETDELEGATIONTOKEN"
RENEW = "/?op=RENEWDELEGATIONTOKEN&token="
CANCEL = "/?op=CANCELDELEGATIONTOKEN&token="


def by(user, **more):
    return {"user": None, "negotiate": ticket(user, **more)}


def cookie(name, **more):
    return {"user": None, "headers": {"Cookie": f'hadoop.auth="<<{name}>>"', **more}}


def token(name, **more):
    return {"user": None, "headers": {"X-Hadoop-Delegation-Token": f"<<{name}.Token.urlString>>", **more}}


def text(name):
    return f"<<{name}.Token.urlString>>"


def sends(name, value, **more):
    """Some Authorization header, in an answer with a page and in one without."""
    return [get(name, NAMES, user=None, headers={"Authorization": value}, **more),
            options(f"{name}, handshake", "/", user=None, headers={"Authorization": value}, **more)]


LOGIN = [
    options("login: handshake without a token", "/", user=None, also=("Content-Length",)),
    get("login: nothing", NAMES, user=None),
    get("login: a name", NAMES, user="alice"),
    head("login: nothing, HEAD", NAMES, user=None),
    post("login: nothing, POST", "/keys", {"name": "never"}, user=None),
    get("login: nothing, missing path", "/nothing", user=None),
    *sends("login: Basic", "Basic YTpi"),
    *sends("login: lower case", "negotiate eDp5"),   # Jetty remembers headers of a connection without regard to case
    *sends("login: no token", "Negotiate"),
    *sends("login: no Base64", "Negotiate %%%"),
    *sends("login: garbage", "Negotiate YTpi"),
    *sends("login: garbage without a blank", "NegotiateYTpi"),
    *sends("login: NTLM", "Negotiate TlRMTVNTUAABAAAAl4II4gAAAAAAAAAAAAAAAAAAAAAKAO5CAAAADw=="),
    options("login: handshake", "/", **by("alice"), keep_cookie="alice"),
    get("login: cookie", NAMES, **cookie("alice")),
    get("login: SPNEGO", NAMES, **by("alice"), keep_negotiate="used"),
    *sends("login: replay", "<<used>>"),
    get("login: Kerberos alone", NAMES, **by("alice", raw=True), keep_negotiate="used"),
    *sends("login: replay, Kerberos alone", "<<used>>"),
    get("login: another HTTP principal", NAMES, **by("alice", service="HTTP@other.example.com")),
    get("login: a name beside it", NAMES + "?user.name=bob", user=None, negotiate=ticket("alice")),
    head("login: HEAD", NAMES, **by("alice")),
    post("login: create", "/keys", {"name": "vector"}, **by("alice")),
    post("login: create again", "/keys", {"name": "vector"}, **by("alice")),
    get("login: missing path", "/nothing", **by("alice")),
    get("login: JSON error", "/key//_metadata", **by("alice")),
    get("login: by a rule", NAMES, **by("hdfs/nn.example.com")),
    options("login: by a rule, handshake", "/", **by("hdfs/nn.example.com"), keep_cookie="hdfs"),
    get("login: no rule applies", NAMES, **by("alice/admin")),
    options("login: no rule applies, handshake", "/", **by("alice/admin")),
    get("login: no rule applies, three parts", NAMES, **by("zed/x/y")),
    get("login: foreign realm", NAMES, **by("alice", realm="OTHER.TEST")),
    get("login: principal without a key", NAMES, **by("alice", service="HTTP@elsewhere.example.com")),
    get("login: other service", NAMES, **by("alice", service="kms@localhost")),
    options("login: other service, handshake", "/", **by("alice", service="kms@localhost")),
    get("login: last byte missing", NAMES, **by("alice", cut=1)),
    get("login: half of it", NAMES, **by("alice", cut=300)),
    get("login: bytes after it", NAMES, **by("alice", more=b"\0\0")),
    get("login: ticket damaged", NAMES, **by("alice", flip=300)),
    get("login: authenticator damaged", NAMES, **by("alice", flip=-9)),
    get("login: Kerberos alone, damaged", NAMES, **by("alice", raw=True, flip=-9)),
    get("login: cookie and garbage", NAMES, **cookie("alice", Authorization="Negotiate YTpi")),
    get("login: cookie and a token of another", NAMES, **cookie("alice"), keep_negotiate="unused"),
    get("login: bad cookie", NAMES, user=None, headers={"Cookie": "hadoop.auth=<<alice>>x"}),
    get("login: empty cookie", NAMES, user=None, headers={"Cookie": "hadoop.auth="}),
    get("login: bad cookie and garbage", NAMES, user=None,
        headers={"Cookie": "hadoop.auth=<<alice>>x", "Authorization": "Negotiate YTpi"}),
    get("login: bad cookie and a token", NAMES, user=None, negotiate=ticket("bob"),
        headers={"Cookie": "hadoop.auth=<<alice>>x"}),
    get("login: services without", "/jmx?qry=none", at="/kms", user=None),
    get("login: services", "/jmx?qry=none", at="/kms", **cookie("alice"), status_only=True),
]
# Two logins in one: the cookie of one user, the ticket of another.
LOGIN[[e.name for e in LOGIN].index("login: cookie and a token of another")].negotiate = ticket("bob")

PROXY = [
    options("doAs: proxy's handshake", "/", **by("proxy"), keep_cookie="proxy"),
    options("doAs: gateway's handshake", "/", **by("gateway"), keep_cookie="gateway"),
    *[exchange for kind, who in (("cookie", cookie), ("ticket", by)) for exchange in (
        get(f"doAs: by {kind}", NAMES + "?doAs=carol", **who("proxy")),
        options(f"doAs: by {kind}, handshake", "/?doAs=carol", **who("proxy")),
        get(f"doAs: by {kind}, refused", NAMES + "?doAs=dave", **who("proxy")),
        options(f"doAs: by {kind}, handshake refused", "/?doAs=dave", **who("proxy")),
        get(f"doAs: by {kind}, wrong address", NAMES + "?doAs=carol", **who("gateway")),
        get(f"doAs: by {kind}, no proxy", NAMES + "?doAs=carol", **who("alice")),
        get(f"doAs: by {kind}, oneself", NAMES + "?doAs=alice", **who("alice")),
        get(f"doAs: by {kind}, missing path", "/nothing?doAs=carol", **who("proxy")),
    )],
    get("doAs: a principal", NAMES + "?doAs=carol%40EXAMPLE.COM", **cookie("proxy")),
    get("doAs: nobody", NAMES + "?doAs=carol", user=None),
    get("doAs: a name", NAMES + "?doAs=carol", user="proxy"),
    get("doAs: garbage", NAMES + "?doAs=carol", user=None, headers={"Authorization": "Negotiate YTpi"}),
    post("doAs: create", "/keys?doAs=carol", {"name": "carols"}, **cookie("proxy")),
]

TOKENS = [
    options("token: bob's handshake", "/", **by("bob"), keep_cookie="bob"),
    options("token: yarn's handshake", "/", **by("yarn"), keep_cookie="yarn"),
    get("token: get, nothing", GET + "&renewer=yarn", user=None),
    get("token: get, a name", GET + "&renewer=yarn", user="alice"),
    get("token: get, garbage", GET + "&renewer=yarn", user=None, headers={"Authorization": "Negotiate YTpi"}),
    get("token: get, bad cookie", GET + "&renewer=yarn", user=None, headers={"Cookie": "hadoop.auth=x"}),
    get("token: get by ticket", GET + "&renewer=yarn", **by("alice"), keep="t1"),
    get("token: get by cookie", GET + "&renewer=yarn", **cookie("alice"), keep="t2"),
    get("token: get without renewer", GET, **cookie("hdfs")),
    get("token: get with a principal as renewer", GET + "&renewer=hdfs%2Fhost%40EXAMPLE.COM", **cookie("alice")),
    get("token: get with a service", GET + "&renewer=yarn&service=x", **cookie("alice")),
    get("token: get with a renewer that no rule knows", GET + "&renewer=yarn%40OTHER.TEST", **cookie("alice")),
    get("token: get with a token", GET + "&renewer=yarn", **token("t1")),
    get("token: get with a token and a cookie", GET + "&renewer=yarn", **token("t1", Cookie='hadoop.auth="<<bob>>"')),
    put("token: get by PUT", GET + "&renewer=yarn", **cookie("alice")),
    put("token: get by PUT, nothing", GET + "&renewer=yarn", user=None),

    get("token: use", NAMES, **token("t1")),
    get("token: use by parameter", NAMES + "?delegation=" + text("t1"), user=None),
    options("token: use, handshake", "/", **token("t1")),
    post("token: use, create", "/keys", {"name": "by-token"}, **token("t1")),
    get("token: use with garbage", NAMES, **token("t1", Authorization="Negotiate YTpi")),
    get("token: use with another's ticket", NAMES, **token("t1"), negotiate=ticket("bob")),
    get("token: use with a bad cookie", NAMES, **token("t1", Cookie="hadoop.auth=x")),
    get("token: use with another's cookie", NAMES, **token("t1", Cookie='hadoop.auth="<<bob>>"')),
    get("token: use with doAs", NAMES + "?doAs=carol", **token("t1")),
    *damages("use", "t1", lambda name, value: get(name, NAMES, user=None, headers={"X-Hadoop-Delegation-Token": value})),
    get("token: garbage and a ticket", NAMES, user=None, negotiate=ticket("alice"),
        headers={"X-Hadoop-Delegation-Token": "garbage"}),
    get("token: garbage and a cookie", NAMES, **cookie("alice", **{"X-Hadoop-Delegation-Token": "garbage"})),

    put("token: renew, nothing", RENEW + text("t1"), user=None),
    put("token: renew, a name", RENEW + text("t1"), user="yarn"),
    put("token: renew, garbage", RENEW + text("t1"), user=None, headers={"Authorization": "Negotiate YTpi"}),
    put("token: renew with the token", RENEW + text("t1"), **token("t1")),
    put("token: renew by the owner", RENEW + text("t1"), **cookie("alice")),
    put("token: renew by the owner's ticket", RENEW + text("t1"), **by("alice")),
    put("token: renew by the renewer's cookie", RENEW + text("t1"), **cookie("yarn")),
    put("token: renew by the renewer's ticket", RENEW + text("t1"), **by("yarn")),
    *damages("renew", "t1", lambda name, value: put(name, RENEW + value, **cookie("yarn"))),
    *damages("cancel", "t1", lambda name, value: put(name, CANCEL + value, **cookie("bob"))),
    *damages("cancel, nothing:", "t1", lambda name, value: put(name, CANCEL + value, user=None), ("password", "owner")),

    put("token: cancel by a stranger's cookie", CANCEL + text("t1"), **cookie("bob")),
    put("token: cancel by the renewer's cookie", CANCEL + text("t1"), **cookie("yarn")),
    get("token: use after cancel", NAMES, **token("t1")),
    put("token: renew after cancel", RENEW + text("t1"), **cookie("yarn")),
    put("token: cancel again", CANCEL + text("t1"), **cookie("alice")),
    put("token: cancel by a stranger's ticket", CANCEL + text("t2"), **by("bob")),
    get("token: use after cancel by ticket", NAMES, **token("t2")),
    get("token: third", GET + "&renewer=yarn", **cookie("alice"), keep="t3"),
    put("token: third cancelled with garbage", CANCEL + text("t3"), user=None, headers={"Authorization": "Negotiate YTpi"}),
    get("token: fourth", GET + "&renewer=yarn", **cookie("alice"), keep="t4"),
    put("token: fourth cancelled by the owner", CANCEL + text("t4"), **cookie("alice")),

    get("token: for a proxied user, ticket", GET + "&renewer=yarn&doAs=carol", **by("proxy"), keep="p1"),
    get("token: for a proxied user, cookie", GET + "&renewer=yarn&doAs=carol", **cookie("proxy"), keep="p2"),
    get("token: for a proxied user, refused ticket", GET + "&renewer=yarn&doAs=dave", **by("proxy")),
    get("token: for a proxied user, refused cookie", GET + "&renewer=yarn&doAs=dave", **cookie("proxy")),
    get("token: for a proxied user, wrong address", GET + "&renewer=yarn&doAs=carol", **cookie("gateway")),
    get("token: of a proxied user in use", NAMES, **token("p1")),
    get("token: of a proxied user, with doAs", NAMES + "?doAs=alice", **token("p1")),
    put("token: of a proxied user renewed", RENEW + text("p1"), **cookie("yarn")),
    put("token: of a proxied user cancelled by the real one", CANCEL + text("p1"), **cookie("proxy")),
    put("token: of a proxied user cancelled with doAs", CANCEL + text("p1") + "&doAs=carol", **cookie("proxy")),
    put("token: of a proxied user cancelled with a refused doAs", CANCEL + text("p2") + "&doAs=dave", **cookie("proxy")),
    get("token: of a proxied user after cancel", NAMES, **token("p1")),
]

SECURE = LOGIN + PROXY + TOKENS
