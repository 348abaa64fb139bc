#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command as users call it: the built binary against a fake server. SVSM_KMS_BIN names the binary."""

import json
import os
import pathlib
import pty
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

from fake_kms import FakeKms, b64  # noqa: E402

BIN = os.environ.get("SVSM_KMS_BIN", str(ROOT / "build" / "svsm-kms"))
OK, REFUSED, USAGE, CONNECT, AUTH, NOT_FOUND, CONFLICT = range(7)


class Case(unittest.TestCase):
    def setUp(self):
        self.kms = FakeKms()
        self.addCleanup(self.kms.close)
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.dir = pathlib.Path(temporary.name)

    def run_cli(self, *args, code=OK, stdin="", user="alice", url=None):
        command = [BIN, *(["--user", user] if user else []), *args]
        full = dict(os.environ, SVSM_KMS_URL=url or self.kms.url)
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=full, timeout=60)
        self.assertEqual(done.returncode, code, f"{args}\n{done.stdout}\n{done.stderr}")
        return done

    def out(self, *args, **kw):
        return self.run_cli(*args, **kw).stdout

    def err(self, *args, **kw):
        return self.run_cli(*args, **kw).stderr

    def json(self, *args, **kw):
        return json.loads(self.out(*args, "-o", "json", **kw))

    def file(self, name, data, mode=0o600):
        path = self.dir / name
        path.write_bytes(data)
        path.chmod(mode)
        return str(path)


class Keys(Case):
    def test_a_key_is_created_shown_rolled_and_deleted(self):
        self.assertEqual(self.out("key", "create", "k1", "--length", "256", "--description", "d",
                                  "--attr", "a=b", "--attr", "c=d=e"), "created k1@0\n")
        sent = json.loads(self.kms.requests[-1][3])
        self.assertEqual(sent, {"name": "k1", "description": "d", "attributes": {"a": "b", "c": "d=e"}, "length": 256})
        self.assertEqual(self.out("key", "roll", "k1"), "rolled to k1@1\n")
        shown = self.json("key", "show", "k1", "--versions")
        self.assertEqual([v["versionName"] for v in shown["versionList"]], ["k1@0", "k1@1"])
        self.assertEqual(shown["attributes"], {"a": "b", "c": "d=e", "key.acl.name": "k1"})
        self.assertEqual(self.json("key", "delete", "k1", "--yes"), {"name": "k1"})
        self.assertEqual(self.kms.keys, {})

    def test_material_is_never_shown_unless_asked_for(self):
        self.kms.create({"name": "k", "material": b64(b"0123456789abcdef")})
        secret = b64(b"0123456789abcdef")
        for args in (["key", "show", "k"], ["key", "show", "k", "--versions"], ["key", "list", "--metadata"]):
            self.assertNotIn(secret, self.out(*args) + self.out(*args, "-o", "json"))
        self.assertFalse([r for r in self.kms.requests if r[1].endswith("_versions")])
        self.assertIn(secret, self.out("key", "show", "k", "--material"))
        for args in (["key", "create", "n", "--material-file", self.file("m", b"0123456789abcdef")],
                     ["key", "roll", "n", "--material-file", self.file("m", b"0123456789abcdef")]):
            done = self.run_cli(*args, "-o", "json")
            self.assertNotIn(secret, done.stdout + done.stderr)

    def test_material_is_read_from_a_file_in_three_formats_or_standard_input(self):
        raw = bytes(range(16))
        self.out("key", "create", "a", "--material-file", self.file("a", raw))
        self.out("key", "create", "b", "--material-file", self.file("b", raw.hex().encode() + b"\n"),
                 "--material-format", "hex", "--length", "128")
        self.out("key", "create", "c", "--material-file", "-", "--material-format", "base64", stdin=b64(raw) + "==\n")
        for name in "abc":
            self.assertEqual(self.kms.keys[name].materials, [raw])
            self.assertEqual(self.kms.keys[name].meta["length"], 128)

    def test_bad_material_is_refused_before_anything_is_sent(self):
        good = self.file("good", bytes(16))
        for args in (["--material-file", good, "--length", "256"],
                     ["--material-file", self.file("empty", b"")],
                     ["--material-file", self.file("big", bytes(5000))],
                     ["--material-file", good, "--material-format", "hex"],
                     ["--material-file", self.file("b", b"Zg=g"), "--material-format", "base64"],
                     ["--material-file", str(self.dir / "missing")],
                     ["--material-file", str(self.dir)],
                     ["--material-format", "hex"]):
            self.run_cli("key", "create", "k", *args, code=USAGE)
        self.assertEqual(self.kms.requests, [])

    def test_a_material_file_that_others_can_read_is_warned_about(self):
        path = self.file("m", bytes(16), 0o644)
        self.assertIn("chmod 600", self.err("key", "create", "k", "--material-file", path, "-q"))
        self.assertEqual("", self.err("key", "roll", "k", "--material-file", self.file("n", bytes(16))))

    def test_deleting_needs_yes_or_the_name_typed_on_a_terminal(self):
        self.out("key", "create", "k")
        self.assertIn("--yes", self.err("key", "delete", "k", code=USAGE))
        for typed, code in ((b"other\n", USAGE), (b"k\n", OK)):
            self.assertIn("k", self.kms.keys)
            main, sub = pty.openpty()
            os.write(main, typed)
            done = subprocess.run([BIN, "key", "delete", "k", "--url", self.kms.url], stdin=sub, capture_output=True)
            os.close(sub)
            os.close(main)
            self.assertEqual(done.returncode, code, done.stderr)
        self.assertNotIn("k", self.kms.keys)

    def test_names_of_any_form_reach_the_server_unchanged(self):
        for name in ("a/b", "a b", "a+b", "k@1", "sch\u00fcssel", "a%2Fb", "a;x=y", "a?b#c", "..", "a\nb"):
            self.out("key", "create", "--", name)
            self.assertEqual(self.json("key", "show", name)["name"], name)
            self.out("key", "delete", "--yes", name)

    def test_lists_are_sorted_and_long_ones_are_asked_for_in_parts(self):
        names = [f"key-{i:03}" for i in range(300)]
        for n in reversed(names):
            self.kms.create({"name": n})
        self.assertEqual(self.out("key", "list").split(), names)
        self.assertEqual(self.json("key", "list"), names)
        self.kms.requests.clear()
        self.assertEqual([m["name"] for m in self.json("key", "list", "--metadata")], names)
        parts = [r[1] for r in self.kms.requests if "/metadata?" in r[1]]
        self.assertEqual(len(parts), 3)

    def test_an_empty_server_lists_nothing(self):
        self.assertEqual(self.out("key", "list"), "")
        self.assertEqual(self.json("key", "list"), [])
        self.assertEqual(self.json("key", "list", "--metadata"), [])

    def test_descriptions_cannot_act_on_the_terminal(self):
        self.kms.create({"name": "k", "description": "\x1b[2J\u202e\x9b31m", "attributes": {"a\x07": "\x1b]0;x"}})
        for args in (["key", "show", "k"], ["key", "show", "k", "-o", "json"], ["key", "list", "--metadata"]):
            text = self.out(*args)
            self.assertFalse(set(text) & {"\x1b", "\u202e", "\x9b", "\x07"}, ascii(text))

    def test_invalidate(self):
        self.assertEqual(self.out("key", "invalidate", "k"), "invalidated k\n")
        self.assertEqual(self.kms.requests[-1][:2], ("POST", "/kms/v1/key/k/_invalidatecache?user.name=alice"))


class EncryptedKeys(Case):
    def test_generate_decrypt_and_reencrypt_work_through_pipes(self):
        self.out("key", "create", "k")
        lines = self.out("eek", "generate", "k", "--count", "3")
        self.assertEqual(len(lines.splitlines()), 3)
        plain = self.out("eek", "decrypt", stdin=lines)
        self.out("key", "roll", "k")
        again = self.out("eek", "reencrypt", stdin=lines)
        self.assertTrue(all(json.loads(x)["versionName"] == "k@1" for x in again.splitlines()))
        self.assertEqual(self.out("eek", "decrypt", self.file("e", again.encode())), plain)
        as_array = json.dumps([json.loads(x) for x in again.splitlines()], indent=1)
        self.assertEqual([v["material"] for v in self.json("eek", "decrypt", stdin=as_array)], plain.split())

    def test_reencrypt_keeps_the_order_of_mixed_keys(self):
        for name in "ab":
            self.out("key", "create", name)
        a, b = (self.json("eek", "generate", n)[0] for n in "ab")
        mixed = "\n".join(map(json.dumps, [a, b, b, a]))
        names = [e["versionName"] for e in self.json("eek", "reencrypt", stdin=mixed)]
        self.assertEqual(names, ["a@0", "b@0", "b@0", "a@0"])

    def test_what_is_not_an_encrypted_key_is_refused_before_anything_is_sent(self):
        for text in ("", "{}", "[]", "[1]", "x", '{"versionName":"k@0","iv":"x"}', "[[]]", "{} x", '{"a":',
                     '{"versionName":1,"iv":"x","encryptedKeyVersion":{"material":"x"}}', "[" * 5000):
            self.run_cli("eek", "decrypt", code=USAGE, stdin=text)
            self.run_cli("eek", "reencrypt", code=USAGE, stdin=text)
        self.run_cli("eek", "decrypt", str(self.dir / "missing"), code=USAGE)
        self.assertEqual(self.kms.requests, [])


class Errors(Case):
    def test_exit_codes(self):
        self.out("key", "create", "k")
        for args, code in ((["key", "create", "k"], CONFLICT), (["key", "show", "none"], NOT_FOUND),
                           (["key", "roll", "none"], NOT_FOUND), (["key", "delete", "none", "--yes"], NOT_FOUND),
                           (["key", "create", "forbidden"], AUTH), (["eek", "generate", "none"], NOT_FOUND),
                           (["key", "show"], USAGE), (["key", "show", "a", "b"], USAGE), (["key"], USAGE),
                           (["nonsense"], USAGE), (["key", "create", "k", "--length", "x"], USAGE),
                           (["key", "create", "k", "--attr", "novalue"], USAGE),
                           (["key", "create", "k", "--attr", "a=1", "--attr", "a=2"], USAGE),
                           (["key", "list", "--url", "https:/h"], USAGE), (["key", "list", "--url", "h"], USAGE)):
            self.assertTrue(self.err(*args, code=code).startswith("svsm-kms: "), args)

    def test_errors_are_json_when_json_is_asked_for(self):
        error = json.loads(self.err("key", "show", "none", "-o", "json", code=NOT_FOUND))
        self.assertEqual(error, {"error": {"code": 5, "message": "key none does not exist"}})

    def test_no_server(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{s.getsockname()[1]}/kms"
            self.assertIn("cannot connect", self.err("key", "list", url=url, code=CONNECT))
        self.assertIn("cannot find host", self.err("key", "list", url="http://no-such-host.invalid/kms", code=CONNECT))

    def test_the_next_host_is_tried(self):
        port = self.kms.server.server_port
        self.assertEqual(self.out("key", "list", url=f"kms://http@127.0.0.2;127.0.0.1:{port}/kms"), "")

    def test_a_server_that_stalls_is_given_up(self):
        self.kms.stall = 3
        self.assertIn("no answer", self.err("key", "list", "--timeout", "1", code=CONNECT))

    def test_broken_answers_are_refused(self):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        for raw, code in ((b"", CONNECT), (b"garbage\r\n\r\n", REFUSED), (b"\0" * 100, REFUSED),
                          (head + b"Content-Length: 10\r\n\r\n[]", CONNECT),
                          (head + b"\r\n[]", REFUSED), (head + b"Content-Length: 2\r\n\r\n{}", REFUSED),
                          (head + b"Content-Length: 3\r\n\r\n[1]", REFUSED),
                          (head + b"Content-Length: 1\r\n\r\n[", REFUSED),
                          (head + b"Content-Length: 4\r\n\r\n[] x", REFUSED),
                          (head + b"Content-Length: 0\r\n\r\n", REFUSED),
                          (head + b"Content-Length: 9999999999\r\n\r\n", REFUSED),
                          (head + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", REFUSED),
                          (head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n", CONNECT),
                          (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n[]", REFUSED),
                          (head + b"Content-Length: 100000\r\n\r\n" + b"[" * 100000, REFUSED),
                          (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20000, REFUSED)):
            self.kms.raw = raw
            self.err("key", "list", code=code)

    def test_documents_of_another_form_are_refused(self):
        good = {"name": "k", "cipher": "AES/CTR/NoPadding", "length": 128, "description": None, "attributes": {},
                "created": 1, "versions": 1}
        for change in ({"name": "other"}, {"name": None}, {"cipher": 1}, {"length": "128"}, {"length": 1.5},
                       {"length": -1}, {"length": 1e300}, {"versions": -1}, {"versions": 3e9}, {"created": "x"},
                       {"attributes": []}, {"attributes": {"a": 1}}, {"description": {}}, {"created": 1e308}):
            text = json.dumps(dict(good, **change)).encode()
            self.kms.raw = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                            % (len(text), text))
            self.err("key", "show", "k", "--versions", code=REFUSED)

    def test_the_message_of_a_server_cannot_act_on_the_terminal(self):
        text = json.dumps({"RemoteException": {"message": "\x1b[2Jgone\r\nx"}}).encode()
        self.kms.raw = (b"HTTP/1.1 500 Error\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                        % (len(text), text))
        self.assertEqual(self.err("key", "list", code=REFUSED), "svsm-kms: \\x1b[2Jgone\\x0d\\x0ax\n")

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_output_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([BIN, "version"], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, REFUSED)


class Login(Case):
    def test_the_user_is_named_once_and_the_cookie_sent_afterwards(self):
        self.kms.create({"name": "k"})
        self.json("key", "show", "k", "--material", user="b ob&x")
        first, second = self.kms.requests
        self.assertTrue(first[1].endswith("?user.name=b%20ob%26x"))
        self.assertNotIn("user.name", second[1])
        self.assertEqual(second[2]["Cookie"], 'hadoop.auth="u=b ob&x&p=b ob&x&t=simple-dt&e=9&s=x="')

    def test_a_refused_cookie_is_replaced_once(self):
        self.kms.create({"name": "k"})
        self.kms.drop_cookies = True
        self.json("key", "show", "k", "--material")
        self.assertEqual([("Cookie" in r[2], "user.name=alice" in r[1]) for r in self.kms.requests],
                         [(False, True), (True, False), (False, True)])

    def test_a_server_that_always_refuses_is_not_asked_for_ever(self):
        self.kms.raw = (b"HTTP/1.1 401 Authentication required\r\nContent-Length: 0\r\n"
                        b"Set-Cookie: hadoop.auth=\"x\"\r\n\r\n")
        self.err("key", "list", code=AUTH)
        self.assertEqual(len(self.kms.requests), 1)

    def test_a_connection_closed_while_idle_is_opened_again(self):
        self.kms.create({"name": "k"})
        self.kms.close_idle = True
        self.json("key", "show", "k", "--material")

    def test_the_login_name_is_the_default_user(self):
        import pwd
        self.out("key", "list", user=None)
        self.assertIn(f"user.name={pwd.getpwuid(os.getuid()).pw_name}", self.kms.requests[0][1])

    def test_a_delegation_token_is_shown_instead_of_a_name(self):
        self.kms.tokens = {"HwAFYWxpY2U-_w": "alice"}
        for text in ("HwAFYWxpY2U-_w", "HwAFYWxpY2U-_w\r\n", '{"Token":{"urlString":"HwAFYWxpY2U-_w"}}\n'):
            self.kms.requests.clear()
            self.out("key", "create", f"k{len(text)}", "--token", self.file("token", text.encode()))
            self.out("key", "show", f"k{len(text)}", "--versions", "--token", self.file("token", text.encode()))
            for _, path, headers, _ in self.kms.requests:
                self.assertNotIn("user.name", path)
                self.assertNotIn("Cookie", headers)
                self.assertEqual(headers["X-Hadoop-Delegation-Token"], "HwAFYWxpY2U-_w")
        self.assertIn("--token", self.err("key", "list", "--token", self.file("token", b"AAAA"), code=AUTH))
        self.assertIn("chmod 600", self.err("key", "list", "--token", self.file("open", b"HwAFYWxpY2U-_w", 0o644)))

    def test_what_is_no_delegation_token_is_not_sent(self):
        self.kms.requests.clear()
        for text in (b"", b"\n", b"a b", b"AAAA\r\nX: y", b"{}", b'{"Token":{}}', b'{"Token":{"urlString":7}}', b"{", b"AA\0A",
                     b'{"Token":{"urlString":"A\\nB"}}', b"A" * 20000):
            self.assertIn("token", self.err("key", "list", "--token", self.file("token", text), code=USAGE))
        self.err("key", "list", "--token", str(self.dir / "none"), code=USAGE)
        self.assertEqual(self.kms.requests, [])

    def test_an_empty_user_is_refused(self):
        self.run_cli("key", "list", "--user=", user=None, code=USAGE)


class Import(Case):
    def setUp(self):
        super().setUp()
        self.old = FakeKms()
        self.addCleanup(self.old.close)
        for n in ("a", "b", "c.x"):
            self.old.create({"name": n, "length": 256, "description": f"the {n}", "attributes": {"x": "y"}})
            self.old.key("POST", n, None, {}, {})
            self.old.keys[n].meta["created"] = 1500000000000
        self.from_old = ["import", "--from", self.old.url]

    def results(self, document):
        return {k["name"]: k["result"] for k in document["keys"]}

    def test_everything_is_copied_and_a_second_time_it_is_the_same(self):
        self.assertEqual(self.results(self.json(*self.from_old)), dict.fromkeys(["a", "b", "c.x"], "copied"))
        for n, key in self.old.keys.items():
            self.assertEqual(self.kms.keys[n].metadata(), key.metadata())
            self.assertEqual(self.kms.keys[n].materials, key.materials)
        again = self.json(*self.from_old)
        self.assertEqual(again["same"], 3)
        self.assertEqual(again["copied"], 0)

    def test_a_dry_run_writes_nothing(self):
        self.assertEqual(self.json(*self.from_old, "--dry-run")["wouldCopy"], 3)
        self.assertEqual(self.kms.keys, {})

    def test_patterns_choose_keys(self):
        self.json(*self.from_old, "--key", "a", "--key", "*.x")
        self.assertEqual(set(self.kms.keys), {"a", "c.x"})

    def test_a_key_that_differs_is_a_conflict_and_is_not_touched(self):
        for change in (lambda k: k.materials.__setitem__(1, bytes(32)), lambda k: k.materials.append(bytes(32)),
                       lambda k: k.materials.pop(), lambda k: k.meta.update(created=1),
                       lambda k: k.meta.update(cipher="SM4/CTR/NoPadding"), lambda k: k.meta.update(description=None),
                       lambda k: k.meta["attributes"].update(x="z"), lambda k: k.meta["attributes"].update(new="z"),
                       lambda k: k.meta["attributes"].pop("x"),
                       lambda k: k.meta["attributes"].update({"key.acl.name": "other"})):
            self.kms.keys.clear()
            self.json(*self.from_old)
            change(self.kms.keys["b"])
            before = (self.kms.keys["b"].metadata(), list(self.kms.keys["b"].materials))
            done = self.run_cli(*self.from_old, code=CONFLICT)
            self.assertIn("conflict   b: ", done.stdout)
            self.assertIn("same       a\n", done.stdout)
            self.assertEqual((self.kms.keys["b"].metadata(), self.kms.keys["b"].materials), before)

    def test_a_missing_default_acl_name_is_no_conflict(self):
        self.json(*self.from_old)
        del self.kms.keys["a"].meta["attributes"]["key.acl.name"]
        self.assertEqual(self.json(*self.from_old)["same"], 3)

    def test_a_target_that_stores_something_else_is_caught(self):
        self.kms.corrupt_import = True
        self.assertEqual(self.json(*self.from_old, code=CONFLICT)["conflict"], 3)

    def test_a_target_that_is_not_ours_is_named_as_such(self):
        self.kms.importable = False
        done = self.run_cli(*self.from_old, code=NOT_FOUND)
        self.assertEqual(done.stdout.count("is not SVSM-KMS"), 1)

    def test_a_key_that_may_not_be_read_is_reported_and_the_others_are_copied(self):
        self.old.deny.add("a")
        report = self.json(*self.from_old, code=AUTH)
        self.assertEqual(self.results(report), {"a": "failed", "b": "copied", "c.x": "copied"})

    def test_no_key_material_is_printed(self):
        done = self.run_cli(*self.from_old, "-o", "json")
        for key in self.old.keys.values():
            for m in key.materials:
                self.assertNotIn(b64(m), done.stdout + done.stderr)

    def test_it_says_where_it_cannot_connect(self):
        self.err("import", code=USAGE)
        self.err("import", "--from", "http://127.0.0.1:1/kms", code=CONNECT)

    def test_the_source_may_be_asked_as_another_user(self):
        self.old.tokens = {"AAAA": "admin"}
        self.json(*self.from_old, "--dry-run", "--from-token", self.file("token", b"AAAA"))
        self.assertEqual(self.old.requests[0][2]["X-Hadoop-Delegation-Token"], "AAAA")
        self.assertNotIn("X-Hadoop-Delegation-Token", self.kms.requests[0][2])
        self.old.requests.clear()
        self.kms.requests.clear()
        self.json(*self.from_old, "--from-user", "admin")
        self.assertIn("user.name=admin", self.old.requests[0][1])
        self.assertIn("user.name=alice", self.kms.requests[0][1])


class Others(Case):
    def test_health(self):
        self.assertEqual(self.json("health"), {"status": "ok", "isolation": "process"})
        self.assertIn("process", self.out("health"))
        self.kms.health = None
        self.assertIn("not SVSM-KMS", self.err("health", code=NOT_FOUND))
        self.assertIn(("health", "warn"), self.checks())

    def checks(self, *args, **kw):
        return {(c["check"], c["level"]) for c in self.json("doctor", *args, **kw)["checks"]}

    def test_doctor_names_the_isolation_honestly(self):
        self.assertIn(("isolation", "warn"), self.checks())
        self.assertIn("other users only", self.out("doctor"))
        self.kms.health = {"status": "ok", "isolation": "vmpl0-emulated", "owner": "ab" * 32}
        self.assertIn(("isolation", "warn"), self.checks())
        self.kms.health = {"status": "ok", "isolation": "vmpl0-snp", "owner": "ab" * 32}
        self.assertIn(("isolation", "ok"), self.checks())

    def test_doctor_wants_an_owner_where_keys_are_kept_from_root(self):
        for isolation, owner, level in (("vmpl0-snp", "", "fail"), ("vmpl0-emulated", None, "fail"), ("vmpl0-snp", "ab" * 32, "ok")):
            self.kms.health = {"status": "ok", "isolation": isolation, "owner": owner}
            self.assertIn(("owner", level), self.checks(code=OK if level == "ok" else CONFLICT))
        self.kms.health = {"status": "ok", "isolation": "process", "owner": ""}
        self.assertNotIn("owner", {check for check, _ in self.checks()})

    def test_doctor_sees_open_files_clock_skew_and_broken_configuration(self):
        data = self.dir / "data"
        data.mkdir(mode=0o700)
        self.assertIn(("data", "ok"), self.checks("--data", str(data)))
        (data / "platform.key").touch(mode=0o644)
        self.assertIn(("data", "fail"), self.checks("--data", str(data), code=CONFLICT))
        (data / "platform.key").chmod(0o600)
        data.chmod(0o755)
        self.assertIn(("data", "fail"), self.checks("--data", str(data), code=CONFLICT))
        self.assertIn(("data", "fail"), self.checks("--data", str(self.dir / "none"), code=CONFLICT))
        self.kms.date = "Thu, 01 Jan 2015 00:00:00 GMT"
        self.assertIn(("clock", "fail"), self.checks(code=CONFLICT))
        self.kms.date = None
        conf = self.dir / "conf"
        conf.mkdir()
        self.assertIn(("conf", "fail"), self.checks("--conf", str(conf), code=CONFLICT))
        (conf / "kms-acls.xml").write_text("<configuration/>")
        local = "<configuration>" + properties({"hadoop.kms.http.host": "127.0.0.1"}) + "</configuration>"
        for text, level in ((local, "ok"), ("<configuration>", "fail"), ("<other/>", "fail"), ("", "fail"),
                            ('<!DOCTYPE c [<!ENTITY a "b">]><configuration>&a;</configuration>', "fail")):
            (conf / "kms-site.xml").write_text(text)
            self.assertIn(("conf", level), self.checks("--conf", str(conf), code=OK if level == "ok" else CONFLICT))

    def test_doctor_without_a_server_still_checks_the_rest(self):
        found = self.checks(url="http://127.0.0.1:1/kms", code=CONFLICT)
        self.assertIn(("server", "fail"), found)
        self.assertIn("core", {check for check, _ in found})

    def test_bench_runs_each_operation_and_leaves_no_keys(self):
        for op in ("decrypt", "generate", "create"):
            runs = self.json("bench", "--op", op, "--seconds", "1", "--connections", "1,4")["runs"]
            self.assertEqual([r["connections"] for r in runs], [1, 4])
            self.assertTrue(all(r["requests"] > 0 and r["errors"] == 0 and r["p50us"] <= r["p99us"] for r in runs))
            self.assertEqual(self.kms.keys, {})

    def test_bench_with_an_existing_key_keeps_it(self):
        self.kms.create({"name": "k"})
        self.json("bench", "--key", "k", "--seconds", "1", "--connections", "2")
        self.assertEqual(list(self.kms.keys), ["k"])

    def test_bench_reports_a_server_that_only_fails(self):
        self.kms.create({"name": "k"})
        self.kms.raw, self.kms.raw_for = b"nonsense", "/keyversion/"
        self.err("bench", "--key", "k", "--seconds", "1", "--connections", "2", code=REFUSED)

    def test_bench_refuses_odd_lists_of_connections(self):
        for text in ("", "0", "1025", "1,,2", "x", "1,", "-1", "1;2"):
            self.err("bench", "--connections", text, code=USAGE)
        self.assertEqual(self.kms.keys, {})

    def test_verbs_of_the_store_exist(self):
        for verb in (["export"], ["store", "verify"], ["store", "recover"], ["acl", "check", "u", "o", "k"], ["serve"]):
            self.assertIn("Options", self.out(*verb, "--help", user=None))


def properties(values):
    return "".join(f"<property><name>{n}</name><value>{v}</value></property>" for n, v in values.items())


def keytab(*entries):
    """Format 0x0502: (principal without realm, encryption type) each; the keys are noise."""
    def text(s):
        return struct.pack(">H", len(s)) + s

    data = b"\x05\x02"
    for name, etype in entries:
        parts = name.encode().split(b"/")
        e = struct.pack(">H", len(parts)) + text(b"EXAMPLE.COM") + b"".join(text(p) for p in parts)
        e += struct.pack(">IIBH", 1, 0, 1, etype) + text(os.urandom(32 if etype == 18 else 16))
        data += struct.pack(">I", len(e)) + e
    return data


class Doctor(Case):
    """What doctor --conf says of settings: the failing case and the good one of each check."""
    host = socket.gethostname() if "." in socket.gethostname() else socket.getaddrinfo(
        socket.gethostname(), None, flags=socket.AI_CANONNAME)[0][3] or socket.gethostname()

    def judge(self, site, what, acls=None, ssl=None, ssl_mode=0o600, more=(), core=None):
        """The levels of the lines about `what`, and their text."""
        conf = self.dir / "conf"
        conf.mkdir(exist_ok=True)
        values = {"hadoop.kms.http.host": "127.0.0.1"} | site
        (conf / "kms-site.xml").write_text(f"<configuration>{properties(values)}</configuration>")
        (conf / "core-site.xml").write_text(f"<configuration>{properties(core or {})}</configuration>")
        (conf / "kms-acls.xml").write_text(f"<configuration>{properties(acls or {'default.key.acl.READ': '*'})}</configuration>")
        if ssl:
            (conf / "ssl-server.xml").write_text(f"<configuration>{properties(ssl)}</configuration>")
            (conf / "ssl-server.xml").chmod(ssl_mode)
        done = subprocess.run([BIN, "doctor", "--conf", str(conf), "-o", "json", *more], capture_output=True, text=True,
                              env=dict(os.environ, SVSM_KMS_URL=self.kms.url), timeout=60)
        self.assertIn(done.returncode, (OK, CONFLICT), done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, CONFLICT if report["fail"] else OK)
        lines = [c for c in report["checks"] if c["check"] == what]
        for line in lines:    # a finding without a way out helps nobody
            self.assertEqual(line["level"] != "ok", bool(line.get("remedy")), line)
        return [c["level"] for c in lines], " ".join(c["found"] for c in lines)

    def judged(self, levels, words, site, what, **more):
        seen, text = self.judge(site, what, **more)
        self.assertEqual(seen, levels.split(), text)
        self.assertIn(words, text)

    KERBEROS = {"hadoop.kms.authentication.type": "kerberos", "hadoop.kms.authentication.kerberos.principal": "*"}

    def kerberos(self, path, **more):
        return self.KERBEROS | {"hadoop.kms.authentication.kerberos.keytab": path} | more

    def test_a_configuration_that_the_server_refuses_is_a_failure(self):
        self.judged("fail", "svsm.kms.worker", {"svsm.kms.worker": "1"}, "settings")
        self.judged("ok", "", {}, "settings")
        self.judged("warn", "key ACLs are not checked", {"hadoop.kms.key.authorization.enable": "false"}, "settings")

    def test_who_can_reach_it_and_what_he_has_to_prove(self):
        self.judged("ok", "only this machine", {}, "network")
        self.judged("ok", "only this machine", {"svsm.kms.listen": "127.0.0.1:9600,[::1]:9600"}, "network")
        for listen in ("0.0.0.0:9600", "127.0.0.1:9600,192.0.2.1:9600", "127.example.org:9600"):
            self.judged("fail", listen.split(",")[-1], {"svsm.kms.listen": listen}, "network")
        self.judged("fail", "0.0.0.0", {"hadoop.kms.http.host": "0.0.0.0"}, "network")
        kt = self.file("keytab", keytab((f"HTTP/{self.host}", 18)))
        everywhere = {"hadoop.kms.http.host": "0.0.0.0"}
        self.judged("warn", "speaks http", self.kerberos(kt) | everywhere, "network")
        tls, ssl = self.certificate()
        self.judged("ok", "https", self.kerberos(kt) | everywhere | tls, "network", ssl=ssl)
        self.judged("fail", "simple authentication", everywhere | tls, "network", ssl=ssl)
        self.judged("warn", "client certificate", everywhere | tls, "network",
                    ssl=ssl | {"ssl.server.need.client.auth": "true", "ssl.server.truststore.location": str(self.dir / "cert.pem")})

    def test_the_keytab_and_who_can_read_it(self):
        good = self.file("keytab", keytab(("host/x", 18), (f"HTTP/{self.host}", 18)))
        self.judged("ok", self.host, self.kerberos(good), "keytab")
        os.chmod(good, 0o644)
        self.judged("fail ok", "everybody", self.kerberos(good), "keytab")
        os.chmod(good, 0o640)
        self.judged("warn ok", "group", self.kerberos(good), "keytab")
        self.judged("warn", "is not there", self.kerberos(str(self.dir / "none")), "keytab")
        self.judged("fail", "needs a keytab", self.kerberos(str(self.dir)), "settings")
        self.assertEqual(self.judge({}, "keytab")[0], [])
        if os.getuid() != 0:
            os.chmod(good, 0)
            self.judged("fail", "Permission denied", self.kerberos(good), "settings")

    def test_the_names_in_the_keytab(self):
        for data, levels, words in ((keytab(("host/x", 18)), "fail", "no HTTP/ name"),
                                    (keytab((f"HTTP/{self.host}", 23)), "fail", "no AES key"),
                                    (keytab(("HTTP/elsewhere.example", 18)), "warn", "this host's name"),
                                    (b"\x05\x01", "fail", "no keytab"), (keytab(("HTTP/x", 18))[:-3], "fail", "damaged"),
                                    (keytab((f"HTTP/{self.host}", 18)), "ok", self.host)):
            self.judged(levels, words, self.kerberos(self.file("keytab", data)), "keytab")
        path = self.file("keytab", keytab((f"HTTP/{self.host}", 17), ("HTTP/b", 18)))
        for wanted, levels in ((f"HTTP/{self.host}", "ok"), (f"HTTP/{self.host}@EXAMPLE.COM", "ok"), (f"HTTP/b, HTTP/{self.host}", "ok"),
                               ("HTTP/c", "fail"), ("HTTP/b,HTTP/c", "fail"), (f"HTTP/{self.host}@OTHER", "fail")):
            self.judged(levels, "", self.kerberos(path) | {"hadoop.kms.authentication.kerberos.principal": wanted}, "keytab")

    def test_the_difference_of_clocks(self):
        kt = self.file("keytab", keytab((f"HTTP/{self.host}", 18)))
        for seconds, level in (("300", "ok"), ("301", "warn"), ("86400", "warn"), ("29", "warn"), ("30", "ok")):
            self.judged(level, seconds, self.kerberos(kt) | {"svsm.kms.kerberos.skew.sec": seconds}, "skew")
        self.assertEqual(self.judge({}, "skew")[0], [])

    def certificate(self, days=300, at=None):
        """Settings and ssl-server.xml that name it; at: seconds from now at which it was made."""
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                   "/CN=localhost", "-days", str(days), "-keyout", str(self.dir / "key.pem"), "-out", str(self.dir / "cert.pem")]
        if at:
            command = ["faketime", "-f", f"{at:+d}s", *command]
        subprocess.run(command, check=True, capture_output=True)
        both = self.file("both.pem", (self.dir / "cert.pem").read_bytes() + (self.dir / "key.pem").read_bytes())
        return ({"hadoop.kms.ssl.enabled": "true"},
                {"ssl.server.keystore.location": both, "ssl.server.keystore.type": "pem", "ssl.server.keystore.password": "x"})

    def test_the_certificate_and_its_days(self):
        for days, level, words in ((300, "ok", "good for"), (31, "ok", "good for"), (29, "warn", "expires in"), (1, "warn", "expires in")):
            site, ssl = self.certificate(days)
            self.judged(level, words, site, "tls", ssl=ssl)
        self.assertEqual(self.judge({}, "tls")[0], [])

    def test_a_certificate_of_another_time(self):
        try:
            subprocess.run(["faketime", "-f", "-1s", "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("faketime is not here")
        for at, words in ((-100 * 86400, "expired"), (86400, "not valid yet")):
            site, ssl = self.certificate(30, at=at)
            self.judged("fail", words, site, "tls", ssl=ssl)

    def test_the_key_store_and_who_can_read_it(self):
        site, ssl = self.certificate()
        both = self.dir / "both.pem"
        both.chmod(0o644)
        self.judged("fail ok", "everybody", site, "tls", ssl=ssl)
        both.chmod(0o600)
        self.judged("ok fail", "ssl-server.xml has mode 644", site, "tls", ssl=ssl, ssl_mode=0o644)
        self.judged("fail", "nowhere", site, "tls", ssl=ssl | {"ssl.server.keystore.location": str(self.dir / "nowhere")})
        self.judged("fail", "there is no certificate", site, "tls", ssl={"ssl.server.keystore.type": "jks"})
        apart = site | {"svsm.kms.ssl.certificate.file": str(self.dir / "cert.pem"), "svsm.kms.ssl.key.file": str(self.dir / "key.pem")}
        (self.dir / "cert.pem").chmod(0o644)
        (self.dir / "key.pem").chmod(0o600)
        self.judged("ok", "good for", apart, "tls", ssl={"ssl.server.keystore.type": "jks"})
        (self.dir / "key.pem").chmod(0o604)
        self.judged("fail ok", "key.pem", apart, "tls", ssl={"ssl.server.keystore.type": "jks"})

    def test_the_secret_that_signs_cookies(self):
        path = self.file("secret", b"secret")
        site = {"hadoop.kms.authentication.signer.secret.provider": "file",
                "hadoop.kms.authentication.signature.secret.file": path}
        self.judged("ok", path, site, "signature")
        os.chmod(path, 0o644)
        self.judged("fail", "everybody", site, "signature")
        self.judged("ok", "the core makes", {}, "signature")

    def test_the_audit_chain(self):
        self.judged("ok", "", {}, "audit")
        self.judged("warn", "is off", {"svsm.kms.audit.chain.file": "none"}, "audit")
        self.judged("warn", "used on", {"svsm.kms.audit.on-failure": "continue"}, "audit")

    def chain(self, at):
        """A chain file that ends with an entry of that time."""
        entry = struct.pack("<QQBBBBH", 1, int(at * 1000), 6, 0, 0, 0, 0) + bytes(12)
        size = struct.pack("<I", len(entry))
        return b"SVSMAUD1" + bytes(72) + size + entry + bytes(48) + size

    def test_a_clock_behind_what_was_written(self):
        data = self.dir / "data"
        data.mkdir(mode=0o700)
        for ahead, level in ((0, "ok"), (-10 ** 6, "ok"), (3600, "fail")):
            (data / "kms-audit.chain").write_bytes(self.chain(time.time() + ahead))
            (data / "kms-audit.chain").chmod(0o600)
            self.judged(level, "", {}, "time", more=("--data", str(data)))
            self.judged(level, "", {"svsm.kms.data.dir": str(data)}, "time")
        for damaged in (b"", b"SVSMAUD1" + bytes(72), self.chain(0)[:-1], self.chain(0)[:-4] + b"\xff" * 4, bytes(200)):
            (data / "kms-audit.chain").write_bytes(damaged)
            self.assertEqual(self.judge({}, "time", more=("--data", str(data)))[0], [])

    def test_proxy_users_for_everybody_from_everywhere(self):
        def rules(**values):
            return {f"hadoop.kms.proxyuser.hive.{n}": v for n, v in values.items()}

        self.judged("warn", "hive may act for everybody", rules(hosts="*", users="*"), "proxyuser")
        self.judged("warn", "hive", rules(hosts=" * ", groups="*"), "proxyuser")
        self.judged("warn", "hive", {}, "proxyuser", core=rules(hosts="*", groups="*"))
        self.judged("ok", "1 rules", rules(hosts="10.0.0.1", users="*"), "proxyuser")
        self.judged("ok", "1 rules", rules(hosts="*", users="alice"), "proxyuser")
        self.judged("ok", "0 rules", {}, "proxyuser")


class Help(Case):
    def verbs(self):
        text = self.out("help", user=None).split("Verbs:\n")[1].split("\n\n")[0]
        return [line[2:26].strip() for line in text.splitlines()]

    def test_every_verb_has_help(self):
        for line in self.verbs():
            words = [w for w in line.split() if w.islower() and w != "bash"]
            self.assertTrue(self.out(*words, "--help", user=None).startswith("svsm-kms " + " ".join(words)))
            self.assertEqual(self.out(*words, "--help", user=None), self.out("help", *words, user=None))

    def test_an_unknown_verb_gets_a_suggestion(self):
        for words, right in ((["imprt"], "import"), (["kye", "list"], "key list"), (["key", "lst"], "key list"),
                             (["eek", "genrate", "k"], "eek generate"), (["docter"], "doctor")):
            self.assertIn(f"did you mean `{right}`", self.err(*words, user=None, code=USAGE))
        self.assertNotIn("did you mean", self.err("zzzzzzzzzzz", user=None, code=USAGE))

    def test_options_may_stand_before_the_verb_and_the_last_counts(self):
        self.out("--user", "bob", "--url", "http://127.0.0.1:1", "key", "list", "--url", self.kms.url, user=None)
        self.assertIn("user.name=bob", self.kms.requests[0][1])

    def test_the_manual_page_in_the_tree_is_the_one_printed(self):
        self.assertEqual((ROOT / "docs/man/svsm-kms.1").read_text(), self.out("help", "--man", user=None),
                         "run tools/update-client-docs")

    def test_the_completion_in_the_tree_is_the_one_printed(self):
        self.assertEqual((ROOT / "tools/completion/svsm-kms.bash").read_text(),
                         self.out("completion", "bash", user=None), "run tools/update-client-docs")

    def complete(self, *words):
        script = (f'source {ROOT}/tools/completion/svsm-kms.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _svsm_kms; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-c", script, "x", "svsm-kms", *words], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split()

    def test_completion_offers_verbs_options_and_values(self):
        self.assertIn("key", self.complete(""))
        self.assertEqual(self.complete("k"), ["key"])
        self.assertEqual(self.complete("key", "ro"), ["roll"])
        self.assertEqual(self.complete("--url", "x", "key", "ro"), ["roll"])
        self.assertEqual(self.complete("key", "create", "n", "--ma"), ["--material-file", "--material-format"])
        self.assertEqual(self.complete("key", "create", "--cipher", "S"), ["SM4/CTR/NoPadding"])
        self.assertEqual(self.complete("bench", "--op", "d"), ["decrypt"])
        self.assertEqual(self.complete("key", "list", "-o", "j"), ["json"])

    def test_version(self):
        self.assertEqual(self.json("version", user=None)["version"], (ROOT / "VERSION").read_text().strip())


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=1)
    r = program.result
    failed = len(r.failures) + len(r.errors)
    print(f"{r.testsRun - failed - len(r.skipped)} passed, {failed} failed, {len(r.skipped)} skipped", flush=True)
    sys.exit(1 if failed or r.testsRun == 0 else 0)
