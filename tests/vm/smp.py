# SPDX-License-Identifier: Apache-2.0
"""Four vCPUs, callers on all of them for a minute: each answer is the answer to what was asked, once."""
import os
import random
import threading
import time

import session
from kms import Conn, equal, expect, request, test
from session import PLAIN, http

SECONDS = float(os.environ.get("SVSM_VM_SECONDS", "60"))
CALLERS, PIPELINED, KEYS = 16, 8, 12
AUTH = "user.name=alice"


class Caller(threading.Thread):
    """Sends several requests at once, knows the answer to each, and compares in order."""

    def __init__(self, vm, number, known, end):
        super().__init__(daemon=True)
        self.vm, self.number, self.known, self.end = vm, number, known, end
        self.rnd, self.answers, self.created, self.trouble = random.Random(number), 0, [], None

    def one(self, n):
        """Bytes of a request, and what its answer must be."""
        name, eek, key, plain = self.rnd.choice(self.known)
        what = self.rnd.randrange(20)
        if what == 0:
            fresh = f"c{self.number}-{n}"
            self.created.append(fresh)
            return request("POST", f"/kms/v1/keys?{AUTH}", {"name": fresh}), lambda r: (r.status, r.json()["name"]) == (201, fresh)
        if what < 8:
            return (request("GET", f"/kms/v1/keyversion/{name}%400?{AUTH}"),
                    lambda r: (r.json()["versionName"], r.json()["material"]) == (f"{name}@0", key))
        if what < 16:
            return (request("POST", f"/kms/v1/keyversion/{name}%400/_eek?eek_op=decrypt&{AUTH}", eek),
                    lambda r: r.json()["material"] == plain)
        return (request("GET", f"/kms/v1/key/{name}/_eek?eek_op=generate&num_keys=1&{AUTH}"),
                lambda r: r.json()[0]["versionName"] == f"{name}@0")

    def run(self):
        try:
            n = 0
            with Conn(self.vm.port, 120) as c:
                while time.monotonic() < self.end:
                    asked = [self.one(n + i) for i in range(PIPELINED)]
                    n += PIPELINED
                    c.send(b"".join(data for data, _ in asked))
                    for data, right in asked:
                        r = c.read()
                        if not right(r):
                            raise AssertionError(f"{data[:200]!r} was answered by {r!r}")
                        self.answers += 1
                # Nothing is left over: no answer came twice.
                c.sock.settimeout(0.5)
                try:
                    rest = c.sock.recv(1000) + c.buf
                except TimeoutError:
                    rest = c.buf
                if rest:
                    raise AssertionError(f"an answer too many: {rest[:200]!r}")
        except Exception as problem:  # pylint: disable=broad-except
            self.trouble = problem


@test("callers on four vCPUs for a minute: no answer is lost, mixed up or repeated", "T-300")
def a_minute():
    vm = session.TestVm(idle=False, conf_files=session.OPEN, cpus=4)
    with session.discarding(vm):
        vm.start().wait_ready(session.PATIENCE)
        equal(vm.guest.sh("nproc").strip(), "4")
        known = []
        for i in range(KEYS):
            key = http(vm.port, "POST", "/keys", {"name": f"k{i}"}).json()["material"]
            e = http(vm.port, "GET", f"/key/k{i}/_eek?eek_op=generate&num_keys=1").json()[0]
            eek = {"name": f"k{i}", "iv": e["iv"], "material": e["encryptedKeyVersion"]["material"]}
            plain = http(vm.port, "POST", f"/keyversion/k{i}%400/_eek?eek_op=decrypt", eek).json()["material"]
            known.append((f"k{i}", eek, key, plain))
        equal(len({k[2] for k in known} | {k[3] for k in known}), 2 * KEYS, "two keys alike")
        callers = [Caller(vm, i, known, time.monotonic() + SECONDS) for i in range(CALLERS)]
        for c in callers:
            c.start()
        # Meanwhile the kernel moves things about: interrupts, other work, processes on all CPUs.
        busy = vm.guest.run(f"e=$(($(date +%s) + {int(SECONDS)} - 5)); while [ $(date +%s) -lt $e ]; do"
                            " for c in 1 2 4 8; do taskset $c true; done; sleep 0.2; done", timeout=SECONDS + 240)
        for c in callers:
            c.join(SECONDS + 240)
        equal([f"{c.number}: {c.trouble}" for c in callers if c.trouble or c.is_alive()], [])
        equal(busy[0], 0)
        expect(all(c.answers >= PIPELINED for c in callers), str([c.answers for c in callers]))
        names = set(http(vm.port, "GET", "/keys/names").json())
        equal(names, {f"k{i}" for i in range(KEYS)} | {n for c in callers for n in c.created}, "keys afterwards")
        equal(http(vm.port, "GET", "/health", user=None).json()["serviceRestarts"], 0)
        equal(vm.stop(), 0, vm.last_words())
        if not PLAIN:
            session.whole_lines(vm)
            expect("panic" not in vm.serial().lower(), vm.serial()[-1000:])
