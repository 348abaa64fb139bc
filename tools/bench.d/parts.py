# SPDX-License-Identifier: Apache-2.0
"""The parts of the benchmark. Each takes the run's options and returns raw figures."""

import json
import os
import re
import shutil
import socket
import subprocess
import time

from common import ROOT, Skip, cpu_seconds, memory_kib, read_lines, request, say
import load
import spnego
from servers import Hadoop, Nginx, Ours, certificate

CONNECTIONS = (1, 16, 64)


def crossings(before, after):
    names = ("svsm_kms_crossings_total", "svsm_kms_core_calls_total")
    crossed, calls = (after[n] - before[n] for n in names)
    return crossed / calls if calls else 0


def warm(server, requests, limit):
    """A fixed number of requests of each kind, so that the machine code is there."""
    for op in ("decrypt", "generate"):
        done, end = 0, time.monotonic() + limit
        while done < requests and time.monotonic() < end:
            done += load.run(server, op, 16, 2)["requests"]


def http(o):
    """The three servers in turn, run by run, so that a busy machine is busy for all of them."""
    ours = Ours(o.build, o.dir / "http")
    time.sleep(1)
    figures = {"memory": {}, "runs": {}, "crossings": {}, "skipped": {}}
    figures["memory"]["svsm-kms idle"] = memory_kib(ours.pids())
    ours.login()
    servers = [ours]
    others = [lambda: Nginx(ours, o.dir / "nginx"), lambda: Hadoop(o.build, o.dir / "hadoop", o.heap)]
    for make in others[:1] if o.no_hadoop else others:
        try:
            servers.append(make())
        except Skip as why:
            say(f"  not compared: {why}")
            figures["skipped"]["nginx" if len(servers) == 1 and not shutil.which("nginx") else "Hadoop KMS"] = str(why)
    for s in servers[1:]:
        figures["memory"][f"{s.name} idle"] = memory_kib(s.pids())
    hadoop = [s for s in servers if isinstance(s, Hadoop)]
    for s in hadoop:
        s.login()
        say(f"  warming Hadoop KMS: {o.warm} requests of each kind")
        warm(s, o.warm, 10 if o.quick else 40)
        figures["hadoop"] = {"heap": s.heap, "start_ms": s.start_ms, "warm": o.warm}
    for op in ("decrypt", "generate", "generate 150", "create"):
        for n in CONNECTIONS if op != "generate 150" else (64,):
            key = f"{op} {n}"
            say(f"  {op}, {n} connection{'s' if n > 1 else ''}")
            for turn in range(o.rounds):
                for s in servers:
                    seconds = o.seconds
                    if s in hadoop and op == "create":
                        # Java stretches its key store's password at each: no more than one run of it.
                        if turn:
                            continue
                        seconds = 3 if o.quick else 6
                    before = ours.metrics() if s is ours else None
                    figures["runs"].setdefault(f"{key} {s.name}", []).append(load.run(s, op, n, seconds))
                    if s is ours:
                        figures["crossings"].setdefault(key, []).append(crossings(before, ours.metrics()))
    for s in servers:
        figures["memory"][f"{s.name} after"] = memory_kib(s.pids())
        s.stop()
    return figures


def identity(o):
    """What it costs to know who is asking: the same request with each kind of credential, in turn."""
    ours = Ours(o.build, o.dir / "identity")
    ours.login()
    fetch = "GET", "/kms/v1/?op=GETDELEGATIONTOKEN&renewer=bench", ""
    _, _, answer = request(ours.port, *fetch[:2], cookie=ours.cookie)
    token = json.loads(answer)["Token"]["urlString"]
    who, decrypt = ("OPTIONS", "/kms/v1/", ""), load.operation(ours, "decrypt")
    named = "OPTIONS", "/kms/v1/?user.name=bench", ""
    kinds = (("nobody, refused", who, "", "", True), ("cookie", who, ours.cookie, "", False),
             ("delegation token", who, "", token, False), ("user name, new cookie", named, "", "", False),
             ("decrypt by cookie", decrypt, ours.cookie, "", False),
             ("decrypt by delegation token", decrypt, "", token, False),
             ("fetch a token, durable", fetch, ours.cookie, "", False))
    figures = {}
    for _ in range(o.rounds):
        for name, what, cookie, shown, refused in kinds:
            say(f"  {name}")
            figures.setdefault(name, []).append(load.shoot(ours, name, what, 64, o.seconds, cookie, shown, refused))
    ours.stop()
    return {"runs": figures}


def logins(o):
    """Kerberos logins, each a whole handshake of SPNEGO, beside the same request and client with the cookie that one gave."""
    shutil.rmtree(o.dir / "realm", ignore_errors=True)
    made, ours, runs = spnego.realm(o.dir / "realm"), None, []
    each = min(6000 * o.seconds, 60000 // o.rounds)     # the core remembers 65536 authenticators of one client
    auth = "hadoop.kms.authentication."
    try:
        ours = Ours(o.build, o.dir / "kerberos", env={"KRB5_CONFIG": str(made.conf)}, props={
            auth + "type": "kerberos", auth + "kerberos.principal": "HTTP/localhost",
            auth + "kerberos.keytab": made.dir / "http.keytab"})
        for _ in range(o.rounds):
            shown = [f"Authorization: Negotiate {t}" for t in spnego.tokens(made, each)]
            status, headers, _ = request(ours.port, "OPTIONS", "/kms/v1/", more={"Authorization": shown.pop()[15:]})
            if status != 200:
                raise RuntimeError(f"a Kerberos login was answered {status}")
            cookie = "Cookie: " + headers["Set-Cookie"].split(";")[0]
            run = {}
            for name, what in (("SPNEGO", shown), ("cookie", [cookie] * len(shown))):
                say(f"  {name}")
                before = cpu_seconds(ours.pids())
                seconds, good = spnego.ask_all(ours.port, what, 64)
                if good != len(what):
                    raise RuntimeError(f"{name}: {len(what) - good} of {len(what)} answers were no success")
                run[name] = {"per_s": good / seconds, "us": (cpu_seconds(ours.pids()) - before) * 1e6 / good}
            runs.append(run)
    finally:
        if ours:
            ours.stop()
        made.stop()
    return {"runs": runs}


def handshakes(o, server, version, kind):
    """Connections with a handshake and one small request each. us: CPU of the server's processes for each."""
    before = cpu_seconds(server.pids())
    out = subprocess.run([o.build / "tls_bench", str(server.port), version, kind, "16", str(o.seconds), "/static/none"],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    r = read_lines(out)
    if r["failed"] or not r["connections"]:
        raise RuntimeError(f"{server.name}: {r['failed']:.0f} TLS connections failed")
    if kind == "resumed" and r["resumed"] < r["connections"] - 16:
        raise RuntimeError(f"{server.name}: only {r['resumed']:.0f} of {r['connections']:.0f} sessions were resumed")
    return {"per_s": r["connections"] / r["seconds"],
            "us": (cpu_seconds(server.pids()) - before) * 1e6 / r["connections"]}


def alone(o, server, processor, connections):
    """Decrypts by a client that is on another processor and does less for each than the server."""
    head = (f"POST {server.decrypt_path()} HTTP/1.1\r\nHost: localhost:{server.port}\r\nCookie: {server.cookie}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(server.eek)}\r\n\r\n")
    before = cpu_seconds(server.pids())
    out = subprocess.run(["taskset", "-c", str(processor), o.build / "keep_bench", str(server.port),
                          "tls" if server.scheme == "https" else "plain", str(connections), str(o.seconds)],
                         input=head + server.eek, stdout=subprocess.PIPE, text=True, check=True).stdout
    r = read_lines(out)
    if r["refused"] or not r["requests"]:
        raise RuntimeError(f"{server.name}: {r['refused']:.0f} answers were no success")
    return {"per_s": r["requests"] / r["seconds"], "us": (cpu_seconds(server.pids()) - before) * 1e6 / r["requests"],
            "client_us": r["cpu_seconds"] * 1e6 / r["requests"]}


def tls_alone(o, pair):
    """With and without TLS, each server on one processor, the load on another. Empty where there is only one."""
    ours, other = (sorted(os.sched_getaffinity(0)) + [None])[:2]
    if other is None:
        return {}
    command = ["taskset", "-c", str(ours), o.build / "svsm-kms", "serve"]
    servers = {"plain": Ours(o.build, o.dir / "plain-alone", command=command),
               "tls": Ours(o.build, o.dir / "tls-alone", command=command, pair=pair)}
    runs = {}
    for s in servers.values():
        s.login()
    for n in CONNECTIONS[1:]:
        say(f"  decrypt over TLS and without, the server on a processor of its own, {n} connections")
        for _ in range(o.rounds):
            for name, s in servers.items():
                runs.setdefault(f"{n} {name}", []).append(alone(o, s, other, n))
    for s in servers.values():
        s.stop()
    return runs


def tls(o):
    """Keep-alive over TLS beside plain text, handshakes beside nginx with the same certificate."""
    pair = certificate(o.dir)
    beside = tls_alone(o, pair)
    plain, ours = Ours(o.build, o.dir / "plain"), Ours(o.build, o.dir / "tls", pair=pair)
    figures = {"runs": {}, "alone": beside, "skipped": {}}
    for s in (plain, ours):
        s.login()
    plain.name, servers = "plain text", [ours]
    try:
        servers.append(Nginx(ours, o.dir / "nginx", pair=pair))
    except Skip as why:
        figures["skipped"]["nginx"] = str(why)
    for n in CONNECTIONS:
        say(f"  decrypt over TLS, {n} connection{'s' if n > 1 else ''}")
        for _ in range(o.rounds):
            for s in (plain, *servers):
                figures["runs"].setdefault(f"decrypt {n} {s.name}", []).append(load.run(s, "decrypt", n, o.seconds))
    for version in ("1.3", "1.2"):
        for kind in ("full", "resumed"):
            say(f"  handshakes, TLS {version}, {kind}")
            for _ in range(o.rounds):
                for s in servers:
                    figures["runs"].setdefault(f"{version} {kind} {s.name}", []).append(handshakes(o, s, version, kind))
    for s in (plain, *servers):
        s.stop()
    return figures


def sync_rate(directory, seconds):
    """Single fdatasync of 4 KiB written over what is there already: all a disk has to do."""
    path = directory / "sync-rate"
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    page, size, n = b"\x5a" * 4096, 4 << 20, 0
    os.write(fd, b"\x00" * size)
    os.fsync(fd)
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        os.pwrite(fd, page, n * 4096 % size)
        os.fdatasync(fd)
        n += 1
    rate = n / (time.monotonic() - began)
    os.close(fd)
    path.unlink()
    return rate


def durable(o):
    ours = Ours(o.build, o.dir / "durable")
    ours.login()
    figures = {"fdatasync_per_s": [], "create_per_s": [], "changes_per_commit": [], "commits_per_s": [], "us": []}
    for _ in range(o.rounds):
        figures["fdatasync_per_s"].append(sync_rate(ours.data, o.seconds / 2))
        before = ours.metrics()
        r = load.run(ours, "create", 64, o.seconds)
        after = ours.metrics()
        commits, changes = (after[n] - before[n] for n in ("svsm_kms_commits_total", "svsm_kms_changes_total"))
        figures["create_per_s"].append(r["per_s"])
        figures["commits_per_s"].append(commits / r["seconds"])
        figures["changes_per_commit"].append(changes / commits if commits else 0)
        figures["us"].append(r["us"])
    ours.stop()
    return figures


def core(o):
    out = subprocess.run([o.build / "core_bench"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return read_lines(out)


def start(o):
    """From the start of the process to the first answer, with an empty store that is there already."""
    figures = {"start_ms": []}
    Ours(o.build, o.dir / "start").stop()
    for _ in range(3 if o.quick else 7):
        s = Ours(o.build, o.dir / "start", fresh=False)
        figures["start_ms"].append(s.start_ms)
        time.sleep(1)
        figures["idle_kib"] = memory_kib(s.pids())
        s.stop()
    return figures


def list_names(server):
    began = time.monotonic()
    status, _, body = request(server.port, "GET", "/kms/v1/keys/names", cookie=server.cookie)
    if status != 200:
        raise RuntimeError(f"listing the names answered {status}")
    return (time.monotonic() - began) * 1e3, len(body)


def many_keys(o):
    """A store with that many keys, beside one with a single key."""
    data = o.dir / "many"
    shutil.rmtree(data, ignore_errors=True)
    say(f"  making a store of {o.keys} keys")
    began = time.monotonic()
    subprocess.run([o.build / "store_fill", data, str(o.keys)], check=True)
    figures = {"keys": o.keys, "fill_s": time.monotonic() - began, "start_ms": [], "start_cpu_s": [],
               "file_bytes": (data / "store.mdb").stat().st_size}
    few = Ours(o.build, o.dir / "few")
    empty = [memory_kib([pid]) for pid in few.pids()]
    for _ in range(1 if o.quick else 3):
        s = Ours(o.build, data, fresh=False)
        figures["start_ms"].append(s.start_ms)
        figures["start_cpu_s"].append(cpu_seconds(s.pids()))
        full = [memory_kib([pid]) for pid in s.pids()]
        if len(figures["start_ms"]) < (1 if o.quick else 3):
            s.stop()
    for who, e, f in zip(("proxy", "service"), empty, full):
        figures[f"{who}_bytes_per_key"] = (f["rss"] - e["rss"]) * 1024 / o.keys
        figures[f"{who}_private_bytes_per_key"] = (f["private"] - e["private"]) * 1024 / o.keys
    few.login()
    s.login()
    figures["list_ms"], figures["list_bytes"] = list_names(s)
    figures["decrypt_many"], figures["decrypt_few"] = [], []
    for _ in range(2 * o.rounds):
        figures["decrypt_many"].append(load.run(s, "decrypt", 16, o.seconds))
        figures["decrypt_few"].append(load.run(few, "decrypt", 16, o.seconds))
    s.stop()
    few.stop()
    shutil.rmtree(data)
    return figures


# ---- instructions ----

def collected(path):
    """The sum of a callgrind file."""
    found = re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.M)
    return int(found.group(1))


def callgrind(path):
    return ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={path}"]


def lock_step(server, turns, connections=64):
    """The same request on every connection, then every answer: one turn of the server's loop for each."""
    head = (f"POST {server.decrypt_path()} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Cookie: {server.cookie}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(server.eek)}\r\n\r\n{server.eek}").encode()
    sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(connections)]
    for _ in range(turns):
        for s in sockets:
            s.sendall(head)
        for s in sockets:
            got = b""
            while not got.endswith(b"}"):
                more = s.recv(65536)
                if not more:
                    raise RuntimeError("the server closed a connection")
                got += more
            if not got.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"decrypt answered {got[:200]}")
    for s in sockets:
        s.close()


def path_instructions(o, turns):
    """Proxy and service in one process: valgrind does not follow into a sandbox."""
    path = o.dir / f"path-{turns}.callgrind"
    s = Ours(o.build, o.dir / "instructions", command=[*callgrind(path), o.build / "path_bench"])
    s.login()
    lock_step(s, turns)
    s.stop()
    return collected(path)


def instructions(o):
    """Differences of two runs, so that starting and stopping do not count."""
    if not shutil.which("valgrind"):
        raise Skip("valgrind is not installed")
    sums = []
    for n in (1000, 3000):
        path = o.dir / f"core-{n}.callgrind"
        subprocess.run([*callgrind(path), o.build / "core_bench", "repeat", str(n)], check=True)
        sums.append(collected(path))
    figures = {"service_per_decrypt": (sums[1] - sums[0]) / 2000}
    few, many = 10, 50 if o.quick else 110
    sums = [path_instructions(o, n) for n in (few, many)]
    figures["path_per_decrypt"] = (sums[1] - sums[0]) / ((many - few) * 64)
    figures["proxy_per_decrypt"] = figures["path_per_decrypt"] - figures["service_per_decrypt"]
    return figures


def lines(o):
    out = subprocess.run([ROOT / "tools/tcb"], stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT).stdout
    found = {}
    for line in out.splitlines():
        m = re.match(r"(service|monitor)\s+(\d+)", line)
        if m:
            found[m.group(1)] = int(m.group(2))
    return found


PARTS = {"core": core, "start": start, "http": http, "tls": tls, "identity": identity, "logins": logins, "durable": durable,
         "keys": many_keys, "instructions": instructions, "lines": lines}
