# SPDX-License-Identifier: Apache-2.0
"""What root of the VM may send: registers, lists, pages that change, stores that were edited. Refused; still serving."""
import re
import threading
import time

import machine
import session
from kms import Conn, Closed, OPEN_ACLS, Skip, equal, expect, test, xml
from session import PLAIN, http

RANDOM = 10000
REWRITES = 2_000_000
DENY = {**OPEN_ACLS, "hadoop.kms.blacklist.DECRYPT_EEK": "mallory", "hadoop.kms.acl.GET": "alice", "hadoop.kms.acl.CREATE": "alice",
        "hadoop.kms.acl.ROLLOVER": "alice", "hadoop.kms.acl.DELETE": "alice"}


def everything(vm, names):
    found = {}
    with Conn(vm.port, 60) as c:
        for name in names:
            r = c.request("GET", f"/kms/v1/key/{name}/_versions?user.name=alice")
            equal(r.status, 200, name)
            found[name] = r.json()
    return found


def some_keys(vm, count=20):
    names = [f"k{i}" for i in range(count)]
    for name in names:
        equal(http(vm.port, "POST", "/keys", {"name": name}).status, 201)
    return names


def unhurt(vm, names, before):
    equal(everything(vm, names), before)
    equal(http(vm.port, "GET", "/health", user=None).json()["serviceRestarts"], 0)
    equal(http(vm.port, "POST", "/keys", {"name": "afterwards"}).status, 201)


@test("bad addresses, lengths and reserved bits in every register of every call are refused, and it still serves", "T-295")
def registers():
    if PLAIN:
        raise Skip("there is nobody to call in plain mode")
    vm = session.TestVm(idle=False, conf_files=session.OPEN, cpus=2)
    with session.discarding(vm):
        vm.start().wait_ready(session.PATIENCE)
        names = some_keys(vm)
        before = everything(vm, names)
        code, out, err = vm.guest.run(f"/test/hostile {RANDOM}", timeout=500)
        text = out.decode()
        counts = re.search(r"(\d+) calls, (\d+) succeeded, (\d+) refused, (\d+) unexpected", text)
        expect(counts and code == 0, f"{code}: {text[-3000:]} {err[-500:]}")
        expect(int(counts.group(1)) > RANDOM + 1500, text)
        unhurt(vm, names, before)
        equal(vm.stop(), 0, vm.last_words())


@test("request pages that are rewritten millions of times while the core reads them: nothing breaks, nothing leaks", "T-296")
def rewriting():
    conf = {"kms-site.xml": xml({}), "kms-acls.xml": xml(DENY)}
    vm = session.TestVm(idle=False, conf_files=conf, cpus=2)
    with session.discarding(vm):
        vm.start().wait_ready(session.PATIENCE)
        names = some_keys(vm)
        before = everything(vm, names)
        pid = vm.guest.sh("pidof svsm-kms").split()[0]
        stop, tally, leaks = threading.Event(), {}, []

        def load(i):
            user = ("alice", "mallory")[i % 2]
            n = 0
            while not stop.is_set():
                try:
                    with Conn(vm.port, 30) as c:
                        while not stop.is_set():
                            n += 1
                            name = names[n % len(names)]
                            path = (f"/kms/v1/key/{name}/_eek?eek_op=generate&num_keys=1", f"/kms/v1/key/{name}/_currentversion",
                                    f"/kms/v1/keyversion/{name}%400")[n % 3]
                            r = c.request("GET", path + ("&" if "?" in path else "?") + f"user.name={user}")
                            tally[r.status] = tally.get(r.status, 0) + 1
                            if user == "mallory" and n % 3 and r.status == 200 and b"material" in r.body:
                                leaks.append(r)
                except (OSError, Closed, AssertionError):
                    time.sleep(0.05)

        threads = [threading.Thread(target=load, args=(i,), daemon=True) for i in range(4)]
        for t in threads:
            t.start()
        out = vm.guest.sh(f"/test/rewrite {pid} {REWRITES} 20", timeout=300)
        stop.set()
        for t in threads:
            t.join(60)
        expect(int(re.search(r"rewrote (\d+) times", out).group(1)) >= REWRITES, out)
        equal(leaks, [], "material for somebody who may not have it")
        expect(sum(tally.values()) > 100, str(tally))
        expect(vm.running(), vm.ending())
        # What the rewriting changed may have been a request to change something that its sender may change: keys are all
        # there, and their versions are those they had.
        now = everything(vm, names)
        for name in names:
            equal(now[name][:len(before[name])], before[name], name)
        equal(http(vm.port, "GET", "/health", user=None).json()["status"], "ok")
        equal(vm.stop(), 0, vm.last_words())


@test("a guest that writes to an answer page stops the machine: answers are VMPL0's to write", "T-296")
def answer_page():
    if PLAIN:
        raise Skip("there is no VMPL0 in plain mode")
    vm = session.TestVm(idle=False, conf_files=session.OPEN)
    with session.discarding(vm):
        vm.start().wait_ready(session.PATIENCE)
        pid = vm.guest.sh("pidof svsm-kms").split()[0]
        try:
            vm.guest.run(f"/test/rewrite {pid} 1 0 answers", timeout=60)
        except (OSError, session.guest.Gone):
            pass
        vm.wait_text(lambda: vm.stop_reason() or not vm.running(), 60, "the machine goes on")
        equal(vm.wait(), 2 * 0x11 + 1, vm.last_words())
        expect(re.search(r"\bvmpl=1\b.*\baccess=w\b.*\bwhy=vmpl-permission\b", vm.stop_reason()), vm.stop_reason())


@test("root of the VM ends the service under the server: nothing is lost, and nothing is served that is not whole", "T-297")
def service_ends():
    store = machine.make_store(session.fresh_path("store.img"))
    vm = session.TestVm(idle=False, store=store, conf_files=session.OPEN)
    with session.discarding(vm):
        vm.start().wait_ready(session.PATIENCE)
        names = some_keys(vm)
        before = everything(vm, names)
        vm.guest.run("kill -9 $(pidof svsm-kms-service)" if PLAIN else "/test/hostile reset", timeout=60)

        def again():
            """Started anew, or the server has given up: both are honest."""
            if not vm.running():
                return True
            try:
                http(vm.port, "GET", "/key/k0/_metadata", timeout=10)
                return http(vm.port, "GET", "/health", user=None, timeout=10).json()["serviceRestarts"] >= 1
            except (OSError, Closed, KeyError, ValueError):
                return False

        session.eventually(again, 90, vm.last_words)
        if vm.running():
            equal(everything(vm, names), before)
            equal(vm.stop(), 0, vm.last_words())
    vm = session.TestVm(idle=False, store=store, conf_files=session.OPEN)
    with session.discarding(vm):
        vm.start(wait=False).wait_ready(session.PATIENCE)
        equal(everything(vm, names), before)
        equal(vm.stop(), 0, vm.last_words())
