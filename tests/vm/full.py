# SPDX-License-Identifier: Apache-2.0
"""VMPL0's memory is what the image gave it, and no more: what happens when keys have used it up."""
import os

import machine
import session
from kms import LARGE, Conn, Skip, equal, expect, fill_up, test
from session import PLAIN, http

BATCH = 16


@test("when VMPL0 has no memory left keys are refused and named so, the core lives, and its keys go on", "T-302")
def full():
    if PLAIN:
        raise Skip("there is no VMPL0 in plain mode")
    if os.environ.get("SVSM_VM_LONG") != "1":
        raise Skip("takes seven minutes: SVSM_VM_LONG=1; tests/system/room.py does the same to a process")
    store = machine.make_store(session.fresh_path("full.img"), megabytes=512)
    vm = session.TestVm(idle=False, store=store, conf_files=session.OPEN)
    with session.discarding(vm):
        vm.start(wait=False).wait_ready(session.PATIENCE)
        equal(http(vm.port, "POST", "/keys", {"name": "first"}).status, 201)
        eek = http(vm.port, "GET", "/key/first/_eek?eek_op=generate&num_keys=1").json()[0]
        body = {"name": "first", "iv": eek["iv"], "material": eek["encryptedKeyVersion"]["material"]}
        before = http(vm.port, "POST", "/keyversion/first%400/_eek?eek_op=decrypt", body)
        equal(before.status, 200)
        with Conn(vm.port, 300) as c:
            made, refused = fill_up(c, BATCH)
        print(f"        {made} keys of 16 KB fit")
        for answer in refused:
            equal(answer.status, 503, repr(answer))
            expect("has no memory left" in answer.error()[1], repr(answer))
        # It lives, and is the one that was there: nothing had to be started again.
        health = http(vm.port, "GET", "/health", user=None).json()
        equal((health["status"], health["keys"], health["serviceRestarts"]), ("ok", made + 1, 0))
        after = http(vm.port, "POST", "/keyversion/first%400/_eek?eek_op=decrypt", body)
        equal((after.status, after.body), (200, before.body))
        for name in ("first", "k0", f"k{made - 1}"):
            equal(http(vm.port, "GET", f"/key/{name}/_eek?eek_op=generate&num_keys=1").status, 200, name)
        equal(http(vm.port, "POST", "/keys", {"name": "more", **LARGE}).status, 503)
        # What is deleted makes room.
        for i in range(BATCH):
            equal(http(vm.port, "DELETE", f"/key/k{i}").status, 200)
        equal(http(vm.port, "POST", "/keys", {"name": "more", **LARGE}).status, 201)
        equal(vm.stop(), 0, vm.last_words())
    # A store that filled the memory must open again in as much.
    vm = session.TestVm(idle=False, store=store, conf_files=session.OPEN)
    with session.discarding(vm):
        vm.start(wait=False).wait_ready(session.PATIENCE)
        equal(http(vm.port, "GET", "/health", user=None).json()["keys"], made + 2 - BATCH)
        again = http(vm.port, "POST", "/keyversion/first%400/_eek?eek_op=decrypt", body)
        equal((again.status, again.body), (200, before.body))
        equal(vm.stop(), 0, vm.last_words())
