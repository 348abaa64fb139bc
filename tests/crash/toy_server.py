#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A toy key server for kill.py's self-test: no security, just the few calls kill.py makes.

A proxy (this process: HTTP) and a child named svsm-kms-service that keeps the keys in SQLite, started
again when it dies. With --flaw it breaks one promise each, and kill.py has to notice:

    lose-acked     acknowledges before it writes
    tear-roll      writes a new version and its count in two transactions
    resurrect      forgets deletions that were not followed by another write
    wrong-material answers with another material after a restart
    no-restart     leaves a dead service dead
    orphan         the service lives on without its proxy
"""
import argparse
import base64
import http.server
import json
import os
import select
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.parse

FLAWS = ("lose-acked", "tear-roll", "resurrect", "wrong-material", "no-restart", "orphan")


# ---- the service ----

class Keys:
    def __init__(self, path, flaw):
        self.flaw = flaw
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=OFF")      # a killed process loses nothing that was written
        self.db.execute("CREATE TABLE IF NOT EXISTS key (name TEXT PRIMARY KEY, meta TEXT, count INT)")
        self.db.execute("CREATE TABLE IF NOT EXISTS version (name TEXT, n INT, material BLOB)")
        self.waiting = []

    def flush(self):
        for do in self.waiting:
            do()
        self.waiting.clear()

    def write(self, *statements):
        def do():
            if self.flaw != "tear-roll":
                self.db.execute("BEGIN")
            for sql, args in statements:
                self.db.execute(sql, args)
                if self.flaw == "tear-roll":
                    time.sleep(0.003)
            if self.flaw != "tear-roll":
                self.db.execute("COMMIT")
        is_delete = statements[0][0].startswith("DELETE")
        if self.flaw == "lose-acked" or (self.flaw == "resurrect" and is_delete):
            self.waiting.append(do)
            return
        self.flush()
        do()

    def count(self, name):
        self.flush()        # the running process sees what it has promised
        row = self.db.execute("SELECT count FROM key WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def create(self, name, meta, material):
        if self.count(name) is not None:
            return 500, f"Key {name} already exists"
        self.write(("INSERT INTO key VALUES (?, ?, 1)", (name, json.dumps(meta))),
                   ("INSERT INTO version VALUES (?, 0, ?)", (name, material)))
        return 201, None

    def roll(self, name, material):
        n = self.count(name)
        if n is None:
            return 500, f"Key {name} not found"
        self.write(("INSERT INTO version VALUES (?, ?, ?)", (name, n, material)),
                   ("UPDATE key SET count = ? WHERE name = ?", (n + 1, name)))
        return 200, None

    def delete(self, name):
        if self.count(name) is None:
            return 500, f"Key {name} does not exist"
        self.write(("DELETE FROM key WHERE name = ?", (name,)), ("DELETE FROM version WHERE name = ?", (name,)))
        return 200, None

    def versions(self, name):
        self.count(name)
        rows = self.db.execute("SELECT n, material FROM version WHERE name = ? ORDER BY n", (name,))
        return [(n, bytes(m)) for n, m in rows]

    def meta(self, name):
        row = self.db.execute("SELECT meta, count FROM key WHERE name = ?", (name,)).fetchone()
        return dict(json.loads(row[0]), versions=row[1]) if row else {}

    def names(self):
        return [r[0] for r in self.db.execute("SELECT name FROM key")]


def version_json(name, n, material, flaw, started):
    if flaw == "wrong-material" and n and time.monotonic() - started < 0.3:
        material = bytes(len(material))
    return {"name": name, "versionName": f"{name}@{n}",
            "material": base64.urlsafe_b64encode(material).decode().rstrip("=")}


def serve_call(keys, call, started):
    op, name = call["op"], call.get("name")
    if op == "create":
        return keys.create(name, call["meta"], base64.b64decode(call["material"]))
    if op == "roll":
        return keys.roll(name, base64.b64decode(call["material"]))
    if op == "delete":
        return keys.delete(name)
    if op == "names":
        return 200, keys.names()
    if op == "metadata":
        keys.count(name)
        return 200, keys.meta(name)
    versions = [version_json(name, n, m, keys.flaw, started) for n, m in keys.versions(name)]
    if op == "versions":
        return 200, versions
    return 200, versions[-1] if versions else {}


def service(options):
    keys = Keys(options.data, options.flaw)
    started = last = time.monotonic()
    buffered = b""
    while True:
        ready, _, _ = select.select([0], [], [], 0.02)
        if time.monotonic() - last > 0.05:
            keys.flush()
            last = time.monotonic()
        if not ready:
            continue
        data = os.read(0, 65536)
        if not data:
            if options.flaw == "orphan":
                time.sleep(30)
            return 0
        buffered += data
        while b"\n" in buffered:
            line, buffered = buffered.split(b"\n", 1)
            try:
                answer = serve_call(keys, json.loads(line), started)
                os.write(1, json.dumps(answer).encode() + b"\n")
            except BrokenPipeError:
                return 0


# ---- the proxy ----

class Service:
    def __init__(self, options):
        self.options, self.lock, self.child = options, threading.Lock(), None
        self.died = False

    def call(self, call):
        with self.lock:
            if self.child is None or self.child.poll() is not None:
                if self.child is not None and self.options.flaw == "no-restart":
                    return 503, "the service is dead"
                args = ["svsm-kms-service", os.path.abspath(__file__), "--service", "--data", self.options.data]
                if self.options.flaw:
                    args += ["--flaw", self.options.flaw]
                self.child = subprocess.Popen(args, executable=sys.executable, stdin=subprocess.PIPE,
                                              stdout=subprocess.PIPE)
            try:
                self.child.stdin.write(json.dumps(call).encode() + b"\n")
                self.child.stdin.flush()
                line = self.child.stdout.readline()
            except BrokenPipeError:
                line = b""
            if not line:
                self.child.wait()
                return 503, "the service died"
            return tuple(json.loads(line))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def body(self):
        n = int(self.headers.get("Content-Length", 0))
        return json.loads(self.rfile.read(n)) if n else {}

    def route(self):
        path = urllib.parse.urlsplit(self.path).path.removeprefix("/kms/v1")
        body = self.body()
        if path == "/keys":
            return {"op": "create", "name": body["name"], "material": body["material"],
                    "meta": {"name": body["name"], "length": body["length"], "description": body["description"]}}
        if path == "/keys/names":
            return {"op": "names"}
        parts = [urllib.parse.unquote(p) for p in path.split("/")[2:]]
        if self.command == "POST":
            return {"op": "roll", "name": parts[0], "material": body["material"]}
        if self.command == "DELETE":
            return {"op": "delete", "name": parts[0]}
        return {"op": parts[1].removeprefix("_"), "name": parts[0]}

    def answer(self):
        status, value = self.server.service.call(self.route())
        raw = json.dumps(value).encode() if value is not None else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_DELETE = answer


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", required=True)
    p.add_argument("--port", type=int)
    p.add_argument("--flaw", choices=FLAWS)
    p.add_argument("--service", action="store_true")
    options = p.parse_args()
    if options.service:
        return service(options)
    http.server.ThreadingHTTPServer.allow_reuse_address = True
    http.server.ThreadingHTTPServer.daemon_threads = True
    server = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.service = Service(options)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
