# SPDX-License-Identifier: Apache-2.0
"""A core that may have so much memory and no more: keys stop growing while there is room to go on with those that are there."""
import shutil
import signal

from kms import LARGE, Server, Skip, equal, expect, fill_up, sanitized, test, wait_for

BATCH = 128


@test("when the core's memory is used up keys are refused, all else goes on, and the store opens again in as much", "T-302")
def full():
    if sanitized():
        raise Skip("a sanitizer takes more memory than there is")
    if not shutil.which("prlimit"):
        raise Skip("no prlimit")
    limited = ["prlimit", "--stack=1048576", "--data=67108864:67108864"]
    with Server(site={"svsm.kms.workers": "2"}, wrap=limited) as s:
        s.create("first")
        eek = s.call("GET", "/key/first/_eek?eek_op=generate&num_keys=1").json()[0]
        body = {"name": "first", "iv": eek["iv"], "material": eek["encryptedKeyVersion"]["material"]}
        before = s.call("POST", "/keyversion/first%400/_eek?eek_op=decrypt", body)
        equal(before.status, 200)
        with s.conn(60) as c:
            made, refused = fill_up(c, BATCH)
        expect(made > 500, f"only {made} keys fit")
        for a in refused:
            equal(a.status, 503, repr(a))
            expect("has no memory left" in a.error()[1], repr(a))
        h = s.healthy()
        equal((h["keys"], h["serviceRestarts"]), (made + 1, 0))
        equal(s.call("POST", "/keyversion/first%400/_eek?eek_op=decrypt", body).body, before.body)
        equal(s.call("POST", "/keys", {"name": "more", **LARGE}).status, 503)
        # What needs memory for a moment has it: a reload, a large request.
        s.signal(signal.SIGHUP)
        wait_for(lambda: "configuration reloaded" in s.log(), lambda: s.log())
        batch = s.call("GET", "/key/first/_eek?eek_op=generate&num_keys=5000")
        equal((batch.status, len(batch.json())), (200, 5000))
        equal(s.call("POST", "/key/first/_reencryptbatch", batch.json()).status, 200)
        # A core that is killed, and a server that is started again, open the store in the same memory.
        s.kill_service()
        wait_for(lambda: s.health()["status"] == "ok" and s.health()["serviceRestarts"] == 1, lambda: s.log())
        equal(s.stop(), 0)
        s.start()
        equal(s.health()["keys"], made + 1)
        equal(s.call("POST", "/keyversion/first%400/_eek?eek_op=decrypt", body).body, before.body)
        # What is deleted makes room.
        for i in range(2 * BATCH):
            equal(s.call("DELETE", f"/key/k{i}").status, 200)
        s.create("more", **LARGE)
        equal(s.stop(), 0)
