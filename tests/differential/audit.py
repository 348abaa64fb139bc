#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hold a fixed conversation and look at the audit log it leaves.

  audit.py --record audit-3.4.1.log                            keep the lines of the reference
  audit.py --check audit-3.4.1.log --command "svsm-kms serve" --log '{data}/kms-audit.log'

The check compares the lines without time stamps and as a bag: lines of closing windows may be written at
any place, and the number of windows stands for the interval.
"""

import argparse
import collections
import pathlib
import re
import sys
import tempfile
import time
import xml.etree.ElementTree as ET

import run
from exchange import decrypt, delete, generate, get, head, options, post, put, reencrypt
from conversation.restricted import batch, sealed
from conversation.vectors import KEK0, KEK1, b64

WINDOW_MS = 4000            # hadoop.kms.audit.aggregation.window.ms of this conversation

CONVERSATION = [
    # One of each kind
    post("create", "/keys", {"name": "stock", "material": b64(KEK0)}, user="admin"),
    post("create generated", "/keys", {"name": "other", "description": "a text"}, user="admin"),
    get("names", "/keys/names", user="alice"),
    get("metadata", "/key/stock/_metadata", user="alice"),
    get("metadata of a missing key", "/key/missing", user="alice"),
    get("metadata list", "/keys/metadata?key=stock&key=other", user="alice"),
    get("current version", "/key/stock/_currentversion", user="alice"),
    get("current version of a missing key", "/key/missing/_currentversion", user="alice"),
    get("versions", "/key/stock/_versions", user="alice"),
    get("version", "/keyversion/stock@0", user="alice"),
    get("missing version", "/keyversion/stock@9", user="alice"),
    generate("generate", "stock", 10, user="hdfs"),
    decrypt("decrypt", "stock@0", sealed("stock"), user="bob"),
    reencrypt("re-encrypt", "stock@0", sealed("stock"), user="hdfs"),
    batch("batch", "stock", "hdfs"),
    post("batch of nothing", "/key/stock/_reencryptbatch", [], user="hdfs"),
    post("roll", "/key/stock", {}, user="admin"),
    post("roll with material", "/key/stock", {"material": b64(KEK1)}, user="admin"),
    post("invalidate", "/key/stock/_invalidatecache", user="admin"),
    post("invalidate a missing key", "/key/missing/_invalidatecache", user="admin"),
    delete("delete", "/key/other", user="admin"),
    head("metadata by HEAD", "/key/stock/_metadata", user="alice"),
    # Counted together: four more of one user, one of another
    *[decrypt(f"decrypt again {i}", "stock@0", sealed("stock"), user="bob") for i in range(4)],
    decrypt("decrypt by another", "stock@0", sealed("stock"), user="alice"),
    # Refused
    get("names refused", "/keys/names", user="carol"),
    post("create refused", "/keys", {"name": "new"}, user="carol"),
    post("create with material refused", "/keys", {"name": "new", "material": b64(KEK0)}, user="maker"),
    post("create refused by the key's ACL", "/keys", {"name": "own"}, user="admin"),
    delete("delete refused", "/key/stock", user="carol"),
    post("roll refused", "/key/stock", {}, user="carol"),
    post("invalidate refused", "/key/stock/_invalidatecache", user="carol"),
    get("metadata refused", "/key/stock", user="mallory"),
    get("metadata refused by the key's ACL", "/key/stock", user="carol"),
    get("metadata list refused", "/keys/metadata?key=stock", user="mallory"),
    get("current version refused", "/key/stock/_currentversion", user="carol"),
    get("versions refused", "/key/stock/_versions", user="carol"),
    get("version refused", "/keyversion/stock@0", user="carol"),
    get("version refused by the key's ACL", "/keyversion/stock@0", user="bob"),
    generate("generate refused", "stock", user="carol"),
    generate("generate refused by the key's ACL", "stock", user="shared"),
    decrypt("decrypt refused", "stock@0", sealed("stock"), user="hdfs"),
    decrypt("decrypt refused by the key's ACL", "stock@0", sealed("stock"), user="carol"),
    reencrypt("re-encrypt refused", "stock@0", sealed("stock"), user="carol"),
    batch("batch refused", "stock", "carol"),
    batch("batch refused by the key's ACL", "stock", "shared"),
    # Failures
    post("create again", "/keys", {"name": "stock"}, user="admin"),
    post("create in capitals", "/keys", {"name": "STOCK"}, user="admin"),
    post("create without name", "/keys", {}, user="admin"),
    delete("delete a missing key", "/key/missing", user="admin"),
    post("roll a missing key", "/key/missing", {}, user="admin"),
    decrypt("decrypt a missing version", "stock@9", sealed("stock"), user="bob"),
    get("missing path", "/nothing", user="alice"),
    # Not authenticated
    get("without name", "/keys/names?x=1", user=None),
    post("create without name", "/keys", {"name": "new"}, user=None),
    options("handshake without name", "/", user=None),
    get("bad cookie", "/keys/names", user=None, headers={"Cookie": 'hadoop.auth="bad&s=bad"'}),
    # On behalf of others
    get("proxy for alice", "/keys/names?doAs=alice", user="proxy"),
    get("proxy for carol", "/keys/names?doAs=carol", user="proxy"),
    get("proxy for a stranger", "/keys/names?doAs=reader", user="proxy"),
    get("token", "/?op=GETDELEGATIONTOKEN&renewer=yarn", user="alice", keep="token"),
    get("with a token", "/keys/names", user=None,
        headers={"X-Hadoop-Delegation-Token": "<<token.Token.urlString>>"}),
    get("with a bad token", "/keys/names", user=None, headers={"X-Hadoop-Delegation-Token": "garbage"}),
    put("token cancelled", "/?op=CANCELDELEGATIONTOKEN&token=<<token.Token.urlString>>", user=None),
    # An idle window closes, then a refusal closes a window with something in it
    decrypt("decrypt in a later window", "stock@0", sealed("stock"), user="bob", pause=WINDOW_MS * 2.5 / 1000),
    decrypt("decrypt in the same window", "stock@0", sealed("stock"), user="bob"),
    decrypt("decrypt refused in the same window", "stock@0", sealed("stock"), user="bob",
            edit_acls={"hadoop.kms.blacklist.DECRYPT_EEK": "bob"}),
]


class Stretches:
    """Whether the exchanges between two pauses fit into one window, as when the reference was recorded."""

    def __init__(self):
        self.longest, self.began = 0, time.monotonic()

    def end(self):
        self.longest = max(self.longest, time.monotonic() - self.began)

    def begin(self):
        self.began = time.monotonic()

    def fit(self):
        return self.longest * 1000 < WINDOW_MS


def converse(command, log):
    """The audit lines a server writes during the conversation; held again when the machine was too slow for it."""
    for _ in range(3):
        text, in_time = converse_once(command, log)
        if in_time:
            break
        print("windows ended in the middle of what belongs into one: the machine is slow", file=sys.stderr)
    return text


def converse_once(command, log):
    with tempfile.TemporaryDirectory(prefix="kms-audit-", ignore_cleanup_errors=True) as name:
        server = run.Server(command + run.ARGUMENTS, "restricted", pathlib.Path(name), prepare=set_window)
        try:
            server.wait(60)
            side = run.Live(server.url, server.conf, server.log)
            stretches = Stretches()
            for exchange in CONVERSATION:
                if exchange.pause:
                    stretches.end()
                run.prepare(exchange, side)
                if exchange.pause:
                    stretches.begin()
                answer = side.ask(exchange)
                if "error" in answer:
                    print(f"{exchange.name}: {answer['error']}", file=sys.stderr)
            stretches.end()
            time.sleep(WINDOW_MS * 2.5 / 1000)
        finally:
            server.stop()
        data = pathlib.Path(name) / "data"
        text = pathlib.Path(log.format(data=data)).read_text("utf-8")
        return text.replace(f":{server.port}/", ":9600/").replace(str(data), "/data"), stretches.fit()


def set_window(conf):
    file = conf / "kms-site.xml"
    tree = ET.parse(file)
    item = ET.SubElement(tree.getroot(), "property")
    ET.SubElement(item, "name").text = "hadoop.kms.audit.aggregation.window.ms"
    ET.SubElement(item, "value").text = str(WINDOW_MS)
    tree.write(file, encoding="UTF-8", xml_declaration=True)


def bag(text):
    """Lines without what no two runs share."""
    def windows(match):
        return f"interval=<{round(int(match[1]) / WINDOW_MS)} windows>"
    lines = collections.Counter()
    for line in text.splitlines():
        line = re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", "<time> ", line)
        line = re.sub(r"interval=(\d+)ms", windows, line)
        lines[re.sub(r"((?:already exists|does not exist) in )[^']+", r"\1<provider>", line)] += 1
    return lines


def deliberate(lines):
    """The golden lines as ours writes them: denials inside generate are no errors (see differences.md)."""
    return collections.Counter({line: n for line, n in lines.items()
                                if not ("ERROR[" in line and "AuthorizationException" in line)})


def check(golden, found):
    failed = 0
    for sign, lines in (("-", golden - found), ("+", found - golden)):
        for line, times in sorted(lines.items()):
            failed += times
            print(f"{sign} {line}" + (f"   ({times} times)" if times > 1 else ""))
    passed = sum((golden & found).values())
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=run.REFERENCE, help="starts the server in the foreground")
    parser.add_argument("--log", default="{data}/logs/kms-audit.log", help="where it writes its audit log")
    parser.add_argument("--identical", action="store_true", help="do not apply the list of differences")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--record", metavar="FILE")
    what.add_argument("--check", metavar="FILE")
    args = parser.parse_args()
    try:
        found = converse(args.command, args.log)
    except run.Unavailable as why:
        print(why)
        print(f"0 passed, 0 failed, {len(CONVERSATION)} skipped")
        return 0
    if args.record:
        pathlib.Path(args.record).write_text(found, "utf-8")
        return 0
    golden = bag(pathlib.Path(args.check).read_text("utf-8"))
    if args.identical:
        return check(golden, bag(found), collections.Counter())
    return check(deliberate(golden), bag(found))


if __name__ == "__main__":
    sys.exit(main())
