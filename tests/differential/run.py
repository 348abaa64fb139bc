#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hold the same conversation with Hadoop's KMS and with ours and compare every answer.

  run.py                                        start both for every configuration set, compare
  run.py --replay reference-3.4.1.json          compare with recorded answers; needs no Java
  run.py --record reference-3.4.1.json          record the answers of the reference (with --set: of these again)
  run.py --reference URL --subject URL --set open   compare two servers that run already (fresh ones)
  run.py --self                                 the reference with itself: nothing may differ

Ends with `N passed, N failed, N skipped`; the exit code is 0 only if nothing failed.
"""

import argparse
import difflib
import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from urllib.parse import urlsplit

import differences
import wire
from conversation import SETS
from exchange import NOTHING, encode, target
from identity import Identity, Unavailable
from normalise import PEER, Normaliser

HERE = pathlib.Path(__file__).resolve().parent
# By default Java stretches the password of each JCEKS entry so long that a run takes many minutes.
REFERENCE = (f"{shlex.quote(str(HERE.parent / 'reference' / 'reference-kms'))} run"
             " --java-option=-Djdk.jceks.iterationCount=10000")
SUBJECT = "build/svsm-kms serve"
ARGUMENTS = " --conf {conf} --data {data} --listen {listen}"
UNAVAILABLE = 77
RELOAD_SECONDS = 2.5        # the ACL file is looked at every second
OURS = re.compile(r"^svsm-kms \S+ ready on ", re.M)
RELOADED = "reloaded"        # or "not reloaded"


# --- servers ---------------------------------------------------------------------------------------

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A server process of ours with a copy of a configuration set and an empty data directory."""

    def __init__(self, command, name, directory, prepare=None, identity=None):
        self.conf = directory / "conf"
        shutil.copytree(HERE / "conf" / name, self.conf)
        for file in self.conf.glob("*.xml"):
            text = file.read_text().replace("@CONF@", str(self.conf))
            if PEER != "127.0.0.1":
                text = text.replace("127.0.0.1,localhost", PEER).replace("127.0.0.0/8", f"{PEER}/32")
            file.write_text(identity.fill(text) if identity else text)
        for file in self.conf.glob("*.secret"):
            file.chmod(0o600)
        if prepare:
            prepare(self.conf)
        data = directory / "data"
        data.mkdir(mode=0o700)      # a server may insist on that
        self.port = free_port()
        self.tls = (self.conf / "ssl-server.xml").exists()
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"
        self.log = directory / "output.log"
        argv = [part.format(conf=self.conf, data=data, listen=f"127.0.0.1:{self.port}")
                for part in shlex.split(command)]
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                            env={**os.environ, **(identity.environment() if identity else {})})

    def wait(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            code = self.process.poll()
            if code is not None:
                last = (self.log.read_text(errors="replace").strip().splitlines() or [""])[-1]
                if code == UNAVAILABLE:
                    raise Unavailable(last)
                raise RuntimeError(f"server ended with code {code}: {last}")
            if self.answers():
                return
            time.sleep(0.1)
        raise RuntimeError(f"no answer within {seconds} s: {self.log.read_text(errors='replace')[-500:]}")

    def answers(self):
        connection = wire.Connection("127.0.0.1", self.port, 20, self.tls)
        try:
            connection.exchange(b"OPTIONS /kms/v1/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "OPTIONS")
            return True
        except (OSError, ValueError, wire.Closed):
            return False
        finally:
            connection.close()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def edit_acls(conf, change):
    file = conf / "kms-acls.xml"
    new = file.with_suffix(".new")      # a server that looks meanwhile sees the old or the new
    if isinstance(change, str):
        new.write_text(change)
        new.replace(file)
        return
    tree = ET.parse(file)
    root = tree.getroot()
    for item in list(root):
        if item.findtext("name") in change:
            root.remove(item)
    for name, value in change.items():
        if value is not None:
            item = ET.SubElement(root, "property")
            ET.SubElement(item, "name").text = name
            ET.SubElement(item, "value").text = value
    tree.write(new, encoding="UTF-8", xml_declaration=True)
    new.replace(file)


# --- the two sides of a comparison -----------------------------------------------------------------

class Live:
    """A server that is asked now."""

    def __init__(self, url, conf=None, log=None, identity=None):
        parts = urlsplit(url)
        self.authority = parts.netloc
        self.connection = wire.Connection(parts.hostname, parts.port or 80, tls=parts.scheme == "https")
        self.normaliser = Normaliser(f"{parts.scheme}://{parts.netloc}")
        self.identity = identity
        self.variables = {}
        self.conf = conf
        self.log = log

    def said(self):
        return self.log.read_text(errors="replace") if self.log else ""

    def edit_acls(self, change):
        """Returns when the server has looked at the file. Ours says that it did; of others we believe it."""
        seen = self.said().count(RELOADED)
        edit_acls(self.conf, change)
        time.sleep(RELOAD_SECONDS)
        end = time.monotonic() + 60
        while OURS.search(self.said()) and self.said().count(RELOADED) == seen:
            if time.monotonic() > end:
                raise RuntimeError("kms-acls.xml was changed, and the server does not look at it")
            time.sleep(0.1)

    def ask(self, exchange):
        login, number = None, None
        if exchange.negotiate:
            login, number = self.identity.token(exchange.negotiate)
            if exchange.keep_negotiate:
                self.variables[exchange.keep_negotiate] = login
        try:
            data = encode(exchange, self.variables, self.authority, login)
        except (KeyError, IndexError, TypeError) as missing:
            return {"error": f"not asked: an earlier answer lacks {missing}"}
        if exchange.json is not NOTHING:
            self.normaliser.remember_sent(exchange.json)
        try:
            response = self.connection.exchange(data, exchange.method)
        except (OSError, ValueError, wire.Closed) as problem:
            self.connection.close()
            return {"error": f"{type(problem).__name__}: {problem}"}
        self.keep(exchange, response)
        if number is not None:
            response.headers = [(n, self.proof(number, n, v)) for n, v in response.headers]
        return self.normaliser.answer(exchange, response)

    def proof(self, number, name, value):
        """What a server says to prove itself is new each time; what counts is whether it proves anything."""
        if name.lower() != "www-authenticate" or not value.startswith("Negotiate "):
            return value
        return f"Negotiate <{'proof' if self.identity.proven(number, value) else 'NO proof'} of the server>"

    def keep(self, exchange, response):
        if exchange.keep:
            try:
                self.variables[exchange.keep] = json.loads(response.body)
            except ValueError:
                self.variables.pop(exchange.keep, None)
        if exchange.keep_cookie:
            for value in response.all("Set-Cookie"):
                name, _, rest = value.partition("=")
                if name == "hadoop.auth":
                    self.variables[exchange.keep_cookie] = rest.split(";")[0].strip('"')


class Recorded:
    """Answers from a file."""

    def __init__(self, answers):
        self.answers = answers

    def ask(self, exchange):
        return self.answers.get(exchange.name, {"error": "not in the recording"})


# --- comparison and report -------------------------------------------------------------------------

class Report:
    def __init__(self, verbose):
        self.verbose = verbose
        self.passed = self.failed = self.skipped = 0
        self.met = set()        # names of listed differences that were seen
        self.complete = True    # every exchange was asked

    def skip(self, where, count, why):
        self.skipped += count
        self.complete = False
        print(f"skipped {count} in {where}: {why}")

    def fail(self, where, lines):
        self.failed += 1
        print(f"FAIL {where}")
        for line in lines:
            print(f"    {line}")

    def judge(self, where, exchange, expected, found, listed):
        wanted, used = expected, []
        for difference in listed:
            changed = difference.rewrite(exchange, wanted)
            if changed is not None:
                wanted = changed
                used.append(difference.name)
        if differences.matches_answer(wanted, found):
            self.passed += 1
            self.met.update(used)
            if self.verbose:
                print(f"ok   {where}" + (f"  [{', '.join(used)}]" if used else ""))
            return
        lines = [f"{exchange.method} {short(target_text(exchange))}"]
        if used and differences.matches_answer(expected, found):
            lines.append(f"the listed difference no longer occurs here: {', '.join(used)}")
        elif used:
            lines.append(f"with the listed difference: {', '.join(used)}")
        self.fail(where, lines + list(diff(wanted, found)))


def target_text(exchange):
    """The request line's target with the variables by name."""
    class Names(dict):
        def __missing__(self, key):
            return self
    try:
        return target(exchange, Names())
    except Exception:
        return exchange.at + exchange.path


def short(text, limit=160):
    return text if len(text) <= limit else text[:limit] + "..."


def pretty(answer):
    return [short(line) for line in
            json.dumps(answer, indent=2, ensure_ascii=False, sort_keys=True).splitlines()]


def diff(expected, found):
    lines = difflib.unified_diff(pretty(expected), pretty(found), "reference", "subject", lineterm="", n=3)
    return (line for line in lines if not line.startswith("@@"))


def prepare(exchange, *sides):
    """Edits and pauses before an exchange; recorded answers need neither."""
    live = [side for side in sides if isinstance(side, Live)]
    if not live:
        return
    if exchange.edit_acls:
        for side in live:
            side.edit_acls(exchange.edit_acls)
    time.sleep(exchange.pause)


def converse(name, left, right, report, listed, editable=True):
    exchanges = SETS[name]
    for i, exchange in enumerate(exchanges):
        if exchange.edit_acls and not editable:
            report.skip(name, len(exchanges) - i, "the configuration of a running server is not ours to edit")
            return
        prepare(exchange, left, right)
        report.judge(f"{name}: {exchange.name}", exchange, left.ask(exchange), right.ask(exchange), listed)


def record(name, side):
    answers = {}
    for exchange in SETS[name]:
        prepare(exchange, side)
        answers[exchange.name] = side.ask(exchange)
        if "error" in answers[exchange.name]:
            print(f"{name}: {exchange.name}: {answers[exchange.name]['error']}")
    return answers


def write_recording(file, sets):
    """One line per exchange, so that a change is one line of a diff."""
    with open(file, "w", encoding="utf-8") as out:
        out.write("{\n")
        for i, (name, answers) in enumerate(sets.items()):
            out.write(f"{json.dumps(name)}: {{\n")
            lines = (f"{json.dumps(key, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"
                     for key, value in answers.items())
            out.write(",\n".join(lines))
            out.write("\n}" + ("," if i + 1 < len(sets) else "") + "\n")
        out.write("}\n")


# --- command line ----------------------------------------------------------------------------------

class Runner:
    def __init__(self, args):
        self.args = args
        self.report = Report(args.verbose)
        self.golden = json.loads(pathlib.Path(args.replay).read_text("utf-8")) if args.replay else None
        self.listed = [] if args.self or args.identical else differences.DIFFERENCES
        self.recording = {}
        self.identity = None

    def one_set(self, name, directory):
        servers = []

        def launch(command, role):
            place = directory / name / role
            place.mkdir(parents=True)
            server = Server(command, name, place, identity=self.identity)
            servers.append(server)
            server.wait(self.args.wait)
            return Live(server.url, server.conf, server.log, self.identity)

        args = self.args
        reference = args.reference_command + ARGUMENTS
        subject = reference if args.self else args.subject_command + ARGUMENTS
        try:
            if args.record:
                self.recording[name] = record(name, launch(reference, "reference"))
                return
            if self.golden is not None:
                left = Recorded(self.golden.get(name, {}))
            elif args.reference:
                left = Live(args.reference)
            else:
                left = launch(reference, "reference")
            right = Live(args.subject) if args.subject else launch(subject, "subject")
            converse(name, left, right, self.report, self.listed, editable=not args.subject)
        except Unavailable as why:
            self.report.skip(name, len(SETS[name]), str(why))
        except RuntimeError as problem:
            self.report.fail(name, [str(problem)])
            self.report.complete = False
        finally:
            for server in servers:
                server.stop()

    def run(self):
        args, report = self.args, self.report
        names = args.set or list(SETS)
        with tempfile.TemporaryDirectory(prefix="kms-differential-", ignore_cleanup_errors=True) as directory:
            self.identity = Identity(directory)
            try:
                for name in names:
                    self.one_set(name, pathlib.Path(directory))
            finally:
                self.identity.close()
            if args.keep:
                shutil.copytree(directory, args.keep, symlinks=True, dirs_exist_ok=True)
        if args.record:
            kept = pathlib.Path(args.record)
            if args.set and kept.exists():      # the other sets stay as they were recorded
                before = json.loads(kept.read_text("utf-8"))
                self.recording = {name: self.recording.get(name, before.get(name)) for name in SETS
                                  if name in self.recording or name in before}
            write_recording(args.record, self.recording)
            report.passed = sum(len(a) for a in self.recording.values())
        elif set(names) == set(SETS) and report.complete:
            for difference in self.listed:
                if difference.name not in report.met:
                    report.fail(difference.name, ["this listed difference was not seen in any exchange"])
        print(f"{report.passed} passed, {report.failed} failed, {report.skipped} skipped")
        return 1 if report.failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", metavar="URL", help="a running reference, e.g. http://127.0.0.1:9600")
    parser.add_argument("--subject", metavar="URL", help="a running server to test")
    parser.add_argument("--reference-command", default=REFERENCE,
                        help="starts the reference in the foreground (--conf, --data, --listen are added)")
    parser.add_argument("--subject-command", default=SUBJECT, help="likewise for the server to test")
    parser.add_argument("--record", metavar="FILE")
    parser.add_argument("--replay", metavar="FILE")
    parser.add_argument("--self", action="store_true", help="compare the reference with itself")
    parser.add_argument("--identical", action="store_true", help="do not apply the list of differences")
    parser.add_argument("--set", action="append", choices=list(SETS), help="repeatable; default: all")
    parser.add_argument("--wait", type=float, default=60, help="seconds a server may take to start")
    parser.add_argument("--keep", metavar="DIR", help="keep configuration, data and logs of the servers here")
    parser.add_argument("-v", "--verbose", action="store_true", help="also name what passed")
    args = parser.parse_args()
    if (args.reference or args.subject) and len(args.set or []) != 1:
        parser.error("a running server has one configuration: name it with --set")
    if args.reference and not args.subject:
        parser.error("--reference needs --subject")
    sys.exit(Runner(args).run())


if __name__ == "__main__":
    main()
