# SPDX-License-Identifier: Apache-2.0
"""A key management server in memory that answers as Hadoop KMS does (chunked, pretty-printed JSON), and
lies, stalls or breaks when told to. For tests of the client only: its encryption is a toy."""

import base64
import http.server
import json
import os
import re
import threading
import time
import urllib.parse


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "=" * (-len(text) % 4))


class Refused(Exception):
    def __init__(self, status, exception, message):
        super().__init__(message)
        self.status, self.exception = status, exception


class Key:
    def __init__(self, name, body):
        material = body.get("material")
        self.meta = {"name": name, "cipher": body.get("cipher") or "AES/CTR/NoPadding",
                     "length": body.get("length") or 128, "description": body.get("description"),
                     "attributes": dict(body.get("attributes") or {}), "created": int(time.time() * 1000)}
        self.meta["attributes"].setdefault("key.acl.name", name)
        self.materials = [unb64(material) if material else os.urandom(self.meta["length"] // 8)]

    def metadata(self):
        return dict(self.meta, versions=len(self.materials))

    def version(self, n):
        name = self.meta["name"]
        return {"name": name, "versionName": f"{name}@{n}", "material": b64(self.materials[n])}


class FakeKms:
    """state: keys, requests (what arrived), raw (bytes to send instead), importable, deny, corrupt_import."""

    def __init__(self):
        self.keys, self.requests, self.cookies = {}, [], {}
        self.raw = None           # bytes sent instead of any answer, then the connection is closed
        self.raw_for = None       # only for paths that contain this
        self.importable = True
        self.deny = set()         # names of keys whose material is refused
        self.corrupt_import = False
        self.health = {"status": "ok", "isolation": "process"}
        self.stall = 0
        self.drop_cookies = False
        self.close_idle = False
        self.date = None
        self.tokens = {}
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args):
                pass

            def date_time_string(self, timestamp=None):
                return fake.date or super().date_time_string(timestamp)

            def handle_any(self):
                fake.handle(self)

            do_GET = do_POST = do_DELETE = do_OPTIONS = handle_any

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass    # clients that hang up are part of the tests

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/kms"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # one request

    def handle(self, h):
        length = int(h.headers.get("Content-Length") or 0)
        body = h.rfile.read(length) if length else b""
        path, _, query = h.path.partition("?")
        query = urllib.parse.parse_qs(query, keep_blank_values=True)
        self.requests.append((h.command, h.path, dict(h.headers), body))
        if self.stall:
            time.sleep(self.stall)
        if self.raw is not None and (self.raw_for is None or self.raw_for in h.path):
            h.wfile.write(self.raw)
            h.close_connection = True
            return
        if path == "/health":
            # Hadoop's web server asks for a login, in JSON, before it says that there is no such page.
            return self.answer(h, *((200, self.health) if self.health else (401, {"status": "401"})))
        user = self.login(h, query)
        if user is None:
            return self.plain(h, 401, "Authentication required", [("WWW-Authenticate", "PseudoAuth"),
                                                                  ("Set-Cookie", "hadoop.auth=; HttpOnly")])
        cookie = f'"u={user}&p={user}&t=simple-dt&e=9&s=x="'
        self.cookies[cookie] = user
        extra = [("Set-Cookie", f"hadoop.auth={cookie}; HttpOnly")]
        try:
            status, document = self.route(h.command, path, query, json.loads(body) if body else None)
        except Refused as e:
            error = {"RemoteException": {"message": str(e), "exception": e.exception, "javaClassName": e.exception}}
            return self.answer(h, e.status, error, extra)
        if document is None:
            return self.plain(h, status, "OK", extra)
        self.answer(h, status, document, extra)

    def login(self, h, query):
        token = h.headers.get("X-Hadoop-Delegation-Token")
        if token:
            return self.tokens.get(token)
        cookie = h.headers.get("Cookie", "")
        if cookie.startswith("hadoop.auth=") and not self.drop_cookies:
            found = self.cookies.get(cookie[len("hadoop.auth="):])
            if found:
                return found
        return query.get("user.name", [None])[0]

    def plain(self, h, status, reason, headers):
        h.send_response(status, reason)
        for name, value in headers:
            h.send_header(name, value)
        h.send_header("Content-Length", "0")
        h.end_headers()
        self.after(h)

    def answer(self, h, status, document, headers=()):
        h.send_response(status)
        h.send_header("Content-Type", "application/json")
        h.send_header("Transfer-Encoding", "chunked")
        for name, value in headers:
            h.send_header(name, value)
        h.end_headers()
        text = json.dumps(document, indent=2).encode()
        for i in range(0, len(text), 1000):
            part = text[i:i + 1000]
            h.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        h.wfile.write(b"0\r\n\r\n")
        self.after(h)

    def after(self, h):
        if self.close_idle:
            h.close_connection = True     # without having said so

    # what is asked

    def route(self, method, path, query, body):
        if path == "/svsm/v1/import" and method == "POST":
            return self.import_key(body)
        if not path.startswith("/kms/v1/"):
            raise Refused(404, "NotFoundException", "null for uri")
        path = path[len("/kms/v1/"):]
        if path == "keys" and method == "POST":
            return self.create(body)
        if path == "keys/names":
            return 200, list(self.keys)
        if path == "keys/metadata":
            return 200, [self.keys[k].metadata() if k in self.keys else {} for k in query.get("key", [])]
        m = re.fullmatch(r"(key|keyversion)/([^/]*)(?:/(_\w+))?", path)
        if not m:
            raise Refused(404, "NotFoundException", "null for uri")
        name = urllib.parse.unquote(m[2])
        return getattr(self, m[1])(method, name, m[3], query, body)

    def create(self, body):
        if body["name"] in self.keys:
            raise Refused(500, "IOException", f"Key {body['name']} already exists in fake://")
        if body["name"] == "forbidden":
            raise Refused(403, "AuthorizationException", "User:alice not allowed to do 'CREATE_KEY'")
        self.keys[body["name"]] = Key(body["name"], body)
        return 201, self.keys[body["name"]].version(0)

    def import_key(self, body):
        if not self.importable:
            raise Refused(404, "NotFoundException", "null for uri")
        if body["name"] in self.keys:
            raise Refused(409, "IOException", "exists")
        key = Key(body["name"], dict(body, material=body["versions"][0]["material"]))
        key.meta["created"] = body["created"]
        key.materials = [unb64(v["material"]) for v in body["versions"]]
        if self.corrupt_import:
            key.materials[-1] = bytes(len(key.materials[-1]))
        self.keys[body["name"]] = key
        return 201, {"name": body["name"], "versions": len(key.materials)}

    def key(self, method, name, what, query, body):
        key = self.keys.get(name)
        if method == "GET" and what in (None, "_metadata"):
            return 200, key.metadata() if key else {}
        if method == "GET" and what == "_versions":
            if name in self.deny:
                raise Refused(403, "AuthorizationException", f"User:x not allowed to do 'GET_KEY_VERSIONS' on '{name}'")
            return 200, [key.version(i) for i in range(len(key.materials))] if key else []
        if method == "POST" and what == "_invalidatecache":
            return 200, None
        if not key:
            raise Refused(500, "IOException", f"Key {name} does not exist in fake://")
        if method == "DELETE":
            del self.keys[name]
            return 200, None
        if method == "POST" and what is None:
            material = body.get("material")
            key.materials.append(unb64(material) if material else os.urandom(key.meta["length"] // 8))
            return 200, key.version(len(key.materials) - 1)
        if what == "_eek":
            return 200, [self.eek(key, os.urandom(16), os.urandom(16)) for _ in range(int(query["num_keys"][0]))]
        if what == "_reencryptbatch":
            return 200, [self.eek(key, unb64(e["iv"]), self.open(e["versionName"], e)) for e in body]
        raise Refused(404, "NotFoundException", "null for uri")

    def keyversion(self, method, name, what, query, body):
        eek = {"iv": body["iv"], "encryptedKeyVersion": {"material": body["material"]}}
        return 200, {"name": body["name"], "versionName": "EK", "material": b64(self.open(name, eek))}

    def mix(self, key, n, iv, data):
        pad = (key.materials[n] + iv) * 4
        return bytes(a ^ b for a, b in zip(data, pad))

    def eek(self, key, iv, plain):
        n = len(key.materials) - 1
        return {"versionName": f"{key.meta['name']}@{n}", "iv": b64(iv),
                "encryptedKeyVersion": {"name": None, "versionName": "EEK", "material": b64(self.mix(key, n, iv, plain))}}

    def open(self, version, eek):
        name, _, n = version.rpartition("@")
        if name not in self.keys:
            raise Refused(400, "IllegalArgumentException", f"'{version}' not found")
        return self.mix(self.keys[name], int(n), unb64(eek["iv"]), unb64(eek["encryptedKeyVersion"]["material"]))
