#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does kill.py pass an honest server and catch each flaw of toy_server.py?"""
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile

import toy_server

HERE = os.path.dirname(os.path.abspath(__file__))

# flaw -> victims that bring it to light
CASES = [(None, "proxy,service,both")] + [
    (flaw, {"no-restart": "service", "orphan": "proxy"}.get(flaw, "proxy,service,both")) for flaw in toy_server.FLAWS]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(flaw, victims, rounds):
    with tempfile.TemporaryDirectory(prefix="kill-selftest-") as work:
        port = free_port()
        command = [sys.executable, os.path.join(HERE, "toy_server.py"), "--data", os.path.join(work, "keys.db"),
                   "--port", str(port)]
        if flaw:
            command += ["--flaw", flaw]
        args = [sys.executable, os.path.join(HERE, "kill.py"), "--server-cmd", shlex.join(command),
                "--url", f"http://127.0.0.1:{port}", "--rounds", str(rounds), "--seed", "7", "--connections", "4",
                "--victims", victims, "--max-ms", "250", "--start-timeout", "3" if flaw == "no-restart" else "20"]
        if flaw:
            args.append("--stop-at-failure")
        out = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    last = out.stdout.strip().splitlines()[-1]
    match = re.fullmatch(r"(\d+) passed, (\d+) failed, (\d+) skipped", last)
    if not match:
        return False, out.stdout
    passed, failed, skipped = map(int, match.groups())
    good = (failed > 0) == bool(flaw) and skipped == 0 and (out.returncode != 0) == (failed > 0)
    return good and (bool(flaw) or passed == rounds), out.stdout


def main():
    bad = 0
    for flaw, victims in CASES:
        good, text = run(flaw, victims, 12 if flaw is None else 30)
        print(f"{flaw or 'honest'}: {'as it should be' if good else 'NOT as it should be'}", flush=True)
        if not good:
            bad += 1
            print(text)
    print(f"{len(CASES) - bad} passed, {bad} failed, 0 skipped")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
