# SPDX-License-Identifier: Apache-2.0
"""Key stores of each format with right and wrong passwords, what is refused, and reload when files change."""
import os
import shutil
import ssl

import kms
from certs import KEY_PASSWORD, PASSWORD, Authority, keytool, openssl
from kms import Skip, expect, equal, refused, test, wait_for
from tls import authority, conf, leaf, one_server, pem_site, server

ON = {"hadoop.kms.ssl.enabled": "true"}


def store(path, password=PASSWORD, kind=None, **more):
    """ssl-server.xml for a key store."""
    found = {"ssl.server.keystore.location": path, "ssl.server.keystore.password": password}
    if kind:
        found["ssl.server.keystore.type"] = kind
    return {**found, **{"ssl.server." + name.replace("_", "."): value for name, value in more.items()}}


def serial(s, context=None):
    """The serial number of the certificate that is shown."""
    with kms.Conn(s.port, tls=context or s.tls) as c:
        return c.sock.getpeercert()["serialNumber"]


@test("keytool's JKS and PKCS#12 and openssl's PKCS#12 open, whatever the configuration calls them")
def formats():
    cert, key = leaf()
    jks = authority().jks(cert, key)
    by_keytool = authority().jks(cert, key, kind="PKCS12")
    for path, kind in ((jks, None), (jks, "pkcs12"), (by_keytool, "PKCS12"), (by_keytool, None),
                       (authority().pkcs12(cert, key), "jks")):
        with one_server(site=ON, ssl=store(path, kind=kind)) as s:
            s.create("k")


@test("a PKCS#12 file as Java 8 wrote it, under RC2, opens")
def old_pkcs12():
    try:
        path = authority().pkcs12(*leaf("rsa"), legacy=True)
    except AssertionError as e:
        raise Skip(f"this OpenSSL cannot write one: {e}") from e
    with one_server(site=ON, ssl=store(path)) as s:
        s.create("k")
    refused(78, "password does not open", conf=conf(ON, store(path, "wrong")))


@test("a JKS key with a password of its own, with letters outside of ASCII, opens with that and not without")
def key_password():
    path = authority().jks(*leaf(), key_password=KEY_PASSWORD)
    with one_server(site=ON, ssl=store(path, keystore_keypassword=KEY_PASSWORD)):
        pass
    refused(78, path, "the private key", conf=conf(ON, store(path)))
    refused(78, path, "the private key", conf=conf(ON, store(path, keystore_keypassword="key-pass-a")))


@test("a wrong password is said to be that, for each format", "T-86")
def wrong_password():
    cert, key = leaf()
    sealed = authority().path("sealed.key")
    openssl("pkey", "-in", key, "-aes256", "-passout", f"pass:{PASSWORD}", "-out", sealed)
    for path in (authority().jks(cert, key), authority().pkcs12(cert, key)):
        refused(78, path, "password does not open", "ssl.server.keystore.location", conf=conf(ON, store(path, "wrong")))
    site = pem_site((cert, sealed))
    refused(78, sealed, "keypassword", conf=conf(site))
    refused(78, sealed, "keypassword", conf=conf(site, {"ssl.server.keystore.keypassword": "wrong"}))
    with one_server(site=site, ssl={"ssl.server.keystore.keypassword": PASSWORD}):
        pass


@test("PEM in ssl-server.xml: certificate, chain and key in one file; relative to the configuration, or as an address")
def pem_file():
    cert, key = leaf()
    directory = conf(ON, store("both.pem", kind="pem"))
    with open(os.path.join(directory, "both.pem"), "wb") as out:
        for part in (cert, authority().cert, key):
            with open(part, "rb") as f:
                shutil.copyfileobj(f, out)
    for location in ("both.pem", "file://" + os.path.join(directory, "both.pem")):
        kms.write(os.path.join(directory, "ssl-server.xml"), kms.xml(store(location)))
        with kms.Server(conf=directory, start=False) as s:
            s.tls = authority().context()
            s.start()
            s.create("k")


@test("files that are no key store, hold no key, or whose parts do not belong together are refused with a reason", "T-86")
def not_a_store():
    cert, key = leaf()
    other = leaf("rsa")
    here = kms.fresh_dir()

    def file(name, data):
        path = os.path.join(here, name)
        kms.write(path, data)
        return path

    jks = authority().jks(cert, key)
    with open(jks, "rb") as f:
        bytes_of_jks = f.read()
    cases = ((store(os.path.join(here, "missing")), "No such file"),
             (store(here), "not a regular file"),
             (store(file("empty", b"")), "empty"),
             (store(file("text", b"keystore")), "neither JKS nor PKCS#12 nor PEM"),
             (store(file("half.jks", bytes_of_jks[:-30])), "damaged JKS"),
             (store(file("flipped.jks", bytes_of_jks[:-50] + b"x" + bytes_of_jks[-49:])), "JKS"),
             (store(file("half.p12", b"\x30\x82\x01\x00xyz")), "PKCS#12"),
             (store(authority().jks(cert, key, kind="JCEKS")), "JCEKS"),
             (store(authority().trust_store()), "no private key"),
             (store(authority().trust_store("PKCS12")), "no private key"),
             (store(cert), "no private key"),
             ({}, "there is no certificate"))
    for ssl_server, words in cases:
        refused(78, "TLS", words, conf=conf(ON, ssl_server))
    refused(78, "does not belong", conf=conf(pem_site((cert, other[1]))))
    refused(78, "holds no certificate", conf=conf(pem_site((key, key))))
    refused(78, "ssl-server.xml:1", conf=conf(ON, "<configuration><property>"))


@test("a weak certificate is refused, unless the security level is lowered")
def weak_certificate():
    weak = authority().issue(kind=("-newkey", "rsa:1024"))
    refused(78, "key too small", "svsm.kms.ssl.security.level", conf=conf(pem_site(weak)))
    sha1 = authority().issue(digest="sha1")
    refused(78, "md too weak", conf=conf(pem_site(sha1)))
    context = authority().context()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with one_server(site=pem_site(weak, svsm_kms_ssl_security_level="1"), tls=context):
        pass


@test("a certificate that has expired or is about to is warned of, and served all the same")
def expiry():
    for days, words in (("0", "has expired"), ("5", "expires within")):
        with server(site=pem_site(authority().issue(days=days))) as s:
            expect(words in s.log(), s.log())
    with server() as s:
        expect("expire" not in s.log(), s.log())


@test("a store with several keys: one is used, and a warning says which")
def several_keys():
    first = authority().jks(*authority().issue())
    keytool("-importkeystore", "-srckeystore", authority().jks(*authority().issue()), "-srcstoretype", "JKS", "-srcstorepass",
            PASSWORD, "-srcalias", "kms", "-destkeystore", first, "-deststoretype", "JKS", "-deststorepass", PASSWORD,
            "-destalias", "other", "-noprompt")
    with one_server(site=ON, ssl=store(first)) as s:
        expect("several keys; 'kms' is used" in s.log() or "several keys; 'other' is used" in s.log(), s.log())


@test("a password in a credential provider, which only Java can read, is refused with a way out")
def credential_provider():
    cert, key = leaf()
    provider = {"hadoop.security.credential.provider.path": "jceks://file/etc/kms.jceks"}
    full = store(authority().jks(cert, key))
    without = {name: value for name, value in full.items() if "password" not in name}
    refused(78, "credential.provider.path", "svsm.kms.ssl.certificate.file", conf=conf({**ON, **provider}, without))
    with server(site=ON, ssl={**full, **provider}) as s:
        expect("is not read here" in s.log(), s.log())


@test("names in the wrong file and misspelt ones are warned of")
def misplaced():
    with server(site=pem_site(**{"ssl.server.keystore.location": "x"}),
                ssl={"ssl.server.keystore.locaton": "x", "ssl.client.truststore.location": "y"}) as s:
        log = s.log()
        expect("move it to ssl-server.xml" in log and "did you mean 'ssl.server.keystore.location'" in log, log)
        expect("ssl.client" not in log, log)


@test("another file for hadoop.ssl.server.conf is read, in the directory or anywhere")
def other_file():
    directory = conf({**ON, "hadoop.ssl.server.conf": "my-ssl.xml"})
    kms.write(os.path.join(directory, "my-ssl.xml"), kms.xml(store(authority().jks(*leaf()))))
    for name in ("my-ssl.xml", os.path.join(directory, "my-ssl.xml")):
        kms.write(os.path.join(directory, "kms-site.xml"), kms.xml({**ON, "hadoop.ssl.server.conf": name}))
        with kms.Server(conf=directory, start=False) as s:
            s.tls = authority().context()
            s.start()
            s.healthy()


# ---- reload

FAST = {"ssl.server.stores.reload.interval": "100"}


def copy(pair, to):
    for source, name in zip(pair, ("cert.pem", "key.pem")):
        with open(source, "rb") as f:
            kms.write(os.path.join(to, name), f.read())


@test("a changed certificate is shown to new connections; those that exist go on; a broken one changes nothing")
def reload():
    here = kms.fresh_dir()
    old, new = leaf(), authority().issue()
    copy(old, here)
    pair = os.path.join(here, "cert.pem"), os.path.join(here, "key.pem")
    with one_server(site=pem_site(pair), ssl=FAST) as s:
        before = serial(s)
        with s.conn() as c:
            equal(c.request("GET", "/health").status, 200)
            copy(new, here)
            wait_for(lambda: serial(s) != before, "the new certificate is not shown")
            equal(c.request("GET", "/health").status, 200)
            shown = serial(s)
            for broken in (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"no PEM"):
                said = s.log().count("not reloaded, the old ones stay")
                kms.write(pair[0], broken)
                wait_for(lambda n=said: s.log().count("not reloaded, the old ones stay") > n, "the broken file was not seen")
                equal(serial(s), shown)
            os.unlink(pair[1])
            equal(c.request("GET", "/health").status, 200)
            equal(serial(s), shown)
            copy(old, here)
            wait_for(lambda: serial(s) == before, "the good certificate is not shown again")


@test("a key store is reloaded with the password of a changed ssl-server.xml at SIGHUP")
def reload_password():
    cert, key = authority().issue()
    directory = conf(ON, store(authority().pkcs12(*leaf())))
    with kms.Server(conf=directory, start=False) as s:
        s.tls = authority().context()
        s.start()
        before = serial(s)
        other = authority().pkcs12(cert, key, password="other")
        kms.write(os.path.join(directory, "ssl-server.xml"), kms.xml(store(other, "wrong")))
        s.signal(kms.signal.SIGHUP)
        wait_for(lambda: "not reloaded, the old ones stay" in s.log())
        equal(serial(s), before)
        kms.write(os.path.join(directory, "ssl-server.xml"), kms.xml(store(other, "other")))
        s.signal(kms.signal.SIGHUP)
        wait_for(lambda: "TLS certificates reloaded" in s.log())
        expect(serial(s) != before)
        s.healthy()


@test("the chain is sent along: a client that knows only the root accepts a certificate of an intermediate")
def chain():
    root = Authority("root")
    middle = Authority("middle")
    csr = middle.path("middle.csr")
    ext = middle.path("middle.ext")
    with open(ext, "w", encoding="ascii") as f:
        f.write("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n")
    openssl("req", "-new", "-key", middle.key, "-subj", "/CN=middle", "-out", csr)
    openssl("x509", "-req", "-in", csr, "-CA", root.cert, "-CAkey", root.key, "-CAcreateserial", "-days", "60",
            "-extfile", ext, "-out", middle.cert)
    cert, key = middle.issue()
    for path in (middle.jks(cert, key), middle.pkcs12(cert, key)):
        with one_server(site=ON, ssl=store(path), tls=root.context()):
            pass
    with server(site=pem_site((cert, key)), tls=root.context(), start=False) as s:
        s.start()
        try:
            s.call("GET", "/health", user=None)
            raise AssertionError("accepted without the intermediate")
        except ssl.SSLError:
            pass
