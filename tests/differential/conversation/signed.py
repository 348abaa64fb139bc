# SPDX-License-Identifier: Apache-2.0
"""Cookies under a secret that the conversation knows, and the settings of cookies; see ../conf/signed."""

import base64
import hashlib
import hmac
import string

from exchange import get, options, put

SECRET = b"signing-secret"
NEVER = 4102444800000       # the year 2100
LONG_AGO = 1700000000000


def sign(token, secret=SECRET, digest=hashlib.sha256):
    return base64.b64encode(hmac.new(secret, token.encode(), digest).digest()).decode()


def cookie(token, signature=None):
    # Headers are written as Latin-1; this way the bytes on the wire are UTF-8.
    return f'hadoop.auth="{token}&s={signature or sign(token)}"'.encode().decode("latin-1")


def text(kind="simple-dt", user="alice", principal="alice", expires=NEVER, idle=None):
    limit = "" if idle is None else f"&i={idle}"
    return f"u={user}&p={principal}&t={kind}{limit}&e={expires}"


def using(name, value, **more):
    return get(name, "/keys/names", user=None, headers={"Cookie": value}, **more)


def plain_digest(token):
    """How Hadoop before 3.1 signed."""
    return base64.b64encode(hashlib.sha256(token.encode() + SECRET).digest()).decode()


def stray_bits(signature):
    """The same bytes, but the unused bits of the last character set."""
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
    return signature[:-2] + alphabet[alphabet.index(signature[-2]) + 1] + "="


# A text whose signature has characters that differ between the two alphabets.
SPECIAL = next(t for t in (text(expires=NEVER + n) for n in range(100)) if set("+/") <= set(sign(t)))

SIGNED = [
    options("handshake", "/", keep_cookie="alice"),
    using("own cookie", 'hadoop.auth="<<alice>>"'),
    using("signed", cookie(text())),
    using("signed, unquoted", cookie(text()).replace('"', "")),
    using("signed without padding", cookie(text(), sign(text()).rstrip("="))),
    using("signed with another padding", cookie(text(), sign(text()) + "=")),
    using("signed with stray bits", cookie(text(), stray_bits(sign(text())))),
    using("signed in the standard alphabet", cookie(SPECIAL)),
    using("signed in the URL alphabet", cookie(SPECIAL, sign(SPECIAL).replace("+", "-").replace("/", "_"))),
    using("signed with another secret", cookie(text(), sign(text(), b"other"))),
    using("signed with SHA-1", cookie(text(), sign(text(), digest=hashlib.sha1))),
    using("signed as before 3.1", cookie(text(), plain_digest(text()))),
    using("expired", cookie(text(expires=LONG_AGO))),
    using("expired at 0", cookie(text(expires=0))),
    using("expires never", cookie(text(expires=-1))),
    using("expiry of no number", cookie(text(expires="soon"))),
    using("idle for too long", cookie(text(idle=LONG_AGO))),
    using("idle until later", cookie(text(idle=NEVER))),
    using("idle never", cookie(text(idle=-1))),
    using("type kerberos", cookie(text("kerberos"))),
    using("type kerberos-dt", cookie(text("kerberos-dt"))),
    using("type simple", cookie(text("simple"))),
    using("type in capitals", cookie(text("SIMPLE-DT"))),
    using("type empty", cookie(text(""))),
    using("without type", cookie(f"u=alice&p=alice&e={NEVER}")),
    using("without user", cookie(f"p=alice&t=simple-dt&e={NEVER}")),
    using("without principal", cookie(f"u=alice&t=simple-dt&e={NEVER}")),
    using("without expiry", cookie("u=alice&p=alice&t=simple-dt")),
    using("user empty", cookie(text(user=""))),
    using("another order", cookie(f"e={NEVER}&t=simple-dt&p=alice&u=alice")),
    using("unknown attribute", cookie(text() + "&x=1")),
    using("attribute twice", cookie(text() + "&u=bob")),
    using("attribute without value", cookie(text() + "&x")),
    using("user and principal differ", cookie(text(user="bob", principal="alice/host@REALM"))),
    using("user in UTF-8", cookie(text(user="\u00e5sa"))),
    using("signature inside the text", cookie(text() + "&s=x")),
    using("no text", cookie("")),
    get("expired with a name", "/keys/names", headers={"Cookie": cookie(text(expires=LONG_AGO))}),
    get("wrong type with a name", "/keys/names", headers={"Cookie": cookie(text("kerberos"))}),
    options("handshake with an expired one", "/", user=None, headers={"Cookie": cookie(text(expires=LONG_AGO))}),
    options("handshake with a signed one", "/", user=None, headers={"Cookie": cookie(text())}),
    get("bad cookie first, good one second", "/keys/names", user=None,
        headers={"Cookie": 'hadoop.auth="bad&s=bad"; ' + cookie(text())}),
    get("no credentials", "/keys/names", user=None),
    get("missing path", "/nothing", user=None, headers={"Cookie": cookie(text())}),
    get("token with a cookie", "/?op=GETDELEGATIONTOKEN&renewer=yarn", user=None, headers={"Cookie": cookie(text())},
        keep="token"),
    get("token in use", "/keys/names", user=None,
        headers={"X-Hadoop-Delegation-Token": "<<token.Token.urlString>>"}),
    put("token cancelled with a cookie", "/?op=CANCELDELEGATIONTOKEN&token=<<token.Token.urlString>>", user=None,
        headers={"Cookie": cookie(text())}),
]
