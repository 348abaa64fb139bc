# SPDX-License-Identifier: Apache-2.0
"""What is agreed on: protocols, cipher suites, resumption, ALPN, client certificates; and HTTP above it."""
import os
import pty
import re
import select
import signal
import socket
import ssl
import subprocess

import kms
from certs import Authority
from kms import expect, equal, refused, request, test, wait_for
from tls import authority, conf, leaf, metric, one_server, pem_site, s_client, server


def version_of(port, version=None, **more):
    with kms.Conn(port, tls=authority().context(version=version, **more)) as c:
        return c.sock.version()


def fails(port, context):
    try:
        with kms.Conn(port, tls=context) as c:
            c.request("GET", "/health")    # with TLS 1.3 a client learns only now that it was refused
    except (ssl.SSLError, ConnectionError, kms.Closed):
        return True
    return False


@test("requests over HTTPS are answered, the address and cookies say so")
def basics():
    with one_server() as s:
        expect(any(" ready on https://127.0.0.1:" in line for line in s.out), lambda: s.out)
        r = s.call("POST", "/keys", {"name": "k1"})
        equal(r.status, 201)
        equal(r.header("Location"), "https://kms.test/kms/v1/key/k1")
        expect(r.header("Set-Cookie").endswith("; Secure; HttpOnly"), r.header("Set-Cookie"))
        expect(re.search(r'; Secure; HttpOnly$', s.call("GET", "/key/k1", user=None).header("Set-Cookie")))
        r = s.call("GET", "/nothing/there")
        expect("https://kms.test/kms/v1/nothing" in r.error()[1], r)


@test("HTTP on the HTTPS port is told what is wrong, and the server goes on")
def plain_http():
    with one_server() as s:
        for start in ("GET / HTTP/1.1", "POST /kms/v1/keys HTTP/1.1", "CONNECT x:1 HTTP/1.1"):
            with kms.Conn(s.port) as c:
                c.send(f"{start}\r\nHost: x\r\n\r\n".encode())
                r = c.read()
                equal(r.status, 400)
                expect("https://" in r.error()[1], r)
                expect(c.ended())


@test("TLS 1.2 and 1.3 are spoken, older protocols are not", "T-83")
def protocols():
    with one_server() as s:
        equal(version_of(s.port), "TLSv1.3")
        equal(version_of(s.port, ssl.TLSVersion.TLSv1_2), "TLSv1.2")
        for old in ("-tls1", "-tls1_1"):
            code, text = s_client(s.port, old, "-cipher", "ALL:@SECLEVEL=0")
            expect(code != 0 and re.search(r"alert protocol version|unsupported protocol", text), text[-800:])


@test("hadoop.ssl.enabled.protocols chooses among the safe ones; without one of them the server does not start")
def chosen_protocols():
    for names, spoken, missing in (("TLSv1.3", "TLSv1.3", ssl.TLSVersion.TLSv1_2),
                                   ("TLSv1.2,TLSv1.1,SSLv2Hello", "TLSv1.2", ssl.TLSVersion.TLSv1_3)):
        with server(site=pem_site(hadoop_ssl_enabled_protocols=names)) as s:
            equal(version_of(s.port), spoken)
            expect(fails(s.port, authority().context(version=missing)), f"{names}: {missing} was accepted")
    refused(78, "neither TLSv1.2 nor TLSv1.3", conf=conf(pem_site(hadoop_ssl_enabled_protocols="TLSv1,TLSv1.1")))


@test("cipher suites without forward secrecy or without authentication of what they carry are refused", "T-83")
def weak_ciphers():
    with one_server(site=pem_site(leaf("rsa"))) as s:
        for suite in ("AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA384", "AES256-SHA",
                      "DHE-RSA-AES128-GCM-SHA256", "ADH-AES128-GCM-SHA256", "eNULL", "PSK"):
            code, text = s_client(s.port, "-tls1_2", "-cipher", suite + ":@SECLEVEL=0")
            expect(code != 0 and "Cipher is (NONE)" in text, f"{suite}: {text[-600:]}")
        for suite in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"):
            code, text = s_client(s.port, "-tls1_2", "-cipher", suite)
            expect(f"Cipher is {suite}" in text, text[-600:])


@test("ssl.server.exclude.cipher.list takes Java's names and patterns; a list that leaves nothing is refused")
def excluded_ciphers():
    listed = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, SSL_RSA_WITH_DES_CBC_SHA,^.*CHACHA20.*$,\n TLS_AES_128_GCM_SHA256"
    with server(ssl={"ssl.server.exclude.cipher.list": listed}) as s:
        with kms.Conn(s.port, tls=authority().context()) as c:
            equal(c.sock.cipher()[0], "TLS_AES_256_GCM_SHA384")
        with kms.Conn(s.port, tls=authority().context(version=ssl.TLSVersion.TLSv1_2)) as c:
            equal(c.sock.cipher()[0], "ECDHE-ECDSA-AES256-GCM-SHA384")
        for suite in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"):
            expect(s_client(s.port, "-tls1_2", "-cipher", suite)[0] != 0, suite)
    refused(78, "leaves no cipher suite", conf=conf(ssl={"ssl.server.exclude.cipher.list": ".*"}))
    refused(78, "neither a Java cipher suite", conf=conf(ssl={"ssl.server.exclude.cipher.list": "TLS_(AES"}))


def session(port, context, old=None):
    """One request; (what can be resumed, whether this was)."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=30 * kms.SLOW)
    with context.wrap_socket(sock, server_hostname="localhost", session=old) as t:
        t.sendall(kms.request("GET", "/health"))
        expect(t.recv(100).startswith(b"HTTP/1.1 200"))
        return t.session, t.session_reused


@test("sessions are resumed: tickets of 1.2 and 1.3, session ids of 1.2, by any worker and after a reload")
def resumption():
    with one_server(site=pem_site(svsm_kms_workers="3")) as s:
        for version, options in ((ssl.TLSVersion.TLSv1_2, 0), (ssl.TLSVersion.TLSv1_3, 0),
                                 (ssl.TLSVersion.TLSv1_2, ssl.OP_NO_TICKET)):
            context = authority().context(version=version)
            context.options |= options
            first, again = session(s.port, context)
            expect(not again)
            equal(first.has_ticket, not options)
            for _ in range(6):
                more, again = session(s.port, context, first)
                expect(again, f"{version} {options}: not resumed")
                first = more if version == ssl.TLSVersion.TLSv1_3 else first
            if options:
                continue
            s.signal(signal.SIGHUP)
            wait_for(lambda: "TLS certificates reloaded" in s.log()[-200:])
            expect(session(s.port, context, first)[1], f"{version}: not resumed after a reload")
        equal(metric(s, "svsm_kms_tls_resumed_total"), 20)


@test("a ticket that was changed, or is another server's, costs a full handshake and no more")
def foreign_ticket():
    with one_server() as s, one_server() as other:
        context = authority().context()
        mine, _ = session(s.port, context)
        expect(not session(other.port, context, mine)[1])


@test("ALPN: http/1.1 is chosen; who offers nothing of ours is served all the same")
def alpn():
    with one_server() as s:
        for offer, chosen in ((["h2", "http/1.1"], "http/1.1"), (["h2"], None)):
            context = authority().context()
            context.set_alpn_protocols(offer)
            with kms.Conn(s.port, tls=context) as c:
                equal(c.sock.selected_alpn_protocol(), chosen)
                equal(c.request("GET", "/health").status, 200)


@test("renegotiation is refused, a key update is not", "T-83")
def renegotiation():
    with one_server() as s:
        code, text = s_client(s.port, "-tls1_2", "-legacy_renegotiation", data=b"R\n")
        expect("RENEGOTIATING" in text and re.search(r"no renegotiation|alert", text), text[-500:])
        mine, theirs = pty.openpty()    # into a pipe it would say nothing before it has much to say
        with subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{s.port}", "-tls1_3", "-msg"],
                              stdin=subprocess.PIPE, stdout=theirs, stderr=subprocess.STDOUT) as p:
            os.close(theirs)
            seen = b""
            for wanted, say in ((b"read R BLOCK", b"K\n"), (b"[length 0005], KeyUpdate", request("GET", "/health")),
                                (b"HTTP/1.1 200", b"")):
                while wanted not in seen:
                    expect(select.select([mine], [], [], 30 * kms.SLOW)[0], seen[-500:])
                    seen += os.read(mine, 65536)
                p.stdin.write(say)
                p.stdin.flush()
            expect(re.search(rb"<<< [^\n]*KeyUpdate", seen), "the server did not answer the key update")
            p.kill()
        os.close(mine)


def trust(auth, kind="jks"):
    path = authority().trust_store(kind.upper()) if kind != "pem" else authority().cert
    return {"ssl.server.truststore.location": path, "ssl.server.truststore.password": "store-pass", **auth}


@test("client certificates: required, optional, of a stranger; trust stores in each format")
def client_certificates():
    ours = authority().issue("client 1", client=True)
    stranger = Authority("stranger").issue("client 2", client=True)
    wrong_use = authority().issue("a server")
    need = {"ssl.server.need.client.auth": "true"}
    for kind in ("pem", "jks", "pkcs12"):
        with one_server(ssl=trust(need, kind), tls=authority().context(client=ours)) as s:
            s.create("k")
            if kind != "pem":
                continue
            expect(fails(s.port, authority().context()), "accepted without a certificate")
            expect(fails(s.port, authority().context(client=stranger)), "a stranger was accepted")
            expect(fails(s.port, authority().context(client=wrong_use)), "a server's certificate was accepted")
            context = authority().context(client=ours)
            first, _ = session(s.port, context)
            expect(session(s.port, context, first)[1], "not resumed")
    with one_server(site=pem_site(svsm_kms_ssl_client_auth="optional"), ssl=trust({}, "pem")) as s:
        s.create("k")
        expect(fails(s.port, authority().context(client=stranger)), "a stranger was accepted")
        s.tls = authority().context(client=ours)
        s.create("l")


@test("asking for client certificates without a usable trust store is refused")
def no_trust():
    need = {"ssl.server.need.client.auth": "true"}
    refused(78, "ssl.server.truststore.location", conf=conf(ssl=need))
    refused(78, "No such file", "ssl.server.truststore.location", conf=conf(ssl={**need, "ssl.server.truststore.location": "no/file"}))
    refused(78, "password", conf=conf(ssl={**trust(need), "ssl.server.truststore.password": "wrong"}))


@test("a session with a client's certificate is not taken up where that client is not trusted any more")
def resumption_after_distrust():
    ours, new = authority(), Authority("new")
    client = ours.issue("client", client=True)
    anchors = os.path.join(kms.fresh_dir(), "trust.pem")
    need = {"ssl.server.need.client.auth": "true", "ssl.server.truststore.location": anchors}
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with open(ours.cert, encoding="ascii") as f:
            kms.write(anchors, f.read())
        with server(ssl=need, tls=ours.context(client=client)) as s:
            context = ours.context(client=client, version=version)
            first, _ = session(s.port, context)
            expect(session(s.port, context, first)[1], "not resumed at first")
            with open(new.cert, encoding="ascii") as f:
                kms.write(anchors, f.read())
            s.signal(signal.SIGHUP)
            wait_for(lambda: "certificates reloaded" in s.log())
            try:
                session(s.port, context, first)
            except (ssl.SSLError, ConnectionError):
                continue
            raise AssertionError(f"{version}: resumed")
