#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The description of the endpoints against the server: what it answers is described, what is described it answers."""
import json
import os
import re
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

import kms
from document import Document
from kms import ROOT, Server, Skip, equal, expect, run_tests, test

doc = Document()
seen = set()        # (path, method, status) that a server gave
NOT_OFFERED = set()  # (path, method) that this machine or build cannot show

# What a change of proxy/route.c has to be told here, and in the document. Endpoint: where it is described.
ENDPOINTS = {
    "EP_OPTIONS": ("OPTIONS", "/kms/v1/"), "EP_CREATE": ("POST", "/kms/v1/keys"), "EP_IMPORT": ("POST", "/svsm/v1/import"),
    "EP_NAMES": ("GET", "/kms/v1/keys/names"), "EP_METADATAS": ("GET", "/kms/v1/keys/metadata"),
    "EP_METADATA": ("GET", "/kms/v1/key/{name}/_metadata"), "EP_CURRENT": ("GET", "/kms/v1/key/{name}/_currentversion"),
    "EP_VERSIONS": ("GET", "/kms/v1/key/{name}/_versions"), "EP_GENERATE": ("GET", "/kms/v1/key/{name}/_eek"),
    "EP_ROLL": ("POST", "/kms/v1/key/{name}"), "EP_INVALIDATE": ("POST", "/kms/v1/key/{name}/_invalidatecache"),
    "EP_BATCH": ("POST", "/kms/v1/key/{name}/_reencryptbatch"), "EP_DELETE": ("DELETE", "/kms/v1/key/{name}"),
    "EP_VERSION": ("GET", "/kms/v1/keyversion/{versionName}"), "EP_DECRYPT": ("POST", "/kms/v1/keyversion/{versionName}/_eek"),
    "EP_REENCRYPT": ("POST", "/kms/v1/keyversion/{versionName}/_eek"), "EP_DELEGATION": ("GET", "/kms/v1/"),
    "EP_JMX": ("GET", "/jmx"), "EP_CONF": ("GET", "/conf"), "EP_STACKS": ("GET", "/stacks"), "EP_PROM": ("GET", "/prom"),
    "EP_HEALTH": ("GET", "/health"), "EP_ATTESTATION": ("GET", "/attestation"), "EP_METRICS": ("GET", "/metrics"),
    "EP_INDEX": ("GET", "/"), "EP_OPENAPI": ("GET", "/openapi.json"),
}
# Outcomes of a path that is none, or of a method or spelling that is not for it: described once, in the introduction.
NOWHERE = {"EP_NONE", "EP_NOT_FOUND", "EP_BAD_METHOD", "EP_PAGE_METHOD", "EP_BAD_NAME", "EP_OUTSIDE", "EP_MISSING", "EP_BAD_PATH",
           "EP_FIRST_PAGE", "EP_COUNT"}
PARTS = {"/kms/v1", "/key/", "/keyversion/", "/kms", "/kms/", "/static/", "/"}


def source(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)


def query(path, **more):
    words = [f"{k.replace('_dot_', '.')}={v}" for k, v in more.items()]
    return path + ("&" if "?" in path else "?") * bool(words) + "&".join(words)


class Asker:
    """Asks a server, and holds each answer against the document."""

    def __init__(self, server):
        self.server = server

    def __call__(self, template, method, path=None, body=None, headers=None, user="alice", status=None, fill=True):
        path = path or template
        if fill:
            path = path.replace("{name}", "k").replace("{versionName}", "k@0")
        if user is not None:
            path = query(path, user_dot_name=user)
        with self.server.conn(timeout=240) as c:   # the test kernel makes its keys with the first report
            reply = c.request(method, path, body, headers)
        doc.judge(template, method, reply)
        seen.add((template, method, reply.status))
        if status is not None:
            equal(reply.status, status, f"{method} {path}: {reply}")
        return reply


V1 = "/kms/v1"
KEY = V1 + "/key/{name}"
EEK = V1 + "/keyversion/{versionName}/_eek"
B64 = "AAAAAAAAAAAAAAAAAAAAAA"
TEXT = {"Content-Type": "text/plain"}


def open_pages():
    return {p for p, m, o in doc.operations() if o.get("security") == []}


# ---- the document --------------------------------------------------------------------------------

@test("the document is OpenAPI 3.1, its references lead somewhere, its schemas are schemas")
def _():
    doc.check()


@test("a document that contradicts itself is refused")
def _():
    for spoil, what in ((lambda d: d["paths"]["/health"]["get"].update(operationId="jmx"), "operationId"),
                        (lambda d: d["paths"]["/health"]["get"]["responses"].update({"200": {"$ref": "#/nowhere"}}), "leads nowhere"),
                        (lambda d: d["paths"][KEY]["get"].update(parameters=[]), "parameters of the path"),
                        (lambda d: d["paths"]["/jmx"]["get"]["responses"].pop("401"), "401")):
        broken = Document()
        spoil(broken.doc)
        try:
            broken.check()
        except AssertionError as e:
            expect(what in str(e), f"{e}, not {what}")
        else:
            raise AssertionError(f"nobody minds: {what}")


@test("an answer that is not as described is refused")
def _():
    good = {"name": "k", "versionName": "k@0", "material": None}
    for change in ({"material": "+/+/"}, {"more": 1}, {"versionName": "k"}, {"name": ""}):
        reply = kms.Reply(200, "OK", [("Content-Type", "application/json")], json.dumps([{**good, **change}]).encode())
        try:
            doc.judge(KEY + "/_versions", "GET", reply)
        except AssertionError:
            continue
        raise AssertionError(f"nobody minds {change}")


@test("every endpoint that the server knows is described")
def _():
    enum = re.search(r"enum endpoint {(.*?)};", source("proxy/kms.h"), re.S).group(1)
    known = set(re.findall(r"\bEP_\w+", enum))
    equal(known - set(ENDPOINTS) - NOWHERE, set(), "endpoints without a description")
    for ep, (method, path) in ENDPOINTS.items():
        expect(ep in known, f"{ep} is described and is no endpoint any more")
        expect(doc.operation(path, method), f"{ep}: {method} {path} is not described")
    literals = set(re.findall(r'"(/[^"\\]*)"', source("proxy/route.c"))) - PARTS
    expect(len(literals) > 15, "the source of the routes is not what it was")
    for text in literals:
        expect(any(p == text or p.endswith(text) for p in doc.paths), f"{text} of proxy/route.c is in no path")


# ---- the server ----------------------------------------------------------------------------------

def new_key(ask):
    ask(V1 + "/keys", "POST", body={"name": "k", "material": B64, "description": "d", "attributes": {"a": "b"}}, status=201)


@test("everything that succeeds answers as described")
def _():
    with kms.one_server(site={"hadoop.prometheus.endpoint.enabled": "true"}) as s:
        ask = Asker(s)
        new_key(ask)
        ask(V1 + "/keys", "POST", body={"name": "generated", "length": 256}, status=201)
        equal(ask(KEY, "POST", body={}, status=200).json()["versionName"], "k@1")
        eek = ask(KEY + "/_eek", "GET", KEY + "/_eek?eek_op=generate&num_keys=2", status=200).json()
        equal(len(eek), 2)
        body = {"name": "k", "iv": eek[0]["iv"], "material": eek[0]["encryptedKeyVersion"]["material"]}
        ask(EEK, "POST", V1 + "/keyversion/k@1/_eek?eek_op=decrypt", body, status=200)
        ask(EEK, "POST", EEK + "?eek_op=reencrypt", body, status=200)
        old = {**eek[0], "versionName": "k@0"}
        ask(KEY + "/_reencryptbatch", "POST", body=[old, eek[1]], status=200)
        for path in (KEY, KEY + "/_metadata", KEY + "/_currentversion", KEY + "/_versions", V1 + "/keyversion/{versionName}"):
            for method in ("GET", "HEAD"):
                ask(path, method, status=200)
                ask(path, method, path.replace("{name}", "none").replace("{versionName}", "none@0"), status=200)
        ask(V1 + "/keyversion/{versionName}", "GET", V1 + "/keyversion/k%400", status=200)
        for method in ("GET", "HEAD"):
            ask(V1 + "/keys/names", method, status=200)
            ask(V1 + "/keys/metadata", method, V1 + "/keys/metadata?key=k&key=none&key=generated", status=200)
            ask(KEY + "/_eek", method, KEY + "/_eek?eek_op=generate", status=200)
        ask(KEY + "/_invalidatecache", "POST", status=200)
        versions = [{"versionName": "old@0", "material": B64}, {"versionName": "old@1", "material": B64}]
        ask("/svsm/v1/import", "POST", body={"name": "old", "versions": versions, "created": 1}, status=201)
        ask(KEY, "DELETE", status=200)
        for path in doc.paths:
            if doc.operation(path, "OPTIONS"):
                ask(path, "OPTIONS", status=200)
        for page in ("/jmx", "/conf", "/stacks", "/prom"):
            for path in (page, "/kms" + page):
                for method in ("GET", "HEAD") if path in doc.paths else ():
                    ask(path, method, status=200)
                    if page == "/conf":
                        ask(path, method, path + "?name=nothing", status=404)
                        ask(path, method, headers={"Accept": "application/json"}, status=200)
                        ask(path, method, path + "?name=hadoop.kms.http.port", headers={"Accept": "application/json"}, status=200)
                    if page == "/jmx":
                        for text in ("qry=nonsense", "get=nonsense", "qry=java.lang:*", "get=java.lang:type=Memory::Verbose",
                                     "get=java.lang:type=Memory::Nothing"):
                            ask(path, method, path + "?" + text, status=200)
        for page in open_pages():
            for method in ("GET", "HEAD"):
                if "attestation" not in page:
                    ask(page, method, user=None, status=200)
        with s.conn() as c:
            equal(c.request("GET", "/openapi.json").body.decode(), doc.text, "the document that is served")


@test("delegation tokens answer as described")
def _():
    root = V1 + "/"
    get, renew, cancel = (f"{root}?op={op}DELEGATIONTOKEN" for op in ("GET", "RENEW", "CANCEL"))
    with kms.one_server() as s:
        ask = Asker(s)
        token = ask(root, "GET", get + "&renewer=bob", status=200).json()["Token"]["urlString"]
        ask(root, "GET", get, user=None, status=403)
        ask(root, "GET", get + "&doAs=bob", status=403)
        ask(root, "GET", renew, status=400)
        ask(root, "PUT", renew + "&token=" + token, user="bob", status=200)
        ask(root, "PUT", renew + "&token=" + token, user="carol", status=403)
        ask(root, "PUT", renew + "&token=" + token, user=None, status=403)
        ask(root, "PUT", renew, status=400)
        ask(root, "PUT", get, status=400)
        ask(V1 + "/keys/names", "GET", headers={"X-Hadoop-Delegation-Token": token}, user=None, status=200)
        ask(V1 + "/keys/names", "GET", f"{V1}/keys/names?delegation={token}", user=None, status=200)
        ask(V1 + "/keys/names", "GET", headers={"X-Hadoop-Delegation-Token": "AAAA"}, user=None, status=403)
        ask(root, "OPTIONS", root + "?delegation=" + token, user=None, status=200)
        ask(root, "PUT", cancel + "&token=" + token, user=None, status=200)
        ask(root, "PUT", cancel + "&token=" + token, status=404)
        ask(V1 + "/keys/names", "GET", headers={"X-Hadoop-Delegation-Token": token}, user=None, status=403)


def keytab():
    """A key of a realm that does not exist, as MIT keeps it: enough for a server that nobody gets a ticket for."""
    words = [b"EXAMPLE.TEST", b"HTTP", b"localhost"]
    entry = struct.pack(">H", 2) + b"".join(struct.pack(">H", len(w)) + w for w in words)
    entry += struct.pack(">IIBHH", 1, 0, 1, 18, 32) + os.urandom(32)
    path = os.path.join(kms.fresh_dir(), "keytab")
    kms.write(path, b"\x05\x02" + struct.pack(">I", len(entry)) + entry)
    return path


@test("a server with Kerberos asks for a ticket, and refuses what is none, as described")
def _():
    auth = "hadoop.kms.authentication."
    site = {auth + "type": "kerberos", auth + "kerberos.keytab": keytab(), auth + "kerberos.principal": "HTTP/localhost"}
    with Server(site=site) as s:
        ask = Asker(s)
        for path, method, op in doc.operations():
            if "401" not in op["responses"]:
                continue
            where = f"{path}?op={'GET' if method == 'GET' else 'RENEW'}DELEGATIONTOKEN&token=AAAA" if path == V1 + "/" and \
                method != "OPTIONS" else path
            body = {} if method == "POST" else None
            reply = ask(path, method, where, body, user=None, status=401)
            equal(reply.header("WWW-Authenticate"), "Negotiate")
            ask(path, method, where, body, {"Authorization": "Negotiate AAAA"}, user=None, status=403)
        ask(V1 + "/keys/names", "GET", status=401)      # a name alone is nobody's any more


@test("what is wrong is refused as described")
def _():
    with kms.one_server(site={"svsm.kms.body.max": "64k"}) as s:
        ask = Asker(s)
        new_key(ask)
        empty = {KEY: V1 + "/key/", KEY + "/_eek": V1 + "/key//_eek?eek_op=generate", V1 + "/keyversion/{versionName}": V1 + "/keyversion/",
                 EEK: V1 + "/keyversion//_eek?eek_op=decrypt"}
        for path, method, op in doc.operations():
            if "400" not in op["responses"] or path == V1 + "/" or "attestation" in path:
                continue
            wrong = empty.get(path) or (V1 + "/keys/metadata?key=" + "x" * 2000 if path.endswith("/keys/metadata") else
                                        path.replace("{name}", ""))
            body = None if method in ("GET", "HEAD", "DELETE") or path.endswith("_invalidatecache") else \
                [] if path.endswith("batch") else {}
            ask(path, method, wrong, body, status=400)
        ask(KEY + "/_eek", "GET", KEY + "/_eek?eek_op=decrypt", status=400)
        ask(V1 + "/keys", "POST", body=b"{", status=400)
        ask(V1 + "/keys", "POST", body={"name": "UPPER"}, status=400)
        for path, method, op in doc.operations():
            if "415" in op["responses"]:
                ask(path, method, path + "?eek_op=decrypt" * (path == EEK), b"{}", TEXT, status=415)
            if "413" in op["responses"]:
                ask(path, method, path + "?eek_op=decrypt" * (path == EEK), {"name": "x" * 70000}, status=413)
        ask(V1 + "/keys", "POST", body={"name": "k"}, status=500)
        ask(KEY, "POST", V1 + "/key/none", {}, status=500)
        ask(KEY, "DELETE", V1 + "/key/none", status=500)
        ask("/svsm/v1/import", "POST", body={"name": "k", "versions": [{"versionName": "k@0", "material": B64}]}, status=500)
        for method in ("GET", "HEAD"):
            ask(KEY + "/_eek", method, V1 + "/key/none/_eek?eek_op=generate", status=500)
        short = {"name": "k", "iv": "AAAA", "material": B64}
        ask(EEK, "POST", EEK + "?eek_op=decrypt", short, status=500)
        ask(KEY + "/_reencryptbatch", "POST", body=[{"versionName": "k@0", "iv": "AAAA", "encryptedKeyVersion":
                                                     {"name": "k", "versionName": "EEK", "material": B64}}], status=500)
        for method in ("GET", "HEAD"):
            ask("/prom", method, status=404)


@test("who is not known is refused as described")
def _():
    with kms.one_server() as s:
        ask = Asker(s)
        for path, method, op in doc.operations():
            if "401" in op["responses"] and path != V1 + "/":
                ask(path, method, body={} if method in ("POST", "PUT") else None, user=None, status=401)
        ask(V1 + "/", "OPTIONS", user=None, status=401)
        ask(V1 + "/keys/names", "GET", user=None, headers={"Cookie": 'hadoop.auth="u=a&p=a&t=simple-dt&e=1&s=AAAA"'}, status=401)


@test("who may not is refused as described")
def _():
    site = {"hadoop.security.authorization": "true", "hadoop.security.instrumentation.requires.admin": "true",
            "hadoop.kms.http.administrators": "root"}
    nobody = {f"hadoop.kms.acl.{t}": " " for t in ("DELETE", "ROLLOVER", "GET", "GET_KEYS", "GET_METADATA", "GENERATE_EEK", "DECRYPT_EEK")}
    with Server(site=site, acls={**kms.OPEN_ACLS, **nobody}) as s:
        ask = Asker(s)
        new_key(ask)
        body = {"name": "k", "iv": B64, "material": B64}
        ask(EEK, "POST", EEK + "?eek_op=decrypt", body, status=403)
        for path, method, op in doc.operations():
            if "403" not in op["responses"] or path == V1 + "/" and method != "OPTIONS":
                continue
            if path in ("/jmx", "/kms/jmx", "/conf", "/kms/conf", "/stacks", "/kms/stacks") and method in ("GET", "HEAD"):
                ask(path, method, status=403)
            else:
                ask(path, method, path + "?doAs=bob", body={} if method == "POST" else None, status=403)
        for path, method in ((V1 + "/keys/names", "GET"), (KEY, "GET"), (KEY, "DELETE"), (KEY + "/_versions", "HEAD")):
            ask(path, method, status=403)


@test("reports, and machines without")
def _():
    with kms.one_server(site={"svsm.kms.attestation.dir": kms.fresh_dir() + "/none"}) as s:
        ask = Asker(s)
        for path in ("/attestation", "/kms/attestation"):
            for method in ("GET", "HEAD"):
                ask(path, method, path + "?nonce=00", user=None, status=503)
                ask(path, method, path + "?nonce=nonsense", user=None, status=400)
    lib, keys = os.path.join(kms.BUILD, "tests", "libtest-tsm.so"), kms.fresh_dir()
    if not os.path.exists(lib) or kms.sanitized():
        NOT_OFFERED.update((p, m) for p in ("/attestation", "/kms/attestation") for m in ("GET", "HEAD"))
        raise Skip("reports themselves: no " + os.path.basename(lib) + ", or a sanitizer")
    tsm = kms.fresh_dir("tsm")
    env = {"LD_PRELOAD": lib, "SVSM_TEST_TSM": tsm, "SVSM_TEST_KEYS": keys}
    with kms.one_server(site={"svsm.kms.attestation.dir": tsm}, env=env) as s:
        ask = Asker(s)
        for path in ("/attestation", "/kms/attestation"):
            for method in ("GET", "HEAD"):
                ask(path, method, path + "?nonce=" + "ab" * 64, user=None, status=200)


@test("a core without room answers as described")
def _():
    with Server(site={"svsm.kms.core.memory.max": "16m"}, start=True) as s:
        ask = Asker(s)
        for i in range(20000):
            reply = ask(V1 + "/keys", "POST", body={"name": f"k{i}", "description": "d" * 4000,
                                                    "attributes": {"a": "b" * 12000}})
            if reply.status != 201:
                break
        equal(reply.status, 503)


@test("whoever has shown too much that was refused is turned away, everywhere")
def _():
    with kms.one_server(site={"svsm.kms.failed-logins.per-minute": "1"}) as s:
        ask, stranger = Asker(s), {"Cookie": "hadoop.auth=nonsense", "Content-Type": "application/json"}
        ask(V1 + "/keys/names", "GET", headers=stranger, user=None, status=401)
        for path, method, op in doc.operations():
            if "429" in op["responses"]:
                more = {"/kms/v1/": {"GET": "?op=GETDELEGATIONTOKEN", "PUT": "?op=RENEWDELEGATIONTOKEN&token=AA"}}
                ask(path, method, path + more.get(path, {}).get(method, ""), {} if method == "POST" else None, stranger, user=None,
                    status=429)


@test("methods that are not described are refused, and paths that are not are nowhere")
def _():
    with kms.one_server() as s:
        for path in doc.paths:
            for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
                if doc.operation(path, method):
                    continue
                filled = path.replace("{name}", "k").replace("{versionName}", "k@0")
                with s.conn() as c:
                    reply = c.request(method, query(filled, user_dot_name="alice"), {} if method in ("POST", "PUT", "PATCH") else None)
                expect(reply.status in (405, 501), lambda: f"{method} {path} is not described, and answered {reply}")
        for path in ("/kms/v1/nothing", "/kms/v1/key", "/kms/nothing", "/nothing", "/static/nothing", "/svsm/v1/nothing", "/svsm/v1"):
            with s.conn() as c:
                equal(c.request("GET", query(path, user_dot_name="alice")).status, 404, path)


@test("everything that is described was answered so by a server")
def _():
    if len(sys.argv) > 1:
        raise Skip("only some of the tests ran")
    missing, shared = [], {}
    for path, method, op in doc.operations():
        for status in op["responses"]:
            got = (path, method, int(status)) in seen
            if status in ("413", "503"):    # the same everywhere; each must have been seen somewhere
                component = doc.component(path, method, status) or "HEAD"
                shared[component] = shared.get(component) or got
            elif not got and (path, method) not in NOT_OFFERED:
                missing.append(f"{method} {path} {status}")
    missing += [name for name, got in shared.items() if not got]
    equal(missing, [], "described, and not seen")
    print(f"{len(seen)} kinds of answer, {len(doc.operations())} operations, {len(doc.paths)} paths")


run_tests("openapi: docs/openapi.json and the server")
