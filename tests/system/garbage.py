# SPDX-License-Identifier: Apache-2.0
"""Malformed, hostile and exaggerated requests; after each the server answers and is well."""
import base64
import contextlib
import json
import os
import random
import socket
import struct
import threading
import time

from kms import Closed, Conn, SLOW, equal, expect, one_server, quote, request, sanitized, test, wait_for

AUTH = "user.name=alice"


def raw(s, data, timeout=15):
    """Sends bytes on a connection of its own; the answer, or None when it was closed without one."""
    with Conn(s.port, timeout) as c:
        try:
            c.send(data)
        except OSError:
            pass    # the server may have answered and closed meanwhile
        try:
            return c.read()
        except Closed:
            return None


@test("malformed requests get their 4xx or 5xx and a closed connection", "T-70")
def malformed():
    head = b"GET /kms/v1/keys/names?user.name=alice HTTP/1.1\r\nHost: x\r\n"
    post = b"POST /kms/v1/keys?user.name=alice HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    cases = [
        (b"\r\n\r\n\r\nGET", (400,)), (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100, (400,)),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)), (b"GET / HTTP/3.0\r\n\r\n", (400, 505)),
        (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", (400,)), (b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", (400,)),
        (b"GE\xffT / HTTP/1.1\r\nHost: x\r\n\r\n", (400,)), (b"GET / HTTP/1.1\r\n\r\n", (400,)),
        (b"GET / HTTP/1.1\nHost: x\n\n", (400,)), (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", (400,)),
        (head + b"A : b\r\n\r\n", (400,)), (head + b" folded\r\n\r\n", (400,)), (head + b"A: \x00\r\n\r\n", (400,)),
        (head + b"X: " + b"y" * 70000 + b"\r\n\r\n", (431,)), (b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\n", (414, 431)),
        (head + b"".join(b"H%d: x\r\n" % i for i in range(200)) + b"\r\n", (431,)),
        (post + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}   ", (400,)),
        (post + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400,)),
        (post + b"Content-Length: -1\r\n\r\n", (400,)), (post + b"Content-Length: +2\r\n\r\n{}", (400,)),
        (post + b"Content-Length: 0x2\r\n\r\n{}", (400,)), (post + b"Content-Length: 2, 2\r\n\r\n{}", (400,)),
        (post + b"Content-Length: 99999999999999999999999\r\n\r\n", (400, 413)),
        (post + b"Content-Length: 18446744073709551617\r\n\r\n", (400, 413)),
        (post + b"Content-Length: 16777217\r\n\r\n", (413,)),
        (post + b"Transfer-Encoding: gzip, chunked\r\n\r\n", (400, 501)), (post + b"Transfer-Encoding: identity\r\n\r\n{}", (400, 501)),
        (post + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", (400, 501)),
        (post + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400, 501)),
        (post + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", (400, 501)),
        (post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", (400,)), (post + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", (400,)),
        (post + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n", (400,)),
        (post + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", (400, 413)),
        (post + b"Transfer-Encoding: chunked\r\n\r\n1000001\r\n", (413,)),
        (post + b"Transfer-Encoding: chunked\r\n\r\n2;x=\x00\r\n{}\r\n0\r\n\r\n", (400,)),
        (post + b"Transfer-Encoding: chunked\r\n\r\n2" + b";x" * 40000 + b"\r\n", (400, 413, 431)),
        (post + b"Expect: something\r\nContent-Length: 2\r\n\r\n{}", (417,)),
    ]
    with one_server() as s:
        for data, statuses in cases:
            with s.conn(15) as c:
                try:
                    c.send(data)
                except OSError:
                    pass
                try:
                    r = c.read()
                except Closed:
                    raise AssertionError(f"closed without an answer: {data[:120]!r}") from None
                expect(r.status in statuses, f"{data[:120]!r}: {r}")
                equal(r.header("Connection"), "close", f"{data[:120]!r}")
                expect(c.ended(), f"not closed: {data[:120]!r}")
        s.healthy()


@test("unusual but well-formed requests are served", "T-70")
def unusual():
    with one_server() as s:
        post = "POST /kms/v1/keys?user.name=alice HTTP/1.1\r\nHost: x\r\nContent-Type: application/json;charset=UTF-8\r\n"
        for i, body in enumerate((b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\nE\r\n\"name\":\"c0\"} \n\r\n0\r\n\r\n",
                                  b"transfer-encoding: CHUNKED\r\n\r\n0000D;a=b\r\n{\"name\":\"c1\"}\r\n0\r\nX-Trailer: x\r\n\r\n",
                                  b"Expect: 100-continue\r\nContent-Length: 13\r\n\r\n{\"name\":\"c2\"}")):
            r = raw(s, post.encode() + body)
            equal(r and r.status, 201, f"{i}: {r}")
        r = raw(s, b"GET http://kms.test/kms/v1/keys/names?user.name=alice HTTP/1.1\r\nHost: kms.test\r\n\r\n")
        equal((r.status, sorted(r.json())), (200, ["c0", "c1", "c2"]))
        r = raw(s, b"GET /kms/v1/keys/names?user.name=alice HTTP/1.0\r\n\r\n")
        equal(r.status, 200)
        for method in ("PATCH", "TRACE", "CONNECT", "M-SEARCH", "PROPFIND", "get"):
            r = raw(s, f"{method} /kms/v1/keys/names?user.name=alice HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            expect(r.status in (400, 404, 405, 501), f"{method}: {r}")
        # no length, no encoding, no type: an empty body, as the Java client sends it
        with s.conn() as c:
            c.send(b"POST /kms/v1/key/c0/_invalidatecache?user.name=alice HTTP/1.1\r\nHost: x\r\n\r\n")
            equal(c.read().status, 200)
            c.send(b"DELETE /kms/v1/key/c0?user.name=alice HTTP/1.1\r\nHost: x\r\n\r\n")
            equal(c.read().status, 200)


@test("every byte of a request may come alone", "T-70")
def byte_by_byte():
    with one_server() as s:
        with s.conn() as c:
            for i in range(3):
                for b in request("POST", f"/kms/v1/keys?{AUTH}", {"name": f"slow{i}"}):
                    c.send(bytes([b]))
                equal(c.read().status, 201)


@test("slow senders are told 408 and cut off; others are served meanwhile", "T-71")
def slowloris():
    limits = {"svsm.kms.timeout.header.ms": "700", "svsm.kms.timeout.body.ms": "700", "hadoop.http.idle_timeout.ms": "900"}
    with one_server(site=limits) as s:
        slow = []
        for i in range(60):
            c = s.conn()
            c.send((b"GET /kms/v1/keys/names HTTP/1.1\r\nHost: x\r\nX: ", b"POST /kms/v1/keys HTTP/1.1\r\nHost: x\r\n"
                    b"Content-Length: 100\r\n\r\n{", b"POST /kms/v1/keys HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"5\r\n{", b"")[i % 4])
            slow.append(c)
        end = time.monotonic() + 20 * SLOW
        alive = list(range(60))
        while alive and time.monotonic() < end:
            equal(s.call("GET", "/keys/names").status, 200)
            for i in list(alive):
                c = slow[i]
                if i % 4 != 3:
                    with contextlib.suppress(OSError):    # what it was told may still be there to read
                        c.send(b"a")
                try:
                    c.sock.settimeout(0.001)
                    c._more()
                except socket.timeout:
                    continue
                except (OSError, Closed):
                    alive.remove(i)
            time.sleep(0.05)
        expect(not alive, f"{len(alive)} slow connections live on")
        told = 0
        for i, c in enumerate(slow):
            if i % 4 != 3:    # a byte too many of a chunk is malformed before it is late
                told += c.buf.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 ") if i % 4 == 2 else b"HTTP/1.1 408 ")
            c.close()
        expect(told >= 40, f"only {told} of 45 were told 408")


@test("a client that does not read its answers is cut off and costs bounded memory", "T-71")
def slow_reader():
    with one_server(site={"svsm.kms.timeout.write.ms": "700"}) as s:
        s.create("k")
        before = s.rss()
        conns = []
        for _ in range(20):
            c = s.conn(3)
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one = request("GET", f"/kms/v1/key/k/_eek?eek_op=generate&num_keys=2000&{AUTH}")
            try:
                c.send(one * 200)
            except (OSError, socket.timeout):
                pass
            conns.append(c)
        time.sleep(0.3)
        equal(s.call("GET", "/keys/names").status, 200)
        expect(s.rss() - before < (600 if sanitized() else 200) << 20, f"{(s.rss() - before) >> 20} MiB more")
        wait_for(lambda: prom(s, "svsm_kms_connections") <= 3, "they are still connected")
        for c in conns:
            c.close()


def prom(s, name):
    for line in s.call("GET", "/metrics", user=None).body.decode().split("\n"):
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise AssertionError(name + " is not in /metrics")


@test("fifty pipelined requests of every kind are answered in order, changes included", "T-72")
def pipelined():
    with one_server() as s:
        s.create("seed")
        eek = s.call("GET", "/key/seed/_eek?eek_op=generate").json()[0]
        dec = {"name": "seed", "iv": eek["iv"], "material": eek["encryptedKeyVersion"]["material"]}
        rnd = random.Random(7)
        for round_ in range(6):
            wanted, data, version, there = [], b"", 0, False
            name = f"p{round_}"
            for i in range(50):
                what = rnd.choice(("create", "roll", "meta", "decrypt", "names", "delete", "bad", "metadata"))
                if what == "create":
                    data += request("POST", f"/kms/v1/keys?{AUTH}", {"name": name})
                    wanted.append((500, None) if there else (201, lambda r: r.json()["versionName"] == f"{name}@0"))
                    if not there:
                        there, version = True, 0
                elif what == "roll":
                    data += request("POST", f"/kms/v1/key/{name}?{AUTH}", {})
                    if there:
                        version += 1
                    wanted.append((200, lambda r, v=version: r.json()["versionName"] == f"{name}@{v}") if there
                                  else (500, None))
                elif what == "delete":
                    data += request("DELETE", f"/kms/v1/key/{name}?{AUTH}")
                    wanted.append((200, lambda r: r.body == b"") if there else (500, None))
                    there = False
                elif what in ("meta", "metadata"):
                    data += request("GET", f"/kms/v1/key/{name}?{AUTH}")
                    wanted.append((200, lambda r, t=there, v=version: r.json().get("versions") == (v + 1 if t else None)))
                elif what == "decrypt":
                    data += request("POST", f"/kms/v1/keyversion/seed%400/_eek?eek_op=decrypt&{AUTH}", dec)
                    wanted.append((200, lambda r: r.json()["versionName"] == "EK"))
                elif what == "names":
                    data += request("GET", f"/kms/v1/keys/names?{AUTH}")
                    wanted.append((200, lambda r, t=there: (name in r.json()) == t))
                else:
                    data += request("POST", f"/kms/v1/keys?{AUTH}", b"{")
                    wanted.append((400, None))
            with s.conn() as c:
                c.send(data)
                for i, (status, check) in enumerate(wanted):
                    r = c.read()
                    equal(r.status, status, f"answer {i}: {r}")
                    expect(check is None or check(r), f"answer {i} is for another request: {r}")


@test("a half-closed connection still gets its answers", "T-72")
def half_closed():
    with one_server() as s:
        for n in (1, 5):
            with s.conn() as c:
                c.send(b"".join(request("POST", f"/kms/v1/keys?{AUTH}", {"name": f"h{n}-{i}"}) for i in range(n)))
                c.sock.shutdown(socket.SHUT_WR)
                for i in range(n):
                    equal(c.read().status, 201)
                expect(c.ended(), "not closed")


@test("a client that is gone before its answer leaves a whole key or none, and nothing hanging", "T-73")
def gone():
    with one_server() as s:
        for i in range(300):
            c = s.conn()
            c.send(request("POST", f"/kms/v1/keys?{AUTH}", {"name": f"gone{i}"}))
            if i % 3 == 0:
                c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))    # a reset
            c.close()
        wait_for(lambda: s.health()["pending"] == 0)
        wait_for(lambda: prom(s, "svsm_kms_connections") <= 1)
        names = s.names()
        for name in names[::10]:
            equal(len(s.versions(name)), 1)
        for i in range(300):    # no name is locked by a change that nobody waits for
            name = f"gone{i}"
            equal(s.call("DELETE", f"/key/{name}").status, 200 if name in names else 500)


@test("a thousand idle connections cost little and nobody else", "T-74")
def thousand_idle():
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 3000:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    with one_server() as s:
        before = s.rss()
        conns = [s.conn() for _ in range(1000)]
        for c in conns[::10]:
            equal(c.request("GET", f"/kms/v1/keys/names?{AUTH}").status, 200)
        expect(s.rss() - before < 32 << 20, f"{(s.rss() - before) >> 20} MiB for a thousand connections")
        s.healthy()
        for c in conns:
            c.close()


@test("connections beyond the limit are told 503, and there is room again when others leave", "T-74")
def too_many():
    with one_server(site={"svsm.kms.connections.max": "20"}) as s:
        conns = [s.conn() for _ in range(20)]
        for c in conns:
            c.request("OPTIONS", f"/kms/v1/?{AUTH}")
        for _ in range(5):
            with s.conn() as c:
                equal(c.read().status, 503)
        for c in conns:
            c.close()
        wait_for(lambda: s.call("GET", "/keys/names").status == 200)


@test("bodies over the limit are refused before they are read, chunked or not", "T-75")
def big_bodies():
    with one_server(site={"svsm.kms.body.max": "65536"}) as s:
        for n, status in ((65536, 400), (65537, 413)):
            r = s.call("POST", "/keys", b" " * n)
            equal(r.status, status, f"{n} bytes")
        with s.conn() as c:
            c.send(b"POST /kms/v1/keys HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            try:
                for _ in range(100):
                    c.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            except OSError:
                pass
            equal(c.read().status, 413)
        s.healthy()
    with one_server() as s:
        before = s.rss()
        big = b'{"name":"big","description":"' + b"d" * (15 << 20) + b'"}'
        for _ in range(4):
            equal(s.call("POST", "/keys", big).status, 400)
        expect(s.rss() - before < (500 if sanitized() else 150) << 20, f"{(s.rss() - before) >> 20} MiB kept")


@test("JSON bombs cost a bounded amount of memory and time", "T-76")
def json_bombs():
    with one_server() as s:
        base = s.rss()
        peak = [0]
        stop = threading.Event()

        def watch():
            while not stop.is_set():
                peak[0] = max(peak[0], s.rss())
                time.sleep(0.005)

        t = threading.Thread(target=watch)
        t.start()
        try:
            n = 15 << 20
            objects = b"[" + b",".join([b"{" + b",".join(b'"%d":1' % i for i in range(1500)) + b"}"] * 900) + b"]"
            for body in (b"[" * 100000, b'{"a":' * 100000, b"[" + b"1," * (n // 2) + b"1]", b"[" + b"[]," * (n // 3) + b"[]]",
                         b"[" + b"{}," * (n // 3) + b"{}]", b'{"attributes":{' + b",".join(b'"%d":""' % i for i in range(900000)) + b"}}",
                         b'"' + b"\\u0041" * (n // 6) + b'"', b" " * n, b"1" * n, objects[:n - 1] + b"]",
                         b'{"name":"x","attributes":{' + b",".join(b'"%d":"v"' % i for i in range(1999)) + b"}}"):
                for path in ("/keys", "/key/k/_reencryptbatch"):
                    for user in ("alice", None):
                        began = time.process_time()
                        r = s.call("POST", path, body, user=user, timeout=60)
                        expect(r.status in (400, 401, 413), f"{body[:40]!r}: {r!r:.300}")
                        expect(time.process_time() - began < 60, "")
        finally:
            stop.set()
            t.join()
        expect(peak[0] - base < (900 if sanitized() else 300) << 20, f"{(peak[0] - base) >> 20} MiB more at the worst")
        s.healthy()


@test("JSON that two readers could understand differently is refused", "T-77")
def json_oddities():
    with one_server() as s:
        for body in (b'{"name":"a","name":"b"}', b'{"name":"a","n\\u0061me":"b"}', b'{"name":"a"}{"name":"b"}', b'{"name":"a"} x',
                     b'{"name":"a\\u0000b"}', b'{"name":"a\x00b"}', b'{"name":"a"}\x00',
                     b'{"name":"\xff"}', b'{"name":"\xc0\xaf"}', b'{"name":"\xed\xa0\x80"}', b'{"name":"\\ud800"}',
                     b'{"name":"\\udc00x"}', b'{"name":"a\nb"}', b"{'name':'a'}", b'{name:"a"}', b'{"name":"a",}', b'[{"name":"a"}',
                     b'{"name":"a","length":012}', b'{"name":"a","length":1e400}', b'{"name":"a","length":1e300}',
                     b'{"name":"a","length":-1e300}', b'{"name":"a","length":128.5}', b'{"name":"a","length":4294967424}',
                     b'{"name":"a","length":"128"}', b'{"name":"a","length":NaN}', b'{"name":"a","length":true}',
                     b'{"name":["a"]}', b'{"name":{}}', b'{"name":1}', b'{"name":"a","material":1}', b'{"name":"a","attributes":[]}',
                     b'{"name":"a","attributes":{"x":1}}', b'{"name":"a","attributes":{"x":"1","x":"2"}}', b"null", b'"name"', b"[]",
                     b"", b"   ", b"{", b'{"name":"a"', b"/**/{}", b"{}{}", b'{"name":"a","description":{}}', b"\x80", b"\x00",
                     b'{"name":"a","cipher":[]}'):
            r = s.call("POST", "/keys", body)
            expect(r.status in (400, 500) and r.status == 400, f"{body!r}: {r}")
            expect(r.error()[0], f"{body!r}: {r}")
        equal(s.names(), [])
        equal(s.call("POST", "/keys", {"name": "a"}, headers={"Content-Type": "text/plain"}).status, 415)
        for type_ in ("application/json", "application/json;charset=utf-8", "APPLICATION/JSON ; x=y"):
            equal(s.call("POST", "/keys", {"name": type_.lower()}, headers={"Content-Type": type_}).status, 201)


ODD = [" ", "  ", "a b", "a/b", "a//b", "/", "//", ".", "..", "../../etc/passwd", "a@b", "@", "@0", "a@0", "a@0@1", "a%b", "%", "%2f",
       "%00x", "a+b", "a&b=c", "a?b", "a#b", "a;b=c", ";", "a\\b", 'a"b', "a'b", "`id`", "$(id)", "a|b", "<a>", "{}", "[]", "\n", "\r\n",
       "\t", "\x01", "\x7f", "_metadata", "k/_metadata", "_eek", "a/_eek/", "é", "ß", "日本語", "\U0001f511", "\u202e", "\ufeff", "a\u0301",
       "\u00a0", "null", "true", "0", "-1", "key %^[\n{]}\\|\"<>\\", "x" * 1024, "é" * 512, "a" * 1020 + "@999"]


@test("names with every odd character work from create to delete, and come back after a restart", "T-78")
def odd_names():
    from kms import Server
    with Server() as s:
        materials = {}
        for name in ODD:
            r = s.call("POST", "/keys", {"name": name, "description": name[:4000], "attributes": {name[:1000]: name}})
            equal(r.status, 201, f"{name!r}: {r}")
            equal(r.json()["name"], name)
            materials[name] = r.json()["material"]
            expect(r.header("Location").startswith("http://kms.test/kms/v1/key/"), r.headers)
        for again in range(2):
            for name in ODD:
                meta = s.call("GET", f"/key/{quote(name)}/_metadata")
                equal((meta.status, meta.json().get("name")), (200, name), f"{name!r}")
                equal(meta.json()["attributes"][name[:1000]], name)
                r = s.call("GET", f"/keyversion/{quote(name + '@0')}")
                equal(r.json().get("material"), materials[name], f"{name!r}")
                eek = s.call("GET", f"/key/{quote(name)}/_eek?eek_op=generate").json()[0]
                equal(eek["versionName"], name + "@0")
                r = s.call("POST", f"/keyversion/{quote(name + '@0')}/_eek?eek_op=decrypt",
                           {"name": name, "iv": eek["iv"], "material": eek["encryptedKeyVersion"]["material"]})
                equal(r.status, 200, f"{name!r}: {r}")
            r = s.call("GET", "/keys/metadata?" + "&".join("key=" + quote(n) for n in ODD if len(n) < 100))
            equal([m["name"] for m in r.json()], [n for n in ODD if len(n) < 100])
            equal(sorted(s.names()), sorted(n for n in ODD if "@" not in n))
            equal(s.stop(), 0)
            s.start()
        for name in ODD:
            r = s.call("POST", f"/key/{quote(name)}", {})
            equal((r.status, r.json().get("versionName")), (200, name + "@1"), f"{name!r}")
            equal(s.call("DELETE", f"/key/{quote(name)}").status, 200)
        equal(s.keys - len(ODD), 0)
        equal(s.health()["keys"], 0)
        equal(s.stop(), 0)


@test("names that are none are refused: empty, too long, NUL, upper case, bad codes", "T-78")
def bad_names():
    with one_server() as s:
        for name, status in (("", 400), ("x" * 1025, 400), ("é" * 513, 400), ("x" * 100000, 400), ("A", 400), ("É", 400), ("aBc", 400),
                             (None, 400)):
            r = s.call("POST", "/keys", {"name": name})
            equal(r.status, status, f"{name!r:.40}: {r}")
        for path in ("/key/", "/key//_metadata", "/key/" + "x" * 1025, "/key/" + "x" * 20000, "/key/%00", "/key/a%00b", "/key/%",
                     "/key/%4", "/key/%zz/_metadata", "/keyversion/", "/keyversion/" + "x" * 1100):
            for method in ("GET", "DELETE") if "version" not in path else ("GET",):
                if path.endswith("_metadata") and method == "DELETE":
                    continue
                r = s.call(method, path)
                expect(r.status in (400, 404, 405), f"{method} {path[:60]}: {r}")
        for q in ("key=" + "x" * 1025, "key=" + "x" * 5000, "key=%zz", "key=a&key=%00", "key=ok&key=" + "y" * 3000):
            r = s.call("GET", "/keys/metadata?" + q)
            equal(r.status, 400, f"{q[:50]}: {r}")
        equal(s.call("GET", "/keys/metadata").json(), [])
        equal(s.call("GET", "/keys/metadata?key=&key=nosuch").json(), [{}, {}])
        equal(s.call("GET", "/key/%ff%fe/_metadata").json(), {})


@test("more keys than allowed are refused, as many as allowed are given", "T-79")
def num_keys():
    with one_server() as s:
        s.create("k", length=256)
        for n, status in ((0, 200), (-5, 200), (1, 200), (150, 200), (10000, 200), (10001, 400), (2 ** 31 - 1, 400), (2 ** 31, 400),
                          (2 ** 63, 400), ("1x", 400), ("", 200), ("%20", 200), ("0x10", 400), ("1.5", 400), ("%00", 400),
                          ("9" * 100, 400), ("+5", 400), ("%2B5", 200), ("٣", 400)):
            r = s.call("GET", f"/key/k/_eek?eek_op=generate&num_keys={quote(n) if n == '٣' else n}")
            expect(r.status == status, f"{n}: {r!r:.300}")
            if status == 200:
                count = 1 if n in ("", "%20") else 5 if n == "%2B5" else max(0, n)
                equal(len(r.json()), count, f"{n}")
        ivs = [e["iv"] for e in s.call("GET", "/key/k/_eek?eek_op=generate&num_keys=10000").json()]
        equal(len(set(ivs)), 10000, "an IV twice")


@test("a batch of ten thousand is re-encrypted in order, one more is refused", "T-79")
def batches():
    with one_server() as s:
        s.create("k", length=256)
        eeks = s.call("GET", "/key/k/_eek?eek_op=generate&num_keys=10000").json()
        s.call("POST", "/key/k", {})
        r = s.call("POST", "/key/k/_reencryptbatch", json.dumps(eeks).encode())
        equal(r.status, 200, f"{r!r:.300}")
        back = r.json()
        equal(len(back), 10000)
        for a, b in zip(eeks, back):
            equal((b["iv"], b["versionName"]), (a["iv"], "k@1"))
        for i in (0, 1, 4999, 9999):
            plain = [s.call("POST", f"/keyversion/{quote(e['versionName'])}/_eek?eek_op=decrypt",
                            {"name": "k", "iv": e["iv"], "material": e["encryptedKeyVersion"]["material"]}).json()["material"]
                     for e in (eeks[i], back[i])]
            equal(plain[0], plain[1], f"entry {i}")
        r = s.call("POST", "/key/k/_reencryptbatch", json.dumps(eeks + eeks[:1]).encode())
        equal(r.status, 400, f"{r!r:.300}")
        expect("10001" in r.error()[1] and "10000" in r.error()[1], r.error())
        equal(s.call("POST", "/key/k/_reencryptbatch", []).json(), [])
        for bad in ([{}], [1], [None], [[]], [dict(eeks[0], versionName="other@0")], [dict(eeks[0], versionName="k@9")],
                    [dict(eeks[0], iv="AAAA")], [dict(eeks[0], iv=None)], [dict(eeks[0], encryptedKeyVersion={})],
                    [dict(eeks[0], encryptedKeyVersion={"versionName": "EK", "material": "AA"})], eeks[:50] + [{}]):
            r = s.call("POST", "/key/k/_reencryptbatch", bad)
            expect(r.status in (400, 500) and r.error()[0], f"{bad!r:.100}: {r!r:.300}")


@test("encrypted keys of every length come back; what is too long is refused", "T-79")
def eek_lengths():
    with one_server() as s:
        s.create("k")
        iv = base64.b64encode(b"i" * 16).decode()
        for n in (0, 1, 15, 16, 17, 32, 33, 255, 1000, 4090):
            body = {"name": "k", "iv": iv, "material": base64.b64encode(bytes(n)).decode()}
            r = s.call("POST", "/keyversion/k%400/_eek?eek_op=decrypt", body)
            equal(r.status, 200, f"{n}: {r!r:.200}")
            equal(len(base64.urlsafe_b64decode(r.json()["material"] + "==")), n)
        for n in (4097, 5000, 100000):
            body = {"name": "k", "iv": iv, "material": base64.b64encode(bytes(n)).decode()}
            equal(s.call("POST", "/keyversion/k%400/_eek?eek_op=decrypt", body).status, 400, str(n))
        for bad_iv in ("", "AA", base64.b64encode(b"i" * 15).decode(), base64.b64encode(b"i" * 17).decode(), "A" * 9000):
            r = s.call("POST", "/keyversion/k%400/_eek?eek_op=decrypt", {"name": "k", "iv": bad_iv, "material": iv})
            expect(r.status in (400, 500) and r.error()[0], f"{bad_iv[:20]}: {r}")


@test("a key has up to 4096 versions, all of them readable, before and after a restart", "T-80")
def many_versions():
    from kms import Server
    with Server() as s:
        first = s.create("k", length=256)["material"]
        with s.conn() as c:
            one = request("POST", f"/kms/v1/key/k?{AUTH}", {})
            materials, left = [first], 4095
            while left:
                n = min(left, 200)
                c.send(one * n)
                for _ in range(n):
                    r = c.read()
                    equal(r.status, 200, repr(r))
                    materials.append(r.json()["material"])
                left -= n
            r = c.request("POST", f"/kms/v1/key/k?{AUTH}", {})
            equal(r.status, 503)
            expect("number of versions" in r.error()[1], r.error())
        for _ in range(2):
            versions = s.versions("k")
            equal([v["material"] for v in versions], materials)
            equal([v["versionName"] for v in versions], [f"k@{i}" for i in range(4096)])
            equal(s.call("GET", "/keyversion/k%402048").json()["material"], materials[2048])
            equal(s.stop(), 0)
            s.start()
        equal(s.call("DELETE", "/key/k").status, 200)
        s.healthy()
        equal(s.stop(), 0)


@test("attributes and descriptions up to their limits are kept, beyond they are refused", "T-80")
def large_metadata():
    from kms import Server
    with Server() as s:
        ok = {f"a{i}": "v" * 100 for i in range(140)}
        r = s.call("POST", "/keys", {"name": "k", "attributes": ok, "description": "d" * 4096})
        equal(r.status, 201, repr(r))
        for more in ({"description": "d" * 4097}, {"cipher": "c" * 129}, {"attributes": {"a": "v" * 17000}},
                     {"attributes": {f"a{i}": "v" * 100 for i in range(200)}}, {"attributes": {"a" * 70000: ""}},
                     {"attributes": {"a": "v" * 70000}}, {"material": "A" * 100}, {"material": "A" * 10000}):
            r = s.call("POST", "/keys", {"name": "x", **more})
            expect(r.status in (400, 500) and r.error()[1], f"{str(more)[:50]}: {r!r:.300}")
        equal(s.names(), ["k"])
        equal(s.stop(), 0)
        s.start()
        meta = s.call("GET", "/key/k").json()
        equal(meta["description"], "d" * 4096)
        for name, value in ok.items():
            equal(meta["attributes"][name], value)
        many = s.call("GET", "/keys/metadata?" + "&".join(["key=k"] * 1200))
        expect(many.status in (200, 400, 413, 500), f"{many!r:.200}")
        if many.status == 200:
            equal(len(many.json()), 1200)
        else:
            expect(many.error()[1] and "error 2" not in many.error()[1], many.error())
        s.healthy()
        equal(s.stop(), 0)


@test("random bytes and mutilated requests never harm the server", "T-70")
def random_bytes():
    rnd = random.Random(int(os.environ.get("SVSM_TEST_SEED", "1")))
    seeds = [request("POST", f"/kms/v1/keys?{AUTH}", {"name": "r", "length": 128, "attributes": {"a": "b"}}),
             request("GET", f"/kms/v1/key/r/_eek?eek_op=generate&num_keys=3&{AUTH}"),
             request("POST", f"/kms/v1/keyversion/r%400/_eek?eek_op=decrypt&{AUTH}", {"name": "r", "iv": "A" * 22, "material": "AAAA"}),
             request("POST", f"/kms/v1/key/r/_reencryptbatch?{AUTH}", [{"versionName": "r@0", "iv": "A" * 22, "encryptedKeyVersion":
                                                                       {"versionName": "EEK", "material": "AAAA"}}]),
             request("GET", "/kms/v1/keys/names", None, {"Cookie": 'hadoop.auth="u=a&p=a&t=simple-dt&e=99&s=AAAA"'}),
             b"POST /kms/v1/keys HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n"]
    with one_server() as s:
        for i in range(1500):
            data = bytearray(rnd.choice(seeds))
            for _ in range(rnd.randrange(1, 6)):
                how, at = rnd.randrange(4), rnd.randrange(len(data))
                if how == 0:
                    data[at] = rnd.randrange(256)
                elif how == 1:
                    del data[at:at + rnd.randrange(1, 20)]
                elif how == 2:
                    data[at:at] = rnd.choice((b"\r\n", b"\0", b"%", b"%00", b"&", b"{", b'"', b"\xff", b"0", b":", b";", b"/", b"@"))
                else:
                    other = rnd.choice(seeds)
                    data[at:at + 5] = other[rnd.randrange(len(other)):][:10]
                if not data:
                    data = bytearray(b"x")
            with s.conn(10) as c:
                try:
                    c.send(bytes(data))
                    c.sock.shutdown(socket.SHUT_WR)
                    while True:
                        c.read()
                except (Closed, OSError):
                    pass
        s.healthy()


@test("a trusted program without memory refuses changes with a remedy; acknowledged ones are there", "T-81")
def no_memory():
    import shutil
    import subprocess
    from kms import Server, Skip
    if not shutil.which("prlimit") or sanitized():
        raise Skip("no prlimit, or a sanitizer that wants memory of its own")
    with Server() as s:
        for i in range(50):
            s.create(f"before{i}")
        pid = s.service()
        with open(f"/proc/{pid}/statm") as f:
            size = int(f.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        subprocess.run(["prlimit", f"--pid={pid}", f"--as={size + 300000}", f"--data={1 << 40}"], check=True)
        acked, told = {f"before{i}" for i in range(50)}, []
        for i in range(2500):       # what it has taken already has to be used up, some tens of MB
            r = s.call("POST", "/keys", {"name": f"k{i}", "description": "d" * 4000, "attributes": {"a": "b" * 16000}})
            if r.status == 201:
                acked.add(f"k{i}")
            else:
                equal(r.status, 503, repr(r))
                told.append(r.error()[1])
                if len(told) > 20 or "is back" in s.log():
                    break
        expect(told, "memory did not run out")
        wait_for(lambda: s.call("GET", "/keys/names").status == 200, s.log)
        names = set(s.names())
        expect(acked <= names, f"{sorted(acked - names)[:5]} were acknowledged and are gone")
        equal(len(names - acked) <= len(told), True)
        expect(all(t for t in told), told)
        equal(s.stop(), 0, s.log())


@test("with few descriptors there are fewer connections, and the trusted program can still be started again", "T-74", "T-30")
def few_descriptors():
    import shutil
    import signal
    from kms import Skip
    if not shutil.which("prlimit"):
        raise Skip("no prlimit")
    with one_server(wrap=["prlimit", "--nofile=200:200"]) as s:
        s.create("k")
        conns = []
        for _ in range(400):
            try:
                conns.append(s.conn(5))
            except OSError:
                break
        with open(f"/proc/{s.process.pid}/limits") as f:
            expect(any("open files" in line and " 200 " in line for line in f), "the limit is another")
        wait_for(lambda: len(os.listdir(f"/proc/{s.process.pid}/fd")) > 60)
        time.sleep(0.3)
        expect(len(os.listdir(f"/proc/{s.process.pid}/fd")) < 190, "no descriptors left")
        os.kill(s.service(), signal.SIGKILL)
        wait_for(lambda: "is back" in s.log(), s.log)
        for c in conns:
            c.close()
        wait_for(lambda: s.call("GET", "/keys/names").status == 200)


@test("many of the largest batches at once are all answered, in bounded memory", "T-79", "T-76")
def large_batches():
    with one_server() as s:
        s.create("k", length=256)
        eeks = s.call("GET", "/key/k/_eek?eek_op=generate&num_keys=10000").json()
        s.call("POST", "/key/k", {})
        body = request("POST", f"/kms/v1/key/k/_reencryptbatch?{AUTH}", eeks)
        want = [e["iv"] for e in eeks]
        before, wrong = s.rss(), []

        def batch(_):
            with s.conn(120) as c:
                for _ in range(2):
                    c.send(body)
                    r = c.read()
                    if r.status != 200 or [e["iv"] for e in r.json()] != want:
                        wrong.append(repr(r)[:200])

        from concurrency import together
        together(24, batch)
        equal(wrong, [])
        expect(s.rss() - before < (1500 if sanitized() else 600) << 20, f"{(s.rss() - before) >> 20} MiB more")


@test("tens of thousands of requests of every kind leave memory where it was", "T-74", "T-81")
def no_growth():
    with one_server(site={"hadoop.kms.audit.aggregation.window.ms": "100"}) as s:
        s.create("k")
        eek = s.call("GET", "/key/k/_eek?eek_op=generate").json()[0]
        dec = {"name": "k", "iv": eek["iv"], "material": eek["encryptedKeyVersion"]["material"]}
        mix = [request("POST", f"/kms/v1/keyversion/k%400/_eek?eek_op=decrypt&{AUTH}", dec),
               request("POST", f"/kms/v1/keys?{AUTH}", {"name": "t", "description": "d" * 3000, "attributes": {"a": "b"}}),
               request("POST", f"/kms/v1/key/t?{AUTH}", {}), request("GET", f"/kms/v1/key/t/_versions?{AUTH}"),
               request("DELETE", f"/kms/v1/key/t?{AUTH}"), request("GET", f"/kms/v1/keys/names?{AUTH}"),
               request("GET", f"/kms/v1/key/k/_eek?eek_op=generate&num_keys=150&{AUTH}"),
               request("POST", f"/kms/v1/keys?{AUTH}", b"{"), request("GET", "/kms/v1/keys/names"),
               request("GET", f"/kms/v1/key/k?{AUTH}", None, {"Cookie": "hadoop.auth=u=x&s=y"}),
               request("GET", f"/jmx?{AUTH}"), request("GET", "/metrics"), request("GET", f"/nosuch?{AUTH}"),
               request("OPTIONS", f"/kms/v1/?{AUTH}&doAs=x")]

        def core():
            with open(f"/proc/{s.service()}/statm") as f:
                return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

        def rounds(n):
            with s.conn(120) as c:
                for _ in range(n):
                    c.send(b"".join(mix))
                    for _ in mix:
                        c.read()

        rounds(300)
        before = s.rss(), core()
        for i in range(4):    # new connections and new users, too
            rounds(400)
        for i in range(2000):
            s.call("GET", f"/key/k{i}", user=f"user{i}")
        grown = s.rss() - before[0], core() - before[1]
        limit = (200 if sanitized() else 6) << 20
        expect(grown[0] < limit and grown[1] < limit, f"the proxy grew by {grown[0] >> 10} KiB, the core by {grown[1] >> 10} KiB")
