#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the audit chain's file costs: the same load on servers that keep it and that do not (chain.file=none; the core
makes the entries all the same). CPU time of proxy and core a request, by /proc, in turns: the machine may be busy.

    tests/bench/chain_cost.py [SECONDS]
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
sys.dont_write_bytecode = True

import kms  # noqa: E402

WAYS = {"refuse": {}, "continue": {"svsm.kms.audit.on-failure": "continue"}, "none": {"svsm.kms.audit.chain.file": "none"}}


def cpu(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(site, op, connections, seconds):
    """Requests a second, CPU microseconds a request."""
    with kms.Server(site=site) as s:
        s.create("k", user="root")
        pids = [s.process.pid, s.service()]
        before = sum(map(cpu, pids))
        cmd = [kms.BIN, "bench", "--connections", str(connections), "--seconds", str(seconds), "--op", op, "-q", "-o", "json",
               "--url", f"http://127.0.0.1:{s.port}/kms", "--user", "root"] + (["--key", "k"] if op != "create" else [])
        doc = json.loads(subprocess.run(cmd, capture_output=True, text=True, check=True).stdout)
        n = doc["runs"][0]["requests"]
        return n / seconds, (sum(map(cpu, pids)) - before) / n * 1e6


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    print("| load | " + " | ".join(f"{w}: requests/s | {w}: CPU us" for w in WAYS) + " |")
    print("| --- |" + " --- |" * (2 * len(WAYS)))
    for op, connections in (("decrypt", 64), ("decrypt", 16), ("decrypt", 1), ("create", 64)):
        best = {w: (0, 0) for w in WAYS}
        for _ in range(2):
            for w, site in WAYS.items():
                best[w] = max(best[w], run(site, op, connections, seconds))
        print(f"| {op} {connections} | " + " | ".join(f"{r:.0f} | {c:.1f}" for r, c in best.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
