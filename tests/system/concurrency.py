# SPDX-License-Identifier: Apache-2.0
"""Changes of one key by many, changes of many keys at once, and readers beside them."""
import collections
import os
import signal
import threading
import time

from kms import Closed, Server, equal, expect, one_server, quote, request, test, wait_for

AUTH = "user.name=alice"


def together(number, fn):
    """Runs fn(i) in threads, all at once; raises what any of them raised."""
    gate, wrong = threading.Barrier(number), []

    def run(i):
        try:
            gate.wait()
            fn(i)
        except Exception as e:  # pylint: disable=broad-except
            wrong.append(f"{i}: {type(e).__name__}: {e}")

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(number)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
        expect(not t.is_alive(), "a request never came back")
    expect(not wrong, lambda: f"{len(wrong)} went wrong, such as {wrong[0]}")


@test("a key is not older than the request that makes it, nor younger than the answer", "T-91")
def creation_time():
    with Server() as s:
        for i in range(100):
            before = time.time_ns() // 1_000_000
            s.create(f"k{i}")
            after = time.time_ns() // 1_000_000
            made = s.call("GET", f"/kms/v1/key/k{i}/_metadata").json()["created"]
            expect(before <= made <= after, f"{before} <= {made} <= {after} does not hold")


@test("rolls of one key by 32 connections get distinct, consecutive versions, each readable as answered", "T-90")
def rolls_of_one_key():
    with Server() as s:
        first = s.create("k")["material"]
        seen, lock = {}, threading.Lock()

        def roll(_):
            with s.conn(60) as c:
                for _ in range(20):
                    r = c.request("POST", f"/kms/v1/key/k?{AUTH}", {})
                    equal(r.status, 200, repr(r))
                    v = r.json()
                    with lock:
                        expect(v["versionName"] not in seen, f"{v['versionName']} was given twice")
                        seen[v["versionName"]] = v["material"]
                    again = c.request("GET", f"/kms/v1/keyversion/{quote(v['versionName'])}?{AUTH}").json()
                    equal(again["material"], v["material"], "what was answered is not what is there")

        together(32, roll)
        equal(len(seen), 640)
        equal(set(seen), {f"k@{i}" for i in range(1, 641)})
        wanted = [first] + [seen[f"k@{i}"] for i in range(1, 641)]
        equal([v["material"] for v in s.versions("k")], wanted)
        equal(s.health()["pending"], 0)
        equal(s.stop(), 0)
        s.start()
        equal([v["material"] for v in s.versions("k")], wanted)
        equal(s.stop(), 0)


@test("of many creates of one name exactly one succeeds, and of many deletes", "T-90")
def create_delete_races():
    with one_server() as s:
        for round_ in range(15):
            name, results, lock = f"r{round_}", collections.Counter(), threading.Lock()
            materials = []

            def create(_):
                r = s.call("POST", "/keys", {"name": name}, timeout=60)
                with lock:
                    results[r.status] += 1
                    if r.status == 201:
                        materials.append(r.json()["material"])

            together(16, create)
            equal(results, {201: 1, 500: 15})
            equal(s.call("GET", f"/keyversion/{name}%400").json()["material"], materials[0])
            results = collections.Counter()

            def delete(_):
                r = s.call("DELETE", f"/key/{name}", timeout=60)
                with lock:
                    results[r.status] += 1

            together(16, delete)
            equal(results, {200: 1, 500: 15})
            equal(s.call("GET", f"/key/{name}").json(), {})


@test("creates, rolls and deletes of a few names at once agree with what is there afterwards", "T-90")
def mixed_races():
    with Server() as s:
        names = [f"m{i}" for i in range(4)]
        log, lock = [], threading.Lock()

        def churn(i):
            import random
            rnd = random.Random(i)
            with s.conn(60) as c:
                for _ in range(60):
                    name = rnd.choice(names)
                    what = rnd.choice(("create", "create", "roll", "roll", "delete", "read"))
                    if what == "create":
                        r = c.request("POST", f"/kms/v1/keys?{AUTH}", {"name": name})
                    elif what == "roll":
                        r = c.request("POST", f"/kms/v1/key/{name}?{AUTH}", {})
                    elif what == "delete":
                        r = c.request("DELETE", f"/kms/v1/key/{name}?{AUTH}")
                    else:
                        r = c.request("GET", f"/kms/v1/key/{name}/_versions?{AUTH}")
                        equal(r.status, 200)
                        equal([v["versionName"] for v in r.json()], [f"{name}@{i}" for i in range(len(r.json()))])
                        continue
                    expect(r.status in (200, 201, 500), f"{what}: {r}")
                    with lock:
                        log.append((what, name, r.status, r.json()["material"] if r.status < 300 and what != "delete" else None))

        together(24, churn)
        for name in names:
            made = sum(1 for w, n, st, _ in log if n == name and w == "create" and st == 201)
            gone = sum(1 for w, n, st, _ in log if n == name and w == "delete" and st == 200)
            expect(made - gone in (0, 1), f"{name}: {made} creates, {gone} deletes")
            versions = s.versions(name)
            equal(len(versions) > 0, made - gone == 1, name)
            answered = {m for w, n, st, m in log if n == name and m}
            for v in versions:
                expect(v["material"] in answered, f"{v['versionName']} was never answered")
            equal(name in s.names(), bool(versions))
        before = s.all_keys()
        equal(s.health()["pending"], 0)
        equal(s.stop(), 0)
        s.start()
        equal(s.all_keys(), before)
        equal(s.stop(), 0)


@test("changes of many keys at once share commits", "T-91")
def group_commit():
    with one_server() as s:
        from garbage import prom

        def create(i):
            with s.conn(60) as c:
                c.send(b"".join(request("POST", f"/kms/v1/keys?{AUTH}", {"name": f"g{i}-{n}"}) for n in range(20)))
                for n in range(20):
                    r = c.read()
                    equal((r.status, r.json()["name"]), (201, f"g{i}-{n}"))

        together(64, create)
        equal(prom(s, "svsm_kms_changes_total"), 1280)
        expect(prom(s, "svsm_kms_commits_total") < 800, f"{prom(s, 'svsm_kms_commits_total')} commits")
        equal(len(s.names()), 1280)


@test("more changes under way than the service has slots for are all made", "T-91")
def more_than_slots():
    with one_server(site={"svsm.kms.workers": "1"}) as s:
        conns = [s.conn(60) for _ in range(400)]
        for i, c in enumerate(conns):
            c.send(request("POST", f"/kms/v1/keys?{AUTH}", {"name": f"s{i}"}))
        for i, c in enumerate(conns):
            r = c.read()
            equal((r.status, r.json()["name"]), (201, f"s{i}"))
        big = {"description": "d" * 3500, "attributes": {"a": "v" * 3000}}    # these need the few large slots
        for i, c in enumerate(conns[:100]):
            c.send(request("POST", f"/kms/v1/keys?{AUTH}", {"name": f"b{i}", **big}))
        for i, c in enumerate(conns[100:200]):
            c.send(request("GET", f"/kms/v1/key/s{i}?{AUTH}"))
        for i, c in enumerate(conns[:200]):
            r = c.read()
            equal(r.status, 201 if i < 100 else 200)
        for c in conns:
            c.close()
        equal(len(s.names()), 500)


@test("many rolls of one key beside many reads starve nobody", "T-91")
def fair():
    with one_server() as s:
        s.create("hot")
        done = collections.Counter()

        def work(i):
            with s.conn(60) as c:
                for _ in range(10):
                    r = c.request(*(("POST", f"/kms/v1/key/hot?{AUTH}", {}) if i % 2 else ("GET", f"/kms/v1/key/hot?{AUTH}")))
                    equal(r.status, 200)
                    done[i] += 1

        together(48, work)
        equal(set(done.values()), {10})
        equal(len(s.versions("hot")), 241)


@test("a name list read while the store changes has every key that was there all the time, once", "T-92")
def names_while_changing():
    with one_server() as s:
        kept = {f"kept-{i:04d}-" + "n" * 100 for i in range(600)}

        def create(i):
            with s.conn(60) as c:
                for name in sorted(kept)[i::8]:
                    equal(c.request("POST", f"/kms/v1/keys?{AUTH}", {"name": name}).status, 201)

        together(8, create)
        stop = threading.Event()

        def churn():
            with s.conn(60) as c:
                n = 0
                while not stop.is_set():
                    c.request("POST", f"/kms/v1/keys?{AUTH}", {"name": f"churn-{n % 50}"})
                    c.request("DELETE", f"/kms/v1/key/churn-{n % 50}?{AUTH}")
                    n += 1

        t = threading.Thread(target=churn, daemon=True)
        t.start()
        try:
            for _ in range(40):
                names = s.names()
                equal(len(names), len(set(names)), "a name twice")
                expect(kept <= set(names), f"{len(kept - set(names))} are missing")
        finally:
            stop.set()
            t.join()


@test("a list of names across the trusted program's death is whole or an error", "T-92", "T-30")
def names_across_death():
    with one_server() as s:
        kept = {f"kept-{i:04d}-" + "n" * 200 for i in range(2000)}

        def create(i):
            with s.conn(60) as c:
                for name in sorted(kept)[i::8]:
                    equal(c.request("POST", f"/kms/v1/keys?{AUTH}", {"name": name}).status, 201)

        together(8, create)
        wrong, good, stop = [], [0], threading.Event()

        def lister(_):
            while not stop.is_set():
                try:
                    r = s.call("GET", "/keys/names", timeout=60)
                except (Closed, OSError) as e:
                    wrong.append(repr(e))
                    continue
                if r.status == 200:
                    good[0] += 1
                    if sorted(r.json()) != sorted(kept):
                        wrong.append(f"{len(r.json())} names, {len(set(r.json()))} different, {len(kept)} there")
                elif r.status != 503:
                    wrong.append(repr(r)[:300])

        threads = [threading.Thread(target=lister, args=(i,), daemon=True) for i in range(6)]
        for t in threads:
            t.start()
        for i in range(5):
            time.sleep(0.6)
            os.kill(s.service(), signal.SIGKILL)
            wait_for(lambda n=i: s.log().count("is back") > n, s.log)
        stop.set()
        for t in threads:
            t.join()
        equal(wrong[:3], [])
        expect(good[0] > 10, "nothing was tested")
