#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Test the runner itself, without any server: would it notice what it is there to notice?"""

import contextlib
import copy
import io
import json
import pathlib
import sys

import differences
import run
from conversation import SETS
from exchange import encode, get, post
from normalise import Normaliser
from wire import Connection, Response

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = json.loads((HERE / "reference-3.4.1.json").read_text("utf-8"))
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def compare(left, right, listed=()):
    """Report of a comparison of two recordings of all sets."""
    report = run.Report(verbose=False)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        for name in SETS:
            run.converse(name, run.Recorded(left[name]), run.Recorded(right[name]), report, listed)
    report.text = out.getvalue()
    return report


def ours():
    """The recording as a server would answer that has exactly the listed differences."""
    def concrete(value):
        if isinstance(value, dict):
            if "<one of>" in value:
                return concrete(value["<one of>"][0])
            return {k: concrete(v) for k, v in value.items()}
        if isinstance(value, list):
            return [concrete(v) for v in value]
        return "something" if value in (differences.ANY_TEXT, differences.ANYTHING) else value

    answers = {}
    for name, exchanges in SETS.items():
        answers[name] = {}
        for exchange in exchanges:
            answer = GOLDEN[name][exchange.name]
            for listed in differences.DIFFERENCES:
                answer = listed.rewrite(exchange, answer) or answer
            answers[name][exchange.name] = concrete(answer)
    return answers


@test
def recording_covers_the_conversation():
    for name, exchanges in SETS.items():
        names = [e.name for e in exchanges]
        assert len(names) == len(set(names)), f"two exchanges of one name in {name}"
        assert names == list(GOLDEN[name]), f"record {name} again"
        assert not [n for n in names if "error" in GOLDEN[name][n]]


@test
def recording_equals_itself():
    report = compare(GOLDEN, GOLDEN)
    assert (report.failed, report.skipped) == (0, 0)
    assert report.passed == sum(map(len, SETS.values()))


@test
def every_alteration_is_noticed():
    altered = copy.deepcopy(GOLDEN)
    changes = {
        "create plain": lambda a: a.update(status=200),
        "no credentials": lambda a: a.update(reason="Unauthorized"),
        "cookie empty": lambda a: a["headers"].pop("WWW-Authenticate"),
        "handshake": lambda a: a["headers"].update({"Set-Cookie": a["headers"]["Set-Cookie"].replace('"', "")}),
        "plain: metadata": lambda a: a["body"].update(versions=2),
        "vector: decrypt": lambda a: a["body"].update(material="AAAA"),
        "full: twelve versions in order": lambda a: a["body"].reverse(),
        "missing: versions": lambda a: a.update(body={}),
        "create without name": lambda a: a["body"]["RemoteException"].update(message="no name"),
        "invalidate": lambda a: a["headers"].update({"Content-Type": "application/json"}),
    }
    for name, change in changes.items():
        change(altered["open"][name])
    report = compare(GOLDEN, altered)
    assert report.failed == len(changes), report.text
    for name in changes:
        assert f"FAIL open: {name}\n" in report.text


@test
def listed_differences_are_accepted():
    report = compare(GOLDEN, ours(), differences.DIFFERENCES)
    assert report.failed == 0, report.text
    assert report.met == {d.name for d in differences.DIFFERENCES}


@test
def listed_differences_are_needed():
    report = compare(GOLDEN, GOLDEN, differences.DIFFERENCES)
    assert report.failed > 0
    assert report.text.count("no longer occurs") == report.failed, report.text


@test
def listed_differences_are_documented():
    page = (HERE / "differences.md").read_text("utf-8")
    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert rows == [d.name for d in differences.DIFFERENCES]


@test
def equal_values_get_equal_labels():
    normaliser = Normaliser("http://h:1")

    def answer(name, **members):
        body = json.dumps(members).encode()
        return normaliser.answer(get(name, "/"), Response(200, "OK", [("Content-Type", "application/json")], body))

    one = answer("first", material="AAECAwQFBgcICQoLDA0ODw")["body"]
    assert one == {"material": "<16 bytes, first in 'first' /material>"}
    assert answer("second", material="AAECAwQFBgcICQoLDA0ODw")["body"] == one
    assert answer("third", material="_wECAwQFBgcICQoLDA0ODw")["body"] != one
    assert "not URL-safe" in answer("fourth", material="AAECAwQFBgcICQoLDA0ODw==")["body"]["material"]
    assert "not a time" in answer("fifth", created=12)["body"]["created"]
    normaliser.remember_sent({"material": "AAAA"})
    assert answer("sixth", material="AAAA")["body"] == {"material": "AAAA"}


@test
def variables_are_put_in():
    known = {"eek": [{"versionName": "a b@0", "iv": "x"}], "token": "c=d"}
    request = encode(post("n", "/keyversion/<<eek.0.versionName>>", {"iv": "<<eek.0.iv>>", "all": "<<eek>>"},
                          headers={"Cookie": "<<token>>"}), known, "h:1")
    assert request.startswith(b"POST /kms/v1/keyversion/a%20b%400?user.name=alice HTTP/1.1\r\nHost: h:1\r\n")
    assert b"\r\nCookie: c=d\r\n" in request
    assert json.loads(request.partition(b"\r\n\r\n")[2]) == {"iv": "x", "all": known["eek"]}


@test
def nothing_is_sent_without_a_body():
    request = encode(post("n", "/key/k/_invalidatecache"), {}, "h:1")
    assert b"Content-" not in request and b"Transfer-" not in request and request.endswith(b"\r\n\r\n")


@test
def answers_are_read():
    def read(data, method="GET"):
        connection = Connection("h", 1)
        connection.file = io.BytesIO(data)
        return connection._read(method)

    chunked = read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n")
    assert chunked.body == b"abcde"
    assert read(b"HTTP/1.1 401 two words\r\nContent-Length: 1\r\n\r\nx").reason == "two words"
    assert read(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD").body == b""


def main():
    failed = 0
    for function in TESTS:
        try:
            function()
        except AssertionError as problem:
            failed += 1
            print(f"FAIL {function.__name__}: {problem}")
    print(f"{len(TESTS) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
