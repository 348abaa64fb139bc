# SPDX-License-Identifier: Apache-2.0
"""Full, failing and hanging disks: changes are refused with a remedy, nothing is half there, reads go on."""
import contextlib
import os
import signal
import socket
import subprocess
import time

from disk import fill, small_disk
from kms import (BUILD, SLOW, Closed, Conn, NotReady, Server, Skip, equal, expect, fresh_dir, one_server, request, test, wait_for,
                 write)


def elsewhere():
    """The audit chain on another disk: these tests are about the store's."""
    return {"svsm.kms.audit.chain.file": os.path.join(fresh_dir("chain"), "kms-audit.chain")}


@test("with the disk full creates are refused with what and what to do, reads go on, and room mends all", "T-95")
def full():
    with small_disk("2m") as d:
        data = os.path.join(d, "data")
        with Server(data=data, site={"svsm.kms.audit.file": "/dev/null", "svsm.kms.store.map.max": "1g", **elsewhere()}) as s:
            made = {}
            for i in range(20):
                made[f"k{i}"] = s.create(f"k{i}")["material"]
            ballast = fill(d)
            refused_at, i = None, 0
            while refused_at is None and i < 200:
                r = s.call("POST", "/keys", {"name": f"f{i}", "description": "d" * 4000})
                if r.status == 201:
                    made[f"f{i}"] = r.json()["material"]
                else:
                    refused_at = r
                i += 1
            expect(refused_at is not None, "the disk did not fill up")
            equal(refused_at.status, 503, repr(refused_at))
            text = refused_at.error()[1]
            expect("store.mdb" in text and "disk is full" in text and "Free some space" in text, text)
            for _ in range(5):    # again and again, also rolls and deletes: each is done or not
                for method, path, body in (("POST", "/keys", {"name": "n"}), ("POST", "/key/k1", {}), ("DELETE", "/key/k2", None)):
                    r = s.call(method, path, body)
                    expect(r.status in (200, 201, 503, 500), repr(r))
                    if r.status in (200, 201):
                        made.pop("k2", None) if method == "DELETE" else made.pop("k1", None) if path == "/key/k1" else \
                            made.update(n=r.json()["material"])
            equal(s.health()["pending"], 0)
            equal(s.health()["status"], "ok")
            for name, material in made.items():
                equal(s.versions(name)[0]["material"], material, name)
            there = s.all_keys()
            equal(s.call("GET", "/key/k3/_eek?eek_op=generate").status, 200)
            os.unlink(ballast)
            wait_for(lambda: s.call("POST", "/keys", {"name": "after"}).status == 201, "no creates after space was freed")
            ballast = fill(d)
            equal(s.stop(), 0)
            try:
                s.start()
            except NotReady as e:
                raise AssertionError(f"does not start on a full disk: {e.err}") from None
            now = s.all_keys()
            now.pop("after")
            equal(now, there)
            os.unlink(ballast)
            s.create("last")
            s.healthy()
            equal(s.stop(), 0)
            s.start()
            expect("last" in s.names(), "an acknowledged key is gone")
            equal(s.stop(), 0)


@test("many creates on a disk that fills up: acknowledged ones are there, refused ones are not", "T-95")
def fills_under_load():
    from concurrency import together
    with small_disk("3m") as d:
        with Server(data=os.path.join(d, "data"), site={"svsm.kms.store.map.max": "1g", **elsewhere()}) as s:
            acked, told = {}, {}

            def create(i):
                with s.conn(60) as c:
                    for n in range(60):
                        name = f"l{i}-{n}"
                        r = c.request("POST", "/kms/v1/keys?user.name=alice", {"name": name, "description": "d" * 2000})
                        if r.status == 201:
                            acked[name] = r.json()["material"]
                        else:
                            equal(r.status, 503, repr(r))
                            told[name] = r.error()[1]

            together(16, create)
            expect(told, "the disk did not fill up")
            expect(all("Free some space" in t for t in told.values()), list(told.values())[0])
            keys = s.all_keys()
            equal(set(keys), set(acked))
            equal(s.stop(), 0, s.log())
            os.path.exists(os.path.join(d, "data", "kms-audit.log")) and os.unlink(os.path.join(d, "data", "kms-audit.log"))
            s.start()
            keys = s.all_keys()
            equal({n: v[0]["material"] for n, (_, v) in keys.items()}, acked)
            equal(s.stop(), 0)


@test("a full audit log's disk degrades /health but not the service", "T-54")
def audit_full():
    with small_disk("1m") as d:
        log = os.path.join(d, "audit.log")
        with Server(site={"svsm.kms.audit.file": log}) as s:
            ballast = fill(d)
            for i in range(200):
                equal(s.call("GET", f"/key/n{i}/_metadata").status, 200)
            wait_for(lambda: s.health()["audit"] == "failing")
            equal(s.health()["status"], "degraded")
            os.unlink(ballast)
            s.create("k")
            wait_for(lambda: s.health()["status"] == "ok", s.log)
            with open(log) as f:
                text = f.read()
            expect(all(f"key=n{i}," in text for i in range(200)), "lines were lost")
            equal(s.stop(), 0)


@test("a data directory on a disk with no room at all is refused with what to do", "T-95")
def no_room_to_start():
    with small_disk("64k") as d:
        fill(d)
        s = Server(start=False, data=os.path.join(d, "data"))
        with s:
            try:
                s.start()
                raise AssertionError("it started")
            except NotReady as e:
                expect(isinstance(e.code, int) and e.code in (73, 74, 78), f"exit code {e.code}: {e.err}")
                expect("space" in e.err.lower(), e.err)


@test("the store's own size limit is an error with a remedy, too", "T-95")
def map_limit():
    with Server(site={"svsm.kms.store.map.max": "1m"}) as s:
        made, r = {}, None
        for i in range(400):
            r = s.call("POST", "/keys", {"name": f"k{i}", "description": "d" * 4000})
            if r.status != 201:
                break
            made[f"k{i}"] = r.json()["material"]
        equal(r.status, 503, repr(r))
        expect("limit" in r.error()[1] and "Raise the store's size limit" in r.error()[1], r.error()[1])
        for name in list(made)[::7]:
            equal(s.versions(name)[0]["material"], made[name])
        equal(s.stop(), 0)
        s.start()
        equal(s.keys, len(made))
        equal(s.stop(), 0)


@test("a store that cannot be written at all is refused at the start", "T-95")
def read_only():
    with small_disk("4m") as d:
        data = os.path.join(d, "data")
        with Server(data=data, site={"svsm.kms.audit.file": "/dev/null"}) as s:
            s.create("k")
            equal(s.stop(), 0)
        subprocess.run(["mount", "-o", "remount,ro", d], check=True)
        s = Server(data=data, start=False, site={"svsm.kms.audit.file": "/dev/null"})
        with s:
            try:
                s.start()
                raise AssertionError("it started")
            except NotReady as e:
                expect(e.code > 0 and "mounted for writing" in e.err or "read-only" in e.err.lower(), f"{e.code}: {e.err}")


# ---- a disk that hangs or fails

@contextlib.contextmanager
def moody_disk():
    """(environment for the server, function that sets the disk's mood: "hang", "eio", "no space" or "")."""
    lib = os.path.join(BUILD, "tests", "libtest-disk.so")
    if not os.path.exists(lib):
        raise Skip(lib + " is not built")
    path = os.path.join(fresh_dir(), "mood")

    def mood(what):
        if what:
            write(path, what)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    yield {"LD_PRELOAD": lib, "SVSM_TEST_DISK": path}, mood
    mood("")


@test("while the disk hangs, reads and /health go on; the waiting changes are made when it goes on", "T-96")
def disk_hangs():
    with moody_disk() as (env, mood), one_server(env=env) as s:
        s.create("k")
        mood("hang")
        waiting = [s.conn(60) for _ in range(20)]
        for i, c in enumerate(waiting):
            c.send(request("POST", "/kms/v1/keys?user.name=alice", {"name": f"w{i}"}))
        time.sleep(0.3)
        for _ in range(20):    # whichever worker they meet
            equal(s.call("GET", "/key/k/_currentversion").status, 200)
            equal(s.call("GET", "/key/k/_eek?eek_op=generate").status, 200)
            with Conn(s.port) as c:
                equal(c.request("GET", "/health").json()["store"], "ready")
                equal(c.request("GET", "/metrics").status, 200)
        equal(s.names(), ["k"])    # nothing is shown before it is durable
        mood("")
        for i, c in enumerate(waiting):
            equal(c.read().status, 201)
            c.close()
        equal(len(s.names()), 21)


@contextlib.contextmanager
def watched(env, **more):
    """A server, and a function that waits for so many signs of its life."""
    path = os.path.join(fresh_dir(), "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(60 * SLOW)

        def signs(n):
            while n:
                n -= b"WATCHDOG=1" in manager.recv(4096)

        with one_server(env={**env, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}, **more) as s:
            signs(1)
            yield s, signs
            signs(1)


def lives_through(what, **more):
    with moody_disk() as (env, mood), watched(env, **more) as (s, signs):
        mood(what)
        with s.conn(300) as c:
            c.send(request("POST", "/kms/v1/keys?user.name=alice", {"name": "w"}))
            signs(4)
            mood("")
            equal(c.read().status, 201)


@test("while the disk hangs in a change, the watchdog is told that the server lives: another process would hang as well", "T-96")
def watched_while_it_hangs():
    lives_through("hang")


@test("so it is while the operating system does not say who is in which group", "T-96")
def watched_while_users_hang():
    lives_through("users hang", site={"svsm.kms.groups.os": "true"})


@test("when the disk fails, nothing unsure is acknowledged, and the server ends with what to do", "T-96")
def disk_fails():
    # Else the audit chain, on the same disk, refuses before the store finds out.
    with moody_disk() as (env, mood), Server(env=env, site={"svsm.kms.audit.on-failure": "continue"}) as s:
        kept = {f"k{i}": s.create(f"k{i}")["material"] for i in range(10)}
        mood("eio")
        r = None
        try:
            r = s.call("POST", "/keys", {"name": "unsure"})
        except Closed:
            pass
        expect(r is None or r.status == 503, repr(r))
        code = s.wait()
        expect(code > 0, f"exit code {code}")
        expect("stopping: " in s.log() and "disk" in s.log(), s.log())
        mood("")
        s.start()
        for name, material in kept.items():
            equal(s.versions(name)[0]["material"], material)
        expect(set(s.names()) <= set(kept) | {"unsure"}, s.names())
        s.create("after")
        equal(s.stop(), 0)


@test("a disk that hangs for ever does not keep the server from stopping, and nothing unsure was acknowledged", "T-96", "T-22")
def stop_while_hanging():
    with moody_disk() as (env, mood), Server(env=env) as s:
        s.create("k")
        mood("hang")
        c = s.conn(60)
        c.send(request("POST", "/kms/v1/keys?user.name=alice", {"name": "w"}))
        time.sleep(0.3)
        s.signal(signal.SIGTERM)
        time.sleep(1)
        mood("")    # nobody can stop a process in the middle of a write; afterwards it goes at once
        equal(s.wait(30), 0)
        try:
            answered = c.read().status == 201
        except Closed:
            answered = False
        s.start()
        expect(not answered or "w" in s.names(), "acknowledged and gone")
        equal(s.stop(), 0)


def created(s, name):
    """False also when it ends in the middle of it."""
    try:
        return s.call("POST", "/keys", {"name": name}).status == 201
    except (Closed, OSError):
        return False


@test("no space at the moment of the commit is refused with a remedy, and passes", "T-95")
def no_space_at_commit():
    with moody_disk() as (env, mood), Server(env=env, site={"svsm.kms.audit.on-failure": "continue"}) as s:
        s.create("k")
        mood("no space")
        r = s.call("POST", "/keys", {"name": "x"})
        expect(r.status == 503 and "pace" in r.error()[1], repr(r))
        if s.running():    # an error of the last write leaves it open what is on the disk: then it ends
            mood("")
            wait_for(lambda: not s.running() or created(s, "y"))
        mood("")
        if not s.running() or s.process.poll() is not None:
            expect(s.wait() > 0 and "stopping: " in s.log(), s.log())
            s.start()
        expect("k" in s.names(), "gone")
        equal(s.stop(), 0)
