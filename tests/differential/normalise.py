# SPDX-License-Identifier: Apache-2.0
"""Turn an HTTP answer into a value that is equal whenever two servers behave the same.

Random values become labels that name the exchange in which they were first seen. Two equal labels mean two
equal values, so relations are compared too: the key decrypted before and after a re-encryption must carry
the same label. Values that the conversation itself sent stay as they are.
"""

import base64
import binascii
import json
import os
import re
import time
from urllib.parse import unquote

from conversation.vectors import DEK

COMPARED = ("Content-Type", "WWW-Authenticate", "Set-Cookie", "Location")
RANDOM_MEMBERS = ("material", "iv")
URL_SAFE = re.compile(r"[A-Za-z0-9_-]*")
HOUR = 3600 * 1000
LONG_ARRAY = 20

PAGE = "<page>"             # HTML of the container
IGNORED = "<not compared>"


def from_base64(text):
    """Either alphabet, padded or not; None if it is something else."""
    text = text.replace("-", "+").replace("_", "/").rstrip("=")
    if len(text) % 4 == 1:
        return None
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def vint(data, at):
    """Hadoop's variable length integer: value and next position."""
    first = int.from_bytes(data[at:at + 1], "big", signed=True)
    if first >= -112:
        return first, at + 1
    size = -(first + 112) if first >= -120 else -(first + 120)
    value = int.from_bytes(data[at + 1:at + 1 + size], "big")
    return (value if first >= -120 else ~value), at + 1 + size


def text(data, at):
    size, at = vint(data, at)
    return data[at:at + size].decode(), at + size


# The address that the server sees us come from.
PEER = os.environ.get("SVSM_KMS_PEER", "127.0.0.1")


class Normaliser:
    """One per server and configuration set; remembers which random value came from where."""

    def __init__(self, base):
        self.base = base            # http://HOST:PORT of this server
        self.seen = {}
        self.sent = {DEK}

    def remember_sent(self, value):
        """Constants of the conversation are no random values."""
        if isinstance(value, dict):
            for name, member in value.items():
                if name in RANDOM_MEMBERS and isinstance(member, str):
                    self.sent.add(from_base64(member))
                else:
                    self.remember_sent(member)
        elif isinstance(value, list):
            for member in value:
                self.remember_sent(member)

    def answer(self, exchange, response):
        kind = (response.first("Content-Type") or "").split(";")[0].strip().lower()
        headers = {}
        for name in COMPARED + tuple(exchange.also):
            values = [self.header(name, v) for v in response.all(name)]
            if values:
                headers[name] = values[0] if len(set(values)) == 1 else values
        body = self.body(exchange, kind, response)
        if body in (PAGE, IGNORED):
            headers.pop("Content-Type", None)
        return {"status": response.status, "reason": self.message(response.reason),
                "headers": headers, "body": body}

    # --- headers ---------------------------------------------------------------------------------

    def header(self, name, value):
        lower = name.lower()
        if lower == "content-type":
            return value.split(";")[0].strip().lower()
        if lower == "set-cookie":
            return self.cookie(value)
        if lower in ("date", "expires", "last-modified"):
            return "<date>"
        if lower == "location":
            return unquote(self.message(value))     # which characters are escaped does not matter
        return self.message(value)

    @staticmethod
    def cookie(value):
        """Keep the form, replace time and signature."""
        def moment(match):
            seconds = int(match[2]) / 1000 - time.time()
            # Within a minute of a whole number of ten minutes: the configured life time.
            whole = round(seconds / 600) * 600
            near = abs(seconds) < 24 * 3600 and abs(seconds - whole) < 60
            return match[1] + (f"<now+{whole}s>" if near else match[2])

        def signature(match):
            raw = from_base64(match[1])
            padded = len(match[1]) % 4 == 0 and "-" not in match[1] and "_" not in match[1]
            if raw is None or not padded:
                return match[0]
            return f"&s=<{len(raw)} bytes, standard Base64>"

        value = re.sub(r"(&[ie]=)(\d+)", moment, value)
        value = re.sub(r"&s=([^\";]*)", signature, value)
        return re.sub(r"Expires=\w{3}, \d\d-\w{3}-\d{4} \d\d:\d\d:\d\d GMT", "Expires=<date>", value)

    def message(self, value):
        """Messages quote addresses, the key store and times."""
        value = value.replace(self.base, "<base>")
        value = value.replace(f"from IP /{PEER}", "from IP /127.0.0.1")
        value = re.sub(r"((?:already exists|does not exist) in |in keystore )\S+", r"\1<provider>", value)
        value = re.sub(r"(issueDate|maxDate|sequenceNumber|masterKeyId|keyId)=\d+", r"\1=<number>", value)
        value = re.sub(r"newLimit > capacity: \(\d+ > \d+\)", "newLimit > capacity: (<number> > <number>)", value)
        # "... Current time: 2026-01-01 00:00:00,000+0000", "expired at ..."
        value = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}[+-]\d{4}", "<date>", value)
        return re.sub(r"\b1[5-9]\d{11}\b", "<ms>", value)

    # --- bodies ----------------------------------------------------------------------------------

    def body(self, exchange, kind, response):
        if exchange.status_only and response.status == 200:
            return IGNORED
        if kind == "text/html":
            return PAGE
        if not response.body:
            return ""
        try:
            value = json.loads(response.body)
        except ValueError:
            return f"<no JSON> {response.body[:200]!r}"
        return self.value(exchange, value, "")

    def value(self, exchange, value, path, label=True):
        if isinstance(value, dict):
            if isinstance(value.get("created"), int):
                value = {**value, "created": self.time(exchange, value.get("name"), value["created"])}
            return {k: self.member(exchange, k, v, f"{path}/{k}", label) for k, v in value.items()}
        if isinstance(value, list):
            if all(isinstance(v, str) for v in value):
                return sorted(value)            # keys/names has no order
            if len(value) > LONG_ARRAY:
                return self.long_array(exchange, value, path)
            return [self.value(exchange, v, f"{path}/{i}", label) for i, v in enumerate(value)]
        if isinstance(value, (int, float)) and not isinstance(value, bool) and not exchange.numbers:
            return "<number>"
        return value

    def member(self, exchange, name, value, path, label):
        if name in RANDOM_MEMBERS and isinstance(value, str):
            return self.random(exchange, value, path, label)
        if name == "message" and isinstance(value, str):
            return self.message(value)
        if name == "urlString" and isinstance(value, str):
            return self.token(value)
        if name == "resource":      # /conf names the file
            return "<resource>"
        if name == "long" and isinstance(value, int):
            return f"<now+{round((value / 1000 - time.time()) / 600) * 600}s>"
        return self.value(exchange, value, path, label)

    def random(self, exchange, value, path, label):
        if exchange.exact:
            return value
        raw = from_base64(value)
        if raw is None or not URL_SAFE.fullmatch(value):
            return f"<not URL-safe Base64> {value}"
        if raw in self.sent:
            return value
        if not label:
            return f"<{len(raw)} bytes>"
        return self.seen.setdefault(raw, f"<{len(raw)} bytes, first in '{exchange.name}' {path}>")

    def time(self, exchange, name, value):
        if abs(value - time.time() * 1000) > HOUR:
            return f"<not a time of now> {value}"
        # Two keys may well be created in the same millisecond.
        return self.seen.setdefault((name, value), f"<time, first in '{exchange.name}'>")

    def long_array(self, exchange, value, path):
        short = [self.value(exchange, v, path, label=False) for v in value]
        if any(v != short[0] for v in short):
            return short
        distinct = len({json.dumps(v, sort_keys=True) for v in value}) == len(value)
        return {"<times>": len(value), "<all different>": distinct, "<each>": short[0]}

    @staticmethod
    def token(value):
        """What a delegation token says; numbers that a server may choose are left out."""
        data = from_base64(value)
        size, at = vint(data, 0)
        identifier = data[at:at + size]
        password, at = vint(data, at + size)
        kind, at = text(data, at + password)
        service, at = text(data, at)
        owner, i = text(identifier, 1)
        renewer, i = text(identifier, i)
        real, i = text(identifier, i)
        issued, i = vint(identifier, i)
        until, i = vint(identifier, i)
        _, i = vint(identifier, i)
        _, i = vint(identifier, i)
        return {"<token>": {
            "version": identifier[0], "owner": owner, "renewer": renewer, "realUser": real,
            "issued now": abs(issued - time.time() * 1000) < HOUR, "life ms": until - issued,
            "kind": kind, "service": service, "bytes left": len(data) - at + len(identifier) - i}}
