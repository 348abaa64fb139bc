# SPDX-License-Identifier: Apache-2.0
"""Clients that misbehave below and above TLS. None of it may hurt the others; nothing asserts on time."""
import os
import random
import resource
import socket
import ssl
import struct
import threading

import kms
from kms import Closed, Conn, expect, equal, request, test, wait_for
from tls import authority, metric, one_server, pem_site, server


def client_hello():
    """What a client of this machine says first."""
    context = authority().context()
    out = ssl.MemoryBIO()
    talk = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    try:
        talk.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def finished(s):
    """Handshakes that ended in some way."""
    return metric(s, "svsm_kms_tls_failed_total")


@test("a handshake that ends at any byte costs nobody anything", "T-85")
def truncated():
    hello = client_hello()
    with one_server(site=pem_site(svsm_kms_workers="1")) as s:
        for end in [*range(0, 48), *range(48, len(hello), 37), len(hello)]:
            for abrupt in (False, True):
                with Conn(s.port) as c:
                    c.send(hello[:end])
                    if abrupt:
                        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.healthy()


@test("garbage in place of a handshake, and inside one, ends that connection only", "T-85")
def garbage():
    hello, dice = client_hello(), random.Random(7)
    with one_server() as s:
        for i in range(200):
            data = bytearray(hello)
            if i % 2:
                data = bytearray(dice.randbytes(dice.randrange(1, 400)))
            else:
                for _ in range(dice.randrange(1, 6)):
                    data[dice.randrange(len(data))] = dice.randrange(256)
            with Conn(s.port) as c:
                try:
                    c.send(bytes(data))
                    c.sock.shutdown(socket.SHUT_WR)
                    c.ended()
                except OSError:
                    pass
        s.healthy()


@test("garbage behind a complete handshake ends that connection only", "T-85")
def garbage_later():
    with one_server() as s:
        for data in (b"\x00" * 50, b"\x17\x03\x03\x40\x00" + b"x" * 16384, b"\x17\x03\x03\xff\xff" + b"x" * 70000,
                     b"\x15\x03\x03\x00\x02\x02\x00", b"GET / HTTP/1.1\r\n\r\n"):
            sock = socket.create_connection(("127.0.0.1", s.port))
            raw = os.dup(sock.fileno())
            with authority().context().wrap_socket(sock, server_hostname="localhost"):
                with socket.socket(fileno=raw) as below:
                    try:
                        below.sendall(data)
                        below.shutdown(socket.SHUT_WR)
                        below.settimeout(30 * kms.SLOW)
                        while below.recv(65536):
                            pass
                    except OSError:
                        pass
        s.healthy()


@test("handshakes that come byte by byte, or stop, are given up; a single worker serves others meanwhile", "T-85")
def slow():
    hello = client_hello()
    with one_server(site=pem_site(svsm_kms_workers="1", svsm_kms_timeout_handshake_ms="1500")) as s:
        held = []
        for _ in range(60):
            c = Conn(s.port)
            c.send(hello[:5])
            held.append(c)
        for i in range(5, 25):
            for c in held:
                try:
                    c.send(hello[i:i + 1])
                except OSError:
                    pass
            equal(s.call("GET", "/health", user=None).status, 200)
        for c in held:
            expect(c.ended(), "a slow handshake was not ended")
            c.close()
        wait_for(lambda: finished(s) >= 60)


@test("more handshakes than may be under way: the oldest are given up, who means it gets through", "T-85")
def too_many_handshakes():
    with one_server(site=pem_site(svsm_kms_workers="1", svsm_kms_ssl_handshakes_max="5")) as s:
        held = [Conn(s.port) for _ in range(40)]
        for _ in range(10):
            equal(s.call("GET", "/health", user=None).status, 200)
        wait_for(lambda: finished(s) >= 35)
        for c in held[:30]:
            expect(c.ended())
        for c in held:
            c.close()


@test("two thousand connections that never finish a handshake keep nobody out, whichever worker has them", "T-85")
def idle_handshakes():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    hello = client_hello()
    try:
        # A place for one handshake, held; more than all connections that may be; as many as are allowed by default.
        for site, count, workers in (({"svsm_kms_ssl_handshakes_max": "1"}, 3, "4"),
                                     ({"svsm_kms_connections_max": "500"}, 2000, "2"), ({}, 2000, "2")):
            with one_server(site=pem_site(svsm_kms_workers=workers, svsm_kms_timeout_handshake_ms="600000", **site)) as s:
                kept = s.conn()
                equal(kept.request("GET", "/health").status, 200)
                held = [socket.create_connection(("127.0.0.1", s.port)) for _ in range(count)]
                for c in held[::2]:
                    try:
                        c.sendall(hello[:50])
                    except OSError:
                        pass

                def came():     # those that are held, and those that were given up for others
                    lines = kept.request("GET", "/metrics").body.decode().splitlines()
                    return sum(float(line.split()[1]) for line in lines if line.startswith(
                        ("svsm_kms_connections ", "svsm_kms_tls_failed_total "))) > count
                wait_for(came)
                for _ in range(40):
                    equal(s.call("GET", "/health", user=None).status, 200)
                equal(kept.request("GET", "/health").status, 200)   # who has a handshake behind him stays
                kept.close()
                for c in held:
                    c.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@test("more connections than allowed are closed, and served again when there is room", "T-85")
def too_many_connections():
    with one_server(site=pem_site(svsm_kms_connections_max="4")) as s:
        held = [s.conn() for _ in range(4)]
        for c in held:
            equal(c.request("GET", "/health").status, 200)
        for _ in range(5):
            try:
                with s.conn() as c:
                    c.request("GET", "/health")
                raise AssertionError("a fifth connection was served")
            except (OSError, Closed):
                pass
        equal(held[0].request("GET", "/health").status, 200)
        for c in held:
            c.close()

        def served():
            try:
                return s.call("GET", "/health", user=None).status == 200
            except (OSError, Closed):
                return False
        wait_for(served)


@test("bodies of many records arrive whole in both directions, in pieces of any size")
def big_bodies():
    with one_server() as s:
        s.create("k", description="ä" * 1000)
        with s.conn() as c:
            eeks = c.request("GET", "/kms/v1/key/k/_eek?eek_op=generate&num_keys=5000&user.name=alice")
            equal(len(eeks.json()), 5000)
            body = [{"versionName": e["versionName"], "iv": e["iv"], "encryptedKeyVersion": e["encryptedKeyVersion"]}
                    for e in eeks.json()]
            data = request("POST", "/kms/v1/key/k/_reencryptbatch?user.name=alice", body)
            expect(len(data) > 500000)
            for step in (1000, 16384, 16385, 100000):
                for at in range(0, len(data), step):
                    c.send(data[at:at + step])
                r = c.read()
                equal(r.status, 200, r)
                equal(len(r.json()), 5000)
        r = s.call("POST", "/keys", b"x" * (17 << 20))
        equal(r.status, 413)


@test("pipelined requests are answered in order, in one record or in many, across the buffer's size")
def pipelining():
    with one_server() as s:
        for i in range(20):
            s.create(f"k{i}")
        one = [request("GET", f"/kms/v1/key/k{i % 20}/_metadata?user.name=alice") for i in range(400)]
        with s.conn() as c:
            c.send(b"".join(one))
            for i in range(400):
                equal(c.read().json()["name"], f"k{i % 20}")
            for part in one[:50]:
                c.send(part[:30])
                c.send(part[30:])
            for i in range(50):
                equal(c.read().json()["name"], f"k{i % 20}")


@test("a client that goes away in the middle of its answer leaves nothing behind")
def gone():
    with one_server() as s:
        s.create("k")
        for abrupt in (False, True) * 10:
            c = s.conn()
            for _ in range(4):
                c.send(request("GET", "/kms/v1/key/k/_eek?eek_op=generate&num_keys=5000&user.name=alice"))
            c.sock.recv(1000)
            if abrupt:
                c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            c.close()
        wait_for(lambda: metric(s, "svsm_kms_connections") == 1)


@test("a client that reads slowly gets all of its answer; one that reads nothing is disconnected")
def slow_reader():
    with one_server(site=pem_site(svsm_kms_timeout_write_ms="1500")) as s:
        s.create("k")
        many = request("GET", "/kms/v1/key/k/_eek?eek_op=generate&num_keys=10000&user.name=alice")
        with s.conn() as c:
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            c.send(many)
            equal(len(c.read().json()), 10000)
        with s.conn() as c:
            for _ in range(10):
                c.send(many)
            wait_for(lambda: metric(s, "svsm_kms_connections") == 1, "it is still connected")


@test("the end is announced with close_notify: after Connection: close, after a refusal, and at the stop")
def close_notify():
    def end_of(c):
        """A strict client's view: an end without close_notify is an error."""
        c.sock.suppress_ragged_eofs = False
        try:
            while c.sock.recv(65536):
                pass
            return "properly"
        except ssl.SSLError as e:
            return str(e)

    with server() as s:
        with s.conn() as c:
            equal(c.request("GET", "/health", headers={"Connection": "close"}).status, 200)
            equal(end_of(c), "properly")
        with s.conn() as c:
            c.send(b"BROKEN\r\n\r\n")
            equal(c.read().status, 400)
            equal(end_of(c), "properly")
        with s.conn() as c:
            equal(c.request("GET", "/health").status, 200)
            equal(s.stop(), 0)
            equal(end_of(c), "properly")


@test("a client that half-closes after its request still gets the answer")
def half_close():
    with one_server() as s:
        for _ in range(50):    # both often arrive at once
            sock = socket.create_connection(("127.0.0.1", s.port), timeout=30 * kms.SLOW)
            raw = os.dup(sock.fileno())
            with authority().context().wrap_socket(sock, server_hostname="localhost") as t:
                t.sendall(request("GET", "/health"))
                with socket.socket(fileno=raw) as below:
                    below.shutdown(socket.SHUT_WR)
                expect(t.recv(65536).startswith(b"HTTP/1.1 200"))


@test("many clients at once, new connections and old, while certificates are reloaded")
def crowd():
    with one_server(site=pem_site(svsm_kms_workers="2")) as s:
        s.create("k")
        problems, stop = [], threading.Event()

        def client(keep):
            try:
                c = None
                for _ in range(60):
                    c = c or s.conn()
                    r = c.request("GET", "/kms/v1/key/k/_metadata?user.name=alice")
                    equal(r.status, 200, repr(r))
                    if not keep:
                        c.close()
                        c = None
                if c:
                    c.close()
            except Exception as e:  # pylint: disable=broad-except
                problems.append(repr(e))

        threads = [threading.Thread(target=client, args=(i % 2,)) for i in range(12)]
        for t in threads:
            t.start()

        def reloads():
            while not stop.wait(0.05):
                s.signal(kms.signal.SIGHUP)

        other = threading.Thread(target=reloads)
        other.start()
        for t in threads:
            t.join()
        stop.set()
        other.join()
        equal(problems, [])
