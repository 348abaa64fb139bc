# SPDX-License-Identifier: Apache-2.0
# suite: quick
"""The benchmark's own arithmetic: what it says about figures that are known. Nothing is measured here."""

import pathlib
import socket
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/bench.d"))

import common  # noqa: E402
import parts  # noqa: E402
import report  # noqa: E402
import spnego  # noqa: E402


def run(per_s, p99, cpu):
    return {"requests": per_s * 3, "seconds": 3, "per_s": per_s, "p50_us": p99 / 4, "p99_us": p99, "us": cpu}


def results():
    mem = {"rss": 8192, "pss": 6144, "pss_file": 100, "private": 2048}
    return {
        "machine": {"cpus": 2, "model": "test", "load_before": 0, "load_after": 0}, "quick": False, "took_s": 1,
        "http": {"runs": {"decrypt 64 svsm-kms": [run(v, 500, 10) for v in (80, 90, 100)],
                          "decrypt 64 nginx": [run(100, 100, 8)], "decrypt 64 Hadoop KMS": [run(10, 9000, 400)]},
                 "memory": {"svsm-kms idle": mem}, "crossings": {"decrypt 64": [0.1, 0.2, 0.3]}, "skipped": {}},
        "tls": {"runs": {"decrypt 64 svsm-kms": [run(70, 500, 14)], "decrypt 64 plain text": [run(100, 500, 10)],
                         "1.3 full svsm-kms": [{"per_s": 10, "us": 500}], "1.3 full nginx": [{"per_s": 20, "us": 400}],
                         "1.3 resumed svsm-kms": [{"per_s": 10, "us": 500}]}, "skipped": {},
                "alone": {"64 tls": [{"per_s": v, "us": 14, "client_us": 9} for v in (50, 71, 90)],
                          "64 plain": [{"per_s": 100, "us": 10, "client_us": 6}]}},
        "logins": {"runs": [{"SPNEGO": {"per_s": 30, "us": v}, "cookie": {"per_s": 60, "us": 20}} for v in (30, 50, 70)]},
        "durable": {"fdatasync_per_s": [1000], "create_per_s": [19000], "commits_per_s": [500],
                    "changes_per_commit": [38], "us": [40]},
        "keys": {"keys": 500000, "start_ms": [1400], "start_cpu_s": [1.0], "service_bytes_per_key": 220,
                 "proxy_bytes_per_key": 400, "proxy_private_bytes_per_key": 3, "file_bytes": 1000, "list_ms": 9,
                 "list_bytes": 99, "decrypt_many": [run(90, 500, 11)], "decrypt_few": [run(100, 500, 10)]},
        "start": {"start_ms": [20, 60, 30], "idle_kib": mem},
        "lines": {"service": 8001},
    }


def verdicts(raw):
    return {row[0]: row[3] for row in report.targets(raw, report.Http(raw))}


def test_each_reach_is_judged_by_medians():
    got = verdicts(results())
    assert got["decrypt, 64 connections, against nginx"] == "yes"
    assert got["the same against Hadoop KMS"] == "yes"
    assert got["p99 of the same against Hadoop KMS"] == "yes"
    assert got["start to first answer, empty store"] == "yes"
    assert got["decrypt over TLS, 64 connections, against plain text"] == "yes"
    assert got["memory a key, proxy and service"] == "yes"


def test_what_is_not_reached_is_said():
    got = verdicts(results())
    assert got["durable creates, 64 connections, against single fdatasync"] == "NO"
    assert got["crossings a request, 64 connections"] == "NO"
    assert got["trusted lines, service"] == "NO"


def test_tls_is_judged_where_the_server_is_the_slower_side():
    raw = results()
    name = "decrypt over TLS, 64 connections, against plain text"
    raw["tls"]["alone"]["64 tls"] = [run(69, 500, 14)]
    assert verdicts(raw)[name] == "NO"
    raw["tls"]["alone"] = {}        # one processor: not measured
    assert verdicts(raw)[name] == ""


def test_a_smaller_store_must_open_in_proportion():
    raw = results()
    assert verdicts(raw)["500000 keys: open and verified"] == "yes"
    raw["keys"]["start_ms"] = [1600]
    assert verdicts(raw)["500000 keys: open and verified"] == "NO"


def test_what_was_not_measured_has_no_verdict():
    raw = {"machine": results()["machine"], "quick": True, "took_s": 1}
    assert set(verdicts(raw).values()) == {""}


def test_the_tables_stand_whatever_is_missing(capsys):
    raw = results()
    report.show(raw)
    for name in ("http", "tls", "durable", "keys", "start", "lines"):
        report.show({k: v for k, v in raw.items() if k != name})
    raw["http"]["runs"]["create 64 Hadoop KMS"] = [run(0, 0, 0)]
    raw["http"]["runs"]["create 64 svsm-kms"] = [run(100, 10, 5)]
    raw["http"]["skipped"]["nginx"] = "nginx is not installed"
    report.show(raw)
    out = capsys.readouterr().out
    assert any(line.split() == "| SPNEGO | 30 | 50.0 | 2.50 |".split() for line in out.splitlines())
    assert any(line.split() == "| decrypt 64 | 71 | 14.0 | 9.0 | 100 | 10.0 | 6.0 | 0.71 |".split() for line in out.splitlines())
    assert "not measured: nginx: nginx is not installed" in out
    assert "none finished" in out


def test_the_spread_is_relative_to_the_median():
    assert common.spread([90, 100, 120]) == 0.3
    assert common.spread([0, 0]) == 0


def test_names_and_values_are_read():
    assert common.read_lines("a_ns 1.5\nb 2\n") == {"a_ns": 1.5, "b": 2.0}


def test_crossings_are_divided_by_the_calls_they_carried():
    before = {"svsm_kms_crossings_total": 10, "svsm_kms_core_calls_total": 100}
    after = {"svsm_kms_crossings_total": 20, "svsm_kms_core_calls_total": 200}
    assert parts.crossings(before, after) == 0.1
    assert parts.crossings(before, before) == 0


def test_a_callgrind_sum_is_found(tmp_path):
    (tmp_path / "a").write_text("version: 1\nevents: Ir\nsummary: 123456\n\nfn=main\n")
    assert parts.collected(tmp_path / "a") == 123456


def test_every_token_is_shown_once_and_only_successes_count():
    seen = []

    def serve(listener):
        for _ in range(3):
            s, _ = listener.accept()
            threading.Thread(target=answer, args=(s,), daemon=True).start()

    def answer(s):
        while data := s.recv(65536):
            seen.append(data.split(b"\r\n")[2])
            s.sendall(b"HTTP/1.1 %s x\r\nContent-Length: 0\r\n\r\n" % (b"403" if b"t7" in data else b"200"))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        _, good = spnego.ask_all(listener.getsockname()[1], [f"X: t{n}" for n in range(50)], 3)
    assert (good, len(seen), len(set(seen))) == (49, 50, 50)
