# SPDX-License-Identifier: Apache-2.0
"""How one request of the conversation is written down, and how it becomes bytes."""

import base64
import json as jsonlib
import re
from dataclasses import dataclass, field
from typing import Any, Optional
from urllib.parse import quote

REST = "/kms/v1"
JSON_TYPE = "application/json"
VARIABLE = re.compile(r"<<([^<>]+)>>")
NOTHING = object()


@dataclass
class Exchange:
    name: str                           # unique within its set; shown in reports
    method: str
    path: str                           # raw, below `at`; may contain a query
    at: str = REST
    user: Optional[str] = "alice"       # sent as user.name; None: not sent
    json: Any = NOTHING                 # body given as a value
    body: Optional[bytes] = None        # body given as bytes
    headers: dict = field(default_factory=dict)
    type: Optional[str] = JSON_TYPE     # Content-Type; only sent when there is a body
    length: bool = True                 # send Content-Length when there is a body
    version: str = "HTTP/1.1"
    host: bool = True                   # send a Host header
    keep: Optional[str] = None          # remember the JSON answer under this name
    keep_cookie: Optional[str] = None   # remember the value of hadoop.auth under this name
    exact: bool = False                 # the answer has no random values; compare keys literally
    also: tuple = ()                    # further response headers to compare
    status_only: bool = False           # the body is no part of the contract
    numbers: bool = True                # False: only the presence of numbers is compared
    pause: float = 0                    # seconds to wait before sending
    negotiate: Optional[dict] = None    # log in by Kerberos: see ticket()
    keep_negotiate: Optional[str] = None    # remember the Authorization header under this name
    edit_acls: dict = field(default_factory=dict)   # change kms-acls.xml first, wait for the reload


def ticket(user, service="HTTP@localhost", realm="EXAMPLE.COM", raw=False, flip=None, cut=0, more=b""):
    """A login by Kerberos: alone or (not `raw`) in SPNEGO; `flip` a bit of that byte, `cut` some off the end, add `more`."""
    return {"user": user, "service": service, "realm": realm, "raw": raw, "flip": flip, "cut": cut, "more": more}


def number_end(data, at):
    """Where Hadoop's variable-length integer that begins there ends."""
    first = data[at] - 256 if data[at] > 127 else data[at]
    return at + 1 + (0 if first >= -112 else -120 - first if first < -120 else -112 - first)


def damaged(token, how):
    """A delegation token with something wrong: <<name.path|how>>. Lengths are short enough for one byte here."""
    data = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    end = 1 + data[0]           # of the identifier; a byte with the password's length follows
    sequence = 2
    for _ in range(3):
        sequence += 1 + data[sequence]      # owner, renewer, real user
    for _ in range(3):
        sequence = number_end(data, sequence)       # two dates, and the sequence number itself
    spots = {"version": 1, "owner": 3, "sequence": sequence - 1, "key": end - 1, "password": end + 3, "kind": len(data) - 3}
    if how in spots:
        data[spots[how]] ^= 1
    elif how == "short":
        del data[20:]
    elif how == "cut":
        del data[-1:]
    elif how == "more":
        data += b"xx"
    elif how == "length":
        data[0] = 0x80
    elif how == "standard":
        return base64.b64encode(bytes(data)).decode()
    else:
        raise KeyError(how)
    return base64.urlsafe_b64encode(bytes(data)).decode().rstrip("=")


def resolve(value, variables):
    """Replace <<name.path>> in strings by what an earlier answer contained."""
    if isinstance(value, dict):
        return {resolve(k, variables): resolve(v, variables) for k, v in value.items()}
    if isinstance(value, list):
        return [resolve(v, variables) for v in value]
    if not isinstance(value, str):
        return value

    def find(reference):
        found = variables
        where, _, how = reference.partition("|")
        for step in where.split("."):
            found = found[int(step)] if isinstance(found, list) else found[step]
        return damaged(found, how) if how else found

    whole = VARIABLE.fullmatch(value)
    if whole:
        return find(whole[1])       # keeps lists and objects as they are
    return VARIABLE.sub(lambda m: quote(str(find(m[1])), safe=""), value)


def target(exchange, variables):
    where = exchange.at + resolve(exchange.path, variables)
    if exchange.user is not None:
        where += ("&" if "?" in where else "?") + "user.name=" + quote(exchange.user, safe="")
    return where


def encode(exchange, variables, authority, authorization=None):
    """The request as bytes."""
    body = exchange.body
    if exchange.json is not NOTHING:
        body = jsonlib.dumps(resolve(exchange.json, variables)).encode()
    lines = [f"{exchange.method} {target(exchange, variables)} {exchange.version}"]
    if exchange.host:
        lines.append(f"Host: {authority}")
    # What the JDK's client sends; it does not list JSON except through */*.
    headers = {"User-Agent": "Java/17", "Accept": "text/html, image/gif, image/jpeg, */*; q=0.2"}
    if body is not None:
        if exchange.type:
            headers["Content-Type"] = exchange.type
        if exchange.length:
            headers["Content-Length"] = str(len(body))
    for name, value in exchange.headers.items():
        # A cookie is no URL: put the remembered value in as it is. None: leave the header out.
        headers[name] = value and VARIABLE.sub(lambda m: str(resolve(m[0], variables)), value)
    if authorization:
        headers["Authorization"] = authorization
    lines += [f"{n}: {v}" for n, v in headers.items() if v is not None]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def get(name, path, **more):
    return Exchange(name, "GET", path, **more)


def head(name, path, **more):
    return Exchange(name, "HEAD", path, **more)


def post(name, path, json=NOTHING, **more):
    return Exchange(name, "POST", path, json=json, **more)


def put(name, path, **more):
    return Exchange(name, "PUT", path, **more)


def delete(name, path, **more):
    return Exchange(name, "DELETE", path, **more)


def options(name, path, **more):
    # Hadoop answers OPTIONS with a WADL document that no client reads.
    return Exchange(name, "OPTIONS", path, status_only=True, **more)


def generate(name, key, number=None, **more):
    count = "" if number is None else f"&num_keys={number}"
    return get(name, f"/key/{key}/_eek?eek_op=generate{count}", **more)


def decrypt(name, version, body, **more):
    return post(name, f"/keyversion/{version}/_eek?eek_op=decrypt", body, **more)


def reencrypt(name, version, body, **more):
    return post(name, f"/keyversion/{version}/_eek?eek_op=reencrypt", body, **more)
