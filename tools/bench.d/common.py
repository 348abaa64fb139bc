# SPDX-License-Identifier: Apache-2.0
"""What every part of the benchmark needs: running processes and what /proc says of them."""

import http.client
import os
import pathlib
import ssl
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
CPUS = len(os.sched_getaffinity(0))


class Skip(Exception):
    """This part cannot be measured here; the text says why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def median(values):
    return statistics.median(values)


def spread(values):
    """Largest minus smallest, in relation to the median."""
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0


def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child)] + children(int(child))
    return found


def cpu_seconds(pids):
    """User and system time that the processes have used so far."""
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def memory_kib(pids):
    """Sums over the processes, in KiB. Pages of files (a mapped store) are told apart."""
    sums = {"rss": 0, "pss": 0, "pss_file": 0, "private": 0}
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            key = {"Rss": "rss", "Pss": "pss", "Pss_File": "pss_file", "Private_Dirty": "private"}.get(name)
            if key:
                sums[key] += int(value.split()[0])
    return sums


def request(port, method, path, body=None, cookie=None, tls=False, more=None):
    """One request on a connection of its own: (status, headers, body)."""
    if tls:
        # the benchmark's own server, with a certificate of the minute
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        c = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)
    else:
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if cookie:
        headers["Cookie"] = cookie
    headers.update(more or {})
    c.request(method, path, body=body, headers=headers)
    r = c.getresponse()
    result = r.status, r.headers, r.read()
    c.close()
    return result


def wait_for_answer(port, child, patience=60, tls=False):
    """Until the server has authenticated somebody, or told him to come with a ticket; that takes the whole way through."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if child.poll() is not None:
            raise RuntimeError(f"the server ended with code {child.returncode}")
        try:
            if request(port, "OPTIONS", "/kms/v1/?user.name=bench", tls=tls)[0] in (200, 401):
                return
        except (ConnectionError, http.client.HTTPException, ssl.SSLError):
            pass
        time.sleep(0.0005)
    raise RuntimeError("no answer from the server")


def stop(child):
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def read_lines(text):
    """"name value" lines."""
    return {name: float(value) for name, value in (line.split() for line in text.splitlines())}
