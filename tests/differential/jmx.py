#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare /jmx: the beans of a Hadoop KMS by name, attribute and type, and how its meters move.

  jmx.py --record jmx-3.4.1.json                         keep what the reference shows
  jmx.py --check jmx-3.4.1.json --command "svsm-kms serve"

The conversation is that of audit.py. After each exchange the nine meters are read; by how much each moved is
compared with the reference. Figures that follow the clock are compared by type only.
"""

import argparse
import json
import pathlib
import sys
import tempfile

import audit
import run

# What a monitor of a Hadoop KMS looks for. Of java.lang every bean of ours must be one of Java's.
WANTED = ("metrics:name=hadoop.kms.", "Hadoop:service=KMS,name=JvmMetrics",
          "Hadoop:service=KMS,name=DelegationTokenSecretManagerMetrics")
# JvmMetrics of 3.3.6 has these, that of 3.4.1 does not; ours serves both.
OLDER = {"LogFatal", "LogError", "LogWarn", "LogInfo"}


def kind(value):
    if value is None or isinstance(value, str):
        return "text"       # null until it is set
    if isinstance(value, dict):
        return {name: kind(v) for name, v in sorted(value.items())}
    return type(value).__name__


def ask(side, path):
    connection = side.connection
    data = (f"GET {path}{'&' if '?' in path else '?'}user.name=admin HTTP/1.1\r\nHost: {side.authority}\r\n\r\n").encode()
    return json.loads(connection.exchange(data, "GET").body)["beans"]


def counts(side):
    return {b["name"].removeprefix("metrics:name=hadoop.kms.").removesuffix(".calls.meter"): b["Count"]
            for b in ask(side, "/jmx?qry=metrics:name=*")}


def look(command):
    """Beans, and by how much each meter moved in each exchange."""
    with tempfile.TemporaryDirectory(prefix="kms-jmx-", ignore_cleanup_errors=True) as name:
        server = run.Server(command + run.ARGUMENTS, "restricted", pathlib.Path(name))
        try:
            server.wait(60)
            side = run.Live(server.url, server.conf, server.log)
            moved, before = [], counts(side)
            for exchange in audit.CONVERSATION:
                if exchange.edit_acls:
                    continue
                answer = side.ask(exchange)
                after = counts(side)
                moved.append({"exchange": exchange.name, "status": answer.get("status", answer.get("error")),
                              "moved": {m: after[m] - before[m] for m in sorted(after) if after[m] != before[m]}})
                before = after
            beans = {b["name"]: {a: kind(v) for a, v in sorted(b.items()) if a != "name"} | {"modelerType": b["modelerType"]}
                     for b in ask(side, "/jmx")}
            return {"beans": {n: b for n, b in sorted(beans.items())
                              if n.startswith(WANTED) or n.startswith("java.lang:type=")}, "meters": moved}
        finally:
            server.stop()


def judge_beans(golden, found):
    """Yields name, None or what is wrong."""
    for name, wanted in golden.items():
        ours = found.get(name)
        if ours is None:
            yield name, "it is not there" if name.startswith(WANTED) else None
            continue
        for attribute, what in wanted.items():
            if attribute in ours:
                yield f"{name} {attribute}", None if ours[attribute] == what or attribute == "modelerType" and \
                    not name.startswith(WANTED) else f"{ours[attribute]} instead of {what}"
            elif name.startswith(WANTED):
                yield f"{name} {attribute}", "it is not there"
        more = set(ours) - set(wanted) - OLDER
        yield f"{name}: nothing else", f"also {sorted(more)}" if more else None


def judge_meters(golden, found):
    for wanted, ours in zip(golden, found, strict=True):
        name = wanted["exchange"]
        if ours["moved"] != wanted["moved"]:
            yield name, f"{ours['status']} {ours['moved']} instead of {wanted['status']} {wanted['moved']}"
        else:
            yield name, None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=run.REFERENCE, help="starts the server in the foreground")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--record", metavar="FILE")
    what.add_argument("--check", metavar="FILE")
    args = parser.parse_args()
    try:
        found = look(args.command)
    except run.Unavailable as why:
        print(why)
        print("0 passed, 0 failed, 1 skipped")
        return 0
    if args.record:
        pathlib.Path(args.record).write_text(json.dumps(found, indent=0) + "\n", "utf-8")
        return 0
    golden = json.loads(pathlib.Path(args.check).read_text("utf-8"))
    passed = failed = 0
    for judged in (judge_beans(golden["beans"], found["beans"]), judge_meters(golden["meters"], found["meters"])):
        for name, why in judged:
            passed += why is None
            if why is not None:
                failed += 1
                print(f"FAIL {name}: {why}")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
