#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills a running server again and again and checks that it kept its promises.

Each round starts the server (unless it still runs), drives creates, rolls and deletes over several
connections through the Hadoop KMS REST interface, and kills -9 at a random moment the proxy (the
started process), the service (its descendant named svsm-kms-service) or both. Then, with the server
back on the same data, everything acknowledged must be there, everything unacknowledged wholly there
or wholly absent, and metadata, version list, current version and list of names must agree.

The server must have the simple authentication type and allow the user everything, including setting
and reading key material: materials are chosen here, so that they can be compared.

    kill.py --server-cmd 'build/svsm-kms serve ...' --url http://127.0.0.1:9600 --rounds 200 --seed 1

The command is started without a shell, as its own process group. Exit code 0: nothing failed.
"""
import argparse
import base64
import http.client
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

ABSENT = None       # a key's state is ABSENT or a tuple of materials, one for each version
BITS = 128


class Refused(Exception):
    """An answer that proves nothing was done or asked wrongly: the test's own mistake, or a lost key."""


class Unanswered(Exception):
    """No answer, or a 5xx: it may have been done or not."""


class Client:
    """One keep-alive connection; opened again after any trouble."""

    def __init__(self, url, user, timeout):
        parts = urllib.parse.urlsplit(url)
        self.host, self.port = parts.hostname, parts.port
        self.user, self.timeout = user, timeout
        self.conn = None

    def call(self, method, path, body=None):
        """Returns (status, decoded body). Raises Unanswered when there is no whole answer."""
        query = "&" if "?" in path else "?"
        path = "/kms/v1" + path + query + "user.name=" + urllib.parse.quote(self.user)
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            if self.conn is None:
                self.conn = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
            self.conn.request(method, path, body=data, headers=headers)
            answer = self.conn.getresponse()
            raw = answer.read()
            if answer.will_close:
                self.close()
            return answer.status, json.loads(raw) if raw.strip() else None
        except (OSError, http.client.HTTPException, ValueError) as e:
            self.close()
            raise Unanswered(f"{type(e).__name__}: {e}") from None

    def close(self):
        if self.conn is not None:
            self.conn.close()
            self.conn = None

    def get(self, path):
        status, body = self.call("GET", path)
        if status >= 500:
            raise Unanswered(f"GET {path}: {status}")
        if status != 200:
            raise Refused(f"GET {path}: {status} {body}")
        return body

    def change(self, method, path, body, want):
        status, answer = self.call(method, path, body)
        if status == want:
            return
        if status >= 500:
            raise Unanswered(f"{method} {path}: {status} {answer}")
        raise Refused(f"{method} {path}: {status} {answer}")


def key_path(name, suffix=""):
    return "/key/" + urllib.parse.quote(name, safe="") + suffix


def material_bytes(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Key:
    """What may be found under one name. More than one state is possible after an unanswered call."""

    def __init__(self):
        self.states = {ABSENT}
        self.last = "never used"

    def certain(self):
        return len(self.states) == 1

    def state(self):
        return next(iter(self.states))


class Worker(threading.Thread):
    """Owns some names; so for each name one call at a time, and its outcome is known or not."""

    def __init__(self, number, options, stop, seed):
        super().__init__(daemon=True)
        self.stop = stop
        self.random = random.Random(seed)
        self.client = Client(options.url, options.user, options.timeout)
        self.keys = {f"{options.prefix}{number}-{i}": Key() for i in range(options.keys)}
        self.acked = self.unanswered = 0
        self.recovered = True       # has had an answer since its last unanswered call
        self.failures = []

    def resume(self, stop):
        """A thread runs once: the next round's worker takes over names and connection."""
        other = Worker.__new__(Worker)
        threading.Thread.__init__(other, daemon=True)
        other.__dict__.update({k: v for k, v in self.__dict__.items()
                               if k in ("random", "client", "keys", "acked", "unanswered", "failures")})
        other.stop, other.recovered = stop, True
        return other

    def run(self):
        while not self.stop.is_set():
            usable = [n for n, k in self.keys.items() if k.certain()]
            if not usable:      # all in doubt until the round's check: only see whether it answers again
                try:
                    self.client.get("/keys/names")
                    self.recovered = True
                except (Unanswered, Refused):
                    pass
                self.stop.wait(0.01)
                continue
            name = self.random.choice(usable)
            try:
                self.step(name, self.keys[name])
                self.acked += 1
                self.recovered = True
            except Unanswered:
                self.unanswered += 1
                self.recovered = False
                self.stop.wait(0.01)
            except Refused as e:
                # Certain state and a clean refusal: the server has forgotten something while running.
                self.failures.append(f"{name}: {self.keys[name].last} refused: {e}")
                self.stop.wait(0.05)

    def step(self, name, key):
        old = key.state()
        dice = self.random.random()
        material = self.random.randbytes(BITS // 8)
        text = base64.b64encode(material).decode()
        if old is ABSENT:
            what, new = "create", (material,)
            args = ("POST", "/keys", {"name": name, "cipher": "AES/CTR/NoPadding", "length": BITS,
                                      "material": text, "description": "kill test"}, 201)
        elif dice < 0.25 or len(old) >= 12:
            what, new = "delete", ABSENT
            args = ("DELETE", key_path(name), None, 200)
        else:
            what, new = "roll", old + (material,)
            args = ("POST", key_path(name), {"material": text}, 200)
        key.states = {old, new}     # in doubt from the first byte sent to the answer read
        key.last = what
        try:
            self.client.change(*args)
        except Refused:
            key.states = {old}
            raise
        key.states = {new}


# ---- checking ----

def observe(client, name):
    """The key as the server tells it; raises Refused when its answers do not agree."""
    versions = client.get(key_path(name, "/_versions")) or []
    meta = client.get(key_path(name, "/_metadata")) or {}
    current = client.get(key_path(name, "/_currentversion")) or {}
    if not versions:
        if meta or current:
            raise Refused(f"no versions, but metadata {meta} and current version {current.get('versionName')}")
        return ABSENT
    names = [v.get("versionName") for v in versions]
    if names != [f"{name}@{i}" for i in range(len(versions))]:
        raise Refused(f"version names are {names}")
    if meta.get("versions") != len(versions):
        raise Refused(f"metadata counts {meta.get('versions')} versions, the list has {len(versions)}")
    if meta.get("name") != name or meta.get("length") != BITS or meta.get("description") != "kill test":
        raise Refused(f"metadata is {meta}")
    if current.get("versionName") != names[-1] or current.get("material") != versions[-1].get("material"):
        raise Refused(f"current version is {current.get('versionName')}, the last one is {names[-1]}")
    return tuple(material_bytes(v["material"]) for v in versions)


def show(state):
    if state is ABSENT:
        return "absent"
    return f"{len(state)} versions, the last {state[-1].hex()[:8]}"


def check(client, workers, prefix):
    """Compares everything; afterwards the model is what was seen. Returns complaints."""
    wrong = []
    names = client.get("/keys/names") or []
    listed = {n for n in names if n.startswith(prefix)}
    if len(names) != len(set(names)):
        wrong.append("the list of names has a name twice")
    for worker in workers:
        for name, key in worker.keys.items():
            try:
                seen = observe(client, name)
            except Refused as e:
                wrong.append(f"{name} (last: {key.last}): {e}")
                listed.discard(name)
                continue
            if seen not in key.states:
                doubt = " or ".join(show(s) for s in key.states)
                wrong.append(f"{name} (last: {key.last}): found {show(seen)}, expected {doubt}")
            if (seen is not ABSENT) != (name in listed):
                wrong.append(f"{name}: {show(seen)}, but {'' if name in listed else 'not '}listed")
            listed.discard(name)
            key.states = {seen}
    wrong += [f"{n}: listed, but nobody made it" for n in sorted(listed)]
    return wrong


# ---- the server ----

def processes():
    """pid -> (parent, names it goes by), from /proc."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as f:
                stat = f.read().decode(errors="replace")
            with open(f"/proc/{entry}/cmdline", "rb") as f:
                first = f.read().split(b"\0")[0].decode(errors="replace")
        except OSError:
            continue
        comm = stat[stat.index("(") + 1:stat.rindex(")")]
        rest = stat[stat.rindex(")") + 2:].split()
        if rest[0] != "Z":
            found[int(entry)] = (int(rest[1]), {comm, os.path.basename(first)})
    return found


class Server:
    def __init__(self, options, log):
        self.options, self.log = options, log
        self.process = None
        self.starts = 0

    def running(self):
        return self.process is not None and self.process.poll() is None

    def start(self):
        self.process = subprocess.Popen(shlex.split(self.options.server_cmd), stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, start_new_session=True)
        self.starts += 1
        return self.wait_ready()

    def wait_ready(self):
        """Asks until it answers; None, or why it does not."""
        client = Client(self.options.url, self.options.user, 2)
        end = time.monotonic() + self.options.start_timeout
        why = "no answer"
        while time.monotonic() < end:
            if not self.running():
                return f"the server ended with code {self.process.returncode}"
            try:
                client.get("/keys/names")
                client.close()
                return None
            except (Unanswered, Refused) as e:
                why = str(e)
                time.sleep(0.02)
        return f"not ready after {self.options.start_timeout} s: {why}"

    def services(self):
        name = self.options.service_name
        table = processes()
        ours = set()
        for pid, (_, names) in table.items():
            if name in names or name[:15] in names:
                up, steps = pid, 0
                while up in table and up != self.process.pid and steps < 64:
                    up, steps = table[up][0], steps + 1
                if up == self.process.pid and pid != self.process.pid:
                    ours.add(pid)
        return ours

    def kill(self, victim, services):
        """kill -9, each by its number. Returns what could be killed."""
        pids = list(services) if victim in ("service", "both") else []
        if victim in ("proxy", "both"):
            pids.append(self.process.pid)
        done = 0
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
                done += 1
            except ProcessLookupError:
                pass
        if victim != "service":
            self.process.wait()
        return done

    def orphans(self, services, seconds):
        """Services that live on without their proxy; they are ended here."""
        end = time.monotonic() + seconds
        left = set(services)
        while left and time.monotonic() < end:
            left &= set(processes())
            if left:
                time.sleep(0.02)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return left

    def finish(self):
        if not self.running():
            return
        services = self.services()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill("proxy", ())
        self.orphans(services, 5)


# ---- rounds ----

def recovered(workers, seconds):
    """After the service alone died: does every connection get answers again by itself?"""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if all(w.recovered for w in workers):
            return True
        time.sleep(0.01)
    return False


def drive(server, workers, victim, delay, options):
    """One round up to the kill and what must follow by itself. Returns (skipped, complaints)."""
    wrong = []
    for w in workers:
        w.start()
    time.sleep(delay)
    services = server.services()
    stop = workers[0].stop
    if victim == "service" and not services:
        stop.set()
        return "no process named " + options.service_name, wrong
    if not server.running():
        wrong.append(f"the server ended by itself with code {server.process.returncode}")
    server.kill(victim, services)
    if victim == "service":
        time.sleep(0.05)
        if not recovered(workers, options.start_timeout):
            wrong.append("the proxy did not bring its service back")
    stop.set()
    for w in workers:
        w.join(options.timeout + 5)
        if w.is_alive():
            wrong.append("a call never came back")
    if victim == "proxy":
        left = server.orphans(services, 5)
        if left:
            wrong.append(f"the service {sorted(left)} outlived its proxy by 5 s")
    return None, wrong


def one_round(server, workers, victim, delay, options):
    """Returns (skipped or None, complaints)."""
    if not server.running():
        why = server.start()
        if why:
            return None, [why]
    skipped, wrong = drive(server, workers, victim, delay, options)
    if not server.running():
        why = server.start()
        if why:
            return None, wrong + [why]
    client = Client(options.url, options.user, options.timeout)
    for attempt in range(3):
        try:
            wrong += check(client, workers, options.prefix)
            break
        except Unanswered as e:
            if attempt == 2:
                wrong.append(f"reading back failed: {e}")
            time.sleep(0.2)
        except Refused as e:
            wrong.append(f"reading back was refused: {e}")
            break
    client.close()
    for w in workers:
        wrong += w.failures
        w.failures.clear()
    return skipped, wrong


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--server-cmd", default=os.environ.get("SERVER_CMD"), help="or SERVER_CMD in the environment")
    p.add_argument("--url", default="http://127.0.0.1:9600", help="where it listens, without /kms")
    p.add_argument("--user", default="alice")
    p.add_argument("--rounds", type=int, default=200)
    p.add_argument("--seed", type=int, default=1, help="same seed, same calls and delays")
    p.add_argument("--connections", type=int, default=6)
    p.add_argument("--keys", type=int, default=8, help="names for each connection")
    p.add_argument("--prefix", default="kill-test-", help="of key names; no other key may begin so")
    p.add_argument("--victims", default="proxy,service,both")
    p.add_argument("--service-name", default="svsm-kms-service")
    p.add_argument("--min-ms", type=int, default=5, help="least time from load to kill")
    p.add_argument("--max-ms", type=int, default=400)
    p.add_argument("--timeout", type=float, default=20, help="seconds for one call")
    p.add_argument("--start-timeout", type=float, default=30)
    p.add_argument("--log", help="file for the server's output (default: a temporary one)")
    p.add_argument("--stop-at-failure", action="store_true")
    options = p.parse_args()
    options.victims = options.victims.split(",")
    if not options.server_cmd:
        p.error("no --server-cmd")
    if not set(options.victims) <= {"proxy", "service", "both"}:
        p.error("--victims: proxy, service, both")
    return options


def main():
    options = arguments()
    rnd = random.Random(options.seed)
    log = open(options.log, "ab") if options.log else tempfile.NamedTemporaryFile(prefix="kill-test-", suffix=".log")
    server = Server(options, log)
    passed = failed = skipped = 0
    workers = [Worker(i, options, threading.Event(), options.seed * 1000 + i) for i in range(options.connections)]
    try:
        for number in range(1, options.rounds + 1):
            victim = rnd.choice(options.victims)
            delay = rnd.uniform(options.min_ms, options.max_ms) / 1000
            stop = threading.Event()
            workers = [w.resume(stop) for w in workers]
            why_skipped, wrong = one_round(server, workers, victim, delay, options)
            if wrong:
                failed += 1
                print(f"round {number}: FAILED, killed {victim} after {delay * 1000:.0f} ms")
                for line in wrong[:20]:
                    print(f"    {line}")
                if options.stop_at_failure:
                    break
            elif why_skipped:
                skipped += 1
                print(f"round {number}: skipped: {why_skipped}")
            else:
                passed += 1
            if number % 10 == 0 or number == options.rounds:
                acked = sum(w.acked for w in workers)
                doubt = sum(w.unanswered for w in workers)
                print(f"round {number}/{options.rounds}: {acked} acknowledged, {doubt} unanswered, "
                      f"{server.starts} starts, {failed} rounds failed", flush=True)
    finally:
        server.finish()
        log.flush()
    acked = sum(w.acked for w in workers)
    if acked == 0 and passed:
        print("not one call was acknowledged: nothing was tested")
        failed, passed = failed + passed, 0
    if failed:
        with open(log.name, "rb") as f:
            tail = f.read()[-4000:].decode(errors="replace")
        print("the server's last output:\n" + tail)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
