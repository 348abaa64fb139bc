# SPDX-License-Identifier: Apache-2.0
"""Load over HTTP: wrk with tests/bench/load.lua, and what it cost the server."""

import json
import subprocess
import time

from common import CPUS, ROOT, cpu_seconds
from servers import KEY

RUN = [0]

# method, path, body; %N% is a number of its own for each request
def operation(server, op):
    if op == "decrypt":
        return "POST", server.decrypt_path(), server.eek
    if op == "generate":
        return "GET", f"/kms/v1/key/{KEY}/_eek?eek_op=generate&num_keys=1", ""
    if op == "generate 150":
        return "GET", f"/kms/v1/key/{KEY}/_eek?eek_op=generate&num_keys=150", ""
    return "POST", "/kms/v1/keys", '{"name":"b%N%"}'


def run(server, op, connections, seconds):
    """One run. us: CPU of the server's processes, user and system, for each request."""
    return shoot(server, op, operation(server, op), connections, seconds, server.cookie)


def shoot(server, op, what, connections, seconds, cookie, token="", refused=False):
    """The same with any request and credential. refused: every answer is to be no success; else none."""
    method, path, body = what
    RUN[0] += 1
    before, wall = cpu_seconds(server.pids()), time.monotonic()
    done = subprocess.run(
        ["wrk", "-t", str(min(connections, CPUS)), "-c", str(connections), "-d", f"{seconds}s", "--timeout", "60s",
         "-s", ROOT / "tests/bench/load.lua", f"{server.scheme}://127.0.0.1:{server.port}/", "--", method, path, body,
         cookie, str(RUN[0]), token], stdout=subprocess.PIPE, text=True, check=True)
    r = json.loads(done.stdout.strip().splitlines()[-1])
    if r["refused"] != (r["requests"] if refused else 0) or r["errors"]:
        raise RuntimeError(f"{server.name}: {op}: {r['refused']} answers were no success, {r['errors']} connections broke")
    r["wall"] = time.monotonic() - wall
    r["per_s"] = r["requests"] / r["seconds"]
    r["us"] = (cpu_seconds(server.pids()) - before) * 1e6 / max(r["requests"], 1)
    return r
