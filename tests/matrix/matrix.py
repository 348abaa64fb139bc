# SPDX-License-Identifier: Apache-2.0
"""See README.md."""
import base64
import hashlib
import hmac
import ipaddress
import itertools
import os
import pathlib
import random
import re
import socket
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]
sys.dont_write_bytecode = True

import kms  # noqa: E402
import model  # noqa: E402
from model import Caller  # noqa: E402

SEED = int(os.environ.get("SVSM_MATRIX_SEED", "2026"))
AUTH = "hadoop.kms.authentication."
SECRET = b"shared by the test and its servers"
GROUPS = {"ann": "", "bob": "g1", "cat": "g1,g2", "dan": "g2", "eve": "g3", "px": "g3", "pg": "", "ph": "", "pn": "g1"}
USERS = ("ann", "bob", "cat", "dan", "eve", "zoe")      # the last is in no group that anybody knows
REALS = ("px", "pg", "ph", "pn")
FORMS = ("*", " ", "", "ann", "ann,bob", " g1", " g2,g3", "ann g2", "bob,~px", "~px,dan g3", "~pg", "ann, bob g1", " * ", "~px",
         "cat , eve", "zoe g1", "~ann", " g9")
PROXY_RULES = {"px": {"users": "*", "hosts": "*"}, "pg": {"groups": "g1", "hosts": "127.0.0.0/8,10.1.1.1"},
               "ph": {"users": "ann,dan", "groups": "g3", "hosts": "10.0.0.0/8"}, "pn": {"hosts": "*"}}
ACL_NAMES = ("a1", "a2", "a3", "a4", "a5", "a6")
BATCH = 48      # requests sent before answers are read
MATERIAL = "AAECAwQFBgcICQoLDA0ODw=="
ZERO = "AAAAAAAAAAAAAAAAAAAAAA=="


def groups_of(user):
    return frozenset(g for g in GROUPS.get(user, "").split(",") if g)


def address_in(entry):
    try:
        return ipaddress.ip_address("127.0.0.1") in ipaddress.ip_network(entry)
    except ValueError:
        return False


# --- configurations --------------------------------------------------------------------------------

def some_acls(rnd, open_often):
    """Random forms; open_often: so that what stands behind is reached as well."""
    acls = {}
    for kind in model.TYPES:
        if rnd.random() < 0.8:
            acls["hadoop.kms.acl." + kind] = "*" if rnd.random() < open_often else rnd.choice(FORMS)
        if rnd.random() < 0.3:
            acls["hadoop.kms.blacklist." + kind] = rnd.choice(FORMS[1:])
    for kind in model.KEY_TYPES:
        if rnd.random() < 0.6:
            acls["default.key.acl." + kind] = rnd.choice(FORMS)
        if rnd.random() < 0.4:
            acls["whitelist.key.acl." + kind] = rnd.choice(FORMS)
    for name in ACL_NAMES[:4]:      # the others have no entries of their own
        for kind in model.KEY_TYPES + ("ALL",):
            if rnd.random() < 0.4:
                acls[f"key.acl.{name}.{kind}"] = rnd.choice(FORMS)
    return acls


def keytab(path):
    """A key that no ticket is ever made for: the server wants one."""
    def text(s):
        return len(s).to_bytes(2, "big") + s
    entry = ((2).to_bytes(2, "big") + text(b"EXAMPLE.COM") + text(b"HTTP") + text(b"localhost") + (1).to_bytes(4, "big") +
             bytes(4) + b"\1" + (18).to_bytes(2, "big") + text(os.urandom(32)))
    kms.write(path, b"\5\2" + len(entry).to_bytes(4, "big") + entry)


def site_of(kind, where):
    site = {AUTH + "type": kind, AUTH + "signer.secret.provider": "file", AUTH + "signature.secret.file": where + "/secret",
            "hadoop.user.group.static.mapping.overrides": ";".join(f"{u}={g}" for u, g in GROUPS.items()),
            AUTH + "kerberos.keytab": where + "/keytab", "svsm.kms.kerberos.realm": "EXAMPLE.COM",
            "svsm.kms.failed-logins.per-minute": "0"}   # there are thousands in the cells, all from here
    for real, rules in PROXY_RULES.items():
        site.update({f"hadoop.kms.proxyuser.{real}.{k}": v for k, v in rules.items()})
    return site


# --- who asks, and how -----------------------------------------------------------------------------

def cookie(kind, user):
    principal = user + "@EXAMPLE.COM" if kind == "kerberos-dt" else user
    text = f"u={user}&p={principal}&t={kind}&e={int(time.time() * 1000) + 3600000}"
    mac = base64.b64encode(hmac.new(SECRET, text.encode(), hashlib.sha256).digest()).decode()
    return f'Cookie: hadoop.auth="{text}&s={mac}"\r\n'


def askers(kind):
    """(label, query, headers, who is to be asked for: a Caller or a refusal)."""
    own = "simple-dt" if kind == "simple" else "kerberos-dt"
    for user in USERS:
        me = Caller(user, groups_of(user))
        yield f"cookie of {user}", "", cookie(own, user), me
        yield f"user.name={user}", f"user.name={user}", "", me if kind == "simple" else "nobody"
        if kind == "simple":
            yield f"cookie of {user} and another name", "user.name=ann", cookie(own, user), me
        for real in REALS:
            verdict = model.impersonates(site_of(kind, ""), real, user, groups_of(user), address_in)
            seen = Caller(user, groups_of(user), real) if verdict == "ok" else verdict
            yield f"cookie of {real} for {user}", f"doAs={user}", cookie(own, real), seen
        if kind == "simple":
            verdict = model.impersonates(site_of(kind, ""), "px", user, groups_of(user), address_in)
            seen = Caller(user, groups_of(user), "px") if verdict == "ok" else verdict
            yield f"user.name=px for {user}", f"user.name=px&DOAS={user}", "", seen
    yield "nobody", "", "", "nobody"
    yield "a cookie of the other type", "", cookie("kerberos-dt" if kind == "simple" else "simple-dt", "ann"), "nobody"
    yield "a cookie with a wrong signature", "", cookie(own, "ann").replace("u=ann", "u=bob"), "nobody"
    yield "a delegation token that is none", "delegation=AAAA", "", "token"


def fetch_tokens(server, kind):
    """Delegation tokens, of users and for them by somebody else; none where the server has none."""
    own = "simple-dt" if kind == "simple" else "kerberos-dt"
    with Line(server.port) as line:
        for user, real in itertools.product(USERS, ("", "px")):
            query = "op=GETDELEGATIONTOKEN" + (f"&doAs={user}" if real else "")
            line.send("GET", "/kms/v1/?" + query, cookie(own, real or user), None)
            status, body = line.read()
            if status == 501:
                return
            kms.equal(status, 200, f"token of {user} by {real or user}: {body[:300]}")
            token = re.search(rb'"urlString":\s*"([^"]+)"', body)[1].decode()
            seen = Caller(user, groups_of(user), real)
            yield (f"token of {user}" + (f" by {real}" if real else ""), "", f"X-Hadoop-Delegation-Token: {token}\r\n", seen)
            if not real:
                yield f"token of {user}, doAs beside it", "doAs=ann", f"X-Hadoop-Delegation-Token: {token}\r\n", seen


# --- operations ------------------------------------------------------------------------------------

class Keys:
    """Keys of each ACL name: one to read, one to roll, and many to be deleted."""

    def __init__(self):
        self.made = {}
        self.created = itertools.count()

    def delete_next(self, acl_name):
        n = self.made[acl_name] = self.made.get(acl_name, 0)
        return f"d{n}-{acl_name}"


def request(op, acl_name, keys):
    """Method, path, query, body."""
    k, r = "k-" + acl_name, "r-" + acl_name
    eek = '{"name":"%s","iv":"%s","material":"%s"}' % (k, ZERO, ZERO)
    if op.startswith("create"):
        name = f"c{next(keys.created)}-{os.getpid()}"
        material = f',"material":"{MATERIAL}"' if op != "create" else ""
        return "POST", "/keys", "", '{"name":"%s","length":128,"attributes":{"key.acl.name":"%s"}%s}' % (name, acl_name, material)
    return {
        "delete": ("DELETE", "/key/" + keys.delete_next(acl_name), "", None),
        "roll": ("POST", "/key/" + r, "", "{}"),
        "roll with material": ("POST", "/key/" + r, "", '{"material":"%s"}' % MATERIAL),
        "invalidate": ("POST", f"/key/{k}/_invalidatecache", "", None),
        "names": ("GET", "/keys/names", "", None),
        "metadatas": ("GET", "/keys/metadata", "key=" + k, None),
        "metadata": ("GET", f"/key/{k}/_metadata", "", None),
        "current": ("GET", f"/key/{k}/_currentversion", "", None),
        "version": ("GET", f"/keyversion/{k}%400", "", None),
        "versions": ("GET", f"/key/{k}/_versions", "", None),
        "generate": ("GET", f"/key/{k}/_eek", "eek_op=generate&num_keys=1", None),
        "decrypt": ("POST", f"/keyversion/{k}%400/_eek", "eek_op=decrypt", eek),
        "reencrypt": ("POST", f"/keyversion/{k}%400/_eek", "eek_op=reencrypt", eek),
        "batch": ("POST", f"/key/{k}/_reencryptbatch", "",
                  '[{"versionName":"%s@0","iv":"%s","encryptedKeyVersion":{"versionName":"EEK","material":"%s"}}]' % (k, ZERO, ZERO)),
    }[op]


class Line:
    """A connection that is kept; answers come in the order of the requests."""

    def __init__(self, port):
        self.s = socket.create_connection(("127.0.0.1", port), 60 * kms.SLOW)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.out, self.buf = [], b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def put(self, method, target, headers, body):
        data = (body or "").encode()
        kind = "Content-Type: application/json\r\n" if body is not None else ""
        self.out.append(f"{method} {target} HTTP/1.1\r\nHost: h\r\n{headers}{kind}Content-Length: {len(data)}\r\n\r\n".encode() + data)

    def flush(self):
        self.s.sendall(b"".join(self.out))
        self.out = []

    def send(self, *request_parts):
        self.put(*request_parts)
        self.flush()

    def more(self):
        got = self.s.recv(1 << 18)
        if not got:
            raise AssertionError(f"the server closed the connection: {self.buf[-300:]!r}")
        self.buf += got

    def read(self):
        while (end := self.buf.find(b"\r\n\r\n")) < 0:
            self.more()
        head = self.buf[:end]
        length = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)[1])
        while len(self.buf) < end + 4 + length:
            self.more()
        body, self.buf = self.buf[end + 4:end + 4 + length], self.buf[end + 4 + length:]
        return int(head[9:12]), body


KINDS = ((rb"not allowed to impersonate", "user"), (rb"Unauthorized connection for super-user", "host"),
         (rb"is not authorized to create key", "create"), (rb"is not authorized to perform", "key"), (rb"not allowed to do", "op"),
         (rb"AuthenticationException", "token"))


def seen_as(status, body):
    if status in (200, 201):
        return "ok"
    if status == 401:
        return "nobody"
    if status == 403:
        return next((what for pattern, what in KINDS if re.search(pattern, body)), f"403 {body[:200]!r}")
    return f"{status} {body[:200]!r}"


# --- running ---------------------------------------------------------------------------------------

def fill(server, keys_each):
    """Under open lists: the keys that the cells are about."""
    with Line(server.port) as line:
        waiting = 0
        for acl_name in ACL_NAMES:
            for name in ["k-" + acl_name, "r-" + acl_name] + [f"d{i}-{acl_name}" for i in range(keys_each)]:
                line.put("POST", "/kms/v1/keys?user.name=root", "",
                         '{"name":"%s","length":128,"attributes":{"key.acl.name":"%s"}}' % (name, acl_name))
                waiting += 1
                if waiting % BATCH == 0:
                    line.flush()
                    for _ in range(BATCH):
                        kms.equal(line.read()[0], 201)
        line.flush()
        for _ in range(waiting % BATCH):
            kms.equal(line.read()[0], 201)


def cells_of(rnd, everybody, share):
    for op, acl_name, asker in itertools.product(model.NEEDS, ACL_NAMES, everybody):
        if (op == "names" and acl_name != ACL_NAMES[0]) or rnd.random() > share:
            continue
        yield op, acl_name, asker


def wanted(conf, op, acl_name, who):
    return model.decide(conf, op, acl_name, who) if isinstance(who, Caller) else who


def run_cells(server, conf, cells, keys, wrong, tally):
    batch = []

    def finish(line):
        line.flush()
        for op, acl_name, label, want, shows in batch:
            status, body = line.read()
            seen = seen_as(status, body)
            if seen == "ok" and shows is not None and (b'"material":null' not in body.replace(b" ", b"")) != shows:
                seen = "material shown" if not shows else "material withheld"
            tally[want] = tally.get(want, 0) + 1
            if seen != want:
                wrong.append(f"{op} on {acl_name}, {label}: model says {want}, server {seen}")
        batch.clear()

    with Line(server.port) as line:
        for op, acl_name, (label, query, headers, who) in cells:
            want = wanted(conf, op, acl_name, who)
            method, path, more, body = request(op, acl_name, keys)
            if op == "delete" and want == "ok":
                keys.made[acl_name] += 1
            both = "&".join(q for q in (query, more) if q)
            line.put(method, "/kms/v1" + path + ("?" + both if both else ""), headers, body)
            shows = model.shows_material(conf, who) if op.startswith(("create", "roll")) and want == "ok" else None
            batch.append((op, acl_name, label, want, shows))
            if len(batch) == BATCH:
                finish(line)
        finish(line)


def main(rounds):
    rnd = random.Random(SEED)
    where, data = kms.fresh_dir("matrix"), kms.fresh_dir("data")
    kms.write(where + "/secret", SECRET)
    keytab(where + "/keytab")
    keys, wrong, tally, kinds = Keys(), [], {}, set()
    with kms.Server(site=site_of("simple", where), data=data) as s:
        fill(s, 30 * rounds)
    for n in range(rounds):
        kind = ("simple", "kerberos")[n % 2]
        conf = some_acls(rnd, 0.5 if n % 3 else 0.9)
        if n % 5 == 4:
            conf["hadoop.kms.key.authorization.enable"] = "false"
        acls = {p: v for p, v in conf.items() if not p.startswith("hadoop.kms.key.")}
        site = {**site_of(kind, where), **{p: v for p, v in conf.items() if p.startswith("hadoop.kms.key.")}}
        with kms.Server(site=site, acls=acls, data=data) as s:
            everybody = list(askers(kind)) + list(fetch_tokens(s, kind))
            kinds |= {(kind, re.sub(r"\b(%s)\b" % "|".join(USERS + REALS), "x", a[0])) for a in everybody}
            before = len(wrong)
            run_cells(s, conf, cells_of(rnd, everybody, 1.0), keys, wrong, tally)
            if len(wrong) > before:
                print(f"FAILED  configuration {n} ({kind}): {len(wrong) - before} cells differ")
                for line in wrong[before:before + 10]:
                    print("        | " + line)
                print("        | " + str(conf))
            else:
                print(f"ok      configuration {n} ({kind})")
    cells = sum(tally.values())
    print(f"{cells} cells: {', '.join(f'{v} {k}' for k, v in sorted(tally.items()))}; "
          f"{len(kinds)} kinds of credentials, {rounds} configurations, seed {SEED}")
    enough = rounds < 12 or (cells >= 20000 and min(tally.get(k, 0) for k in ("ok", "op", "key", "create", "user", "host", "nobody")) > 50)
    print(("ok      " if enough else "FAILED  ") + "all kinds of decisions came up, often enough")
    failed = sum(1 for _ in wrong) > 0
    bad = (1 if not enough else 0) + (1 if failed else 0)
    print(f"{rounds + 1 - bad} passed, {bad} failed, 0 skipped")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 12))
