# SPDX-License-Identifier: Apache-2.0
"""Certificates and key stores for the tests, made when they run: nothing of it is in the tree."""
import os
import shutil
import ssl
import subprocess

import kms
from kms import Skip

PASSWORD, KEY_PASSWORD = "store-pass", "key-pass-ä"
CRL = "crlDistributionPoints=URI:http://127.0.0.1:1/test.crl"


def openssl(*args, data=None):
    done = subprocess.run(["openssl", *args], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise AssertionError(f"openssl {' '.join(args)}: {done.stderr.decode()[-500:]}")
    return done.stdout


def keytool(*args):
    if not shutil.which("keytool"):
        raise Skip("keytool (a JDK) is not installed")
    quick = ("-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC")
    done = subprocess.run(["keytool", *quick, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise AssertionError(f"keytool {args}: {done.stdout.decode()[-500:]}")


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA = ("-newkey", "rsa:2048")


class Authority:
    """A certification authority in a directory of its own."""

    def __init__(self, name="test authority"):
        self.dir = kms.fresh_dir("ca")
        self.cert, self.key = self.path("ca.pem"), self.path("ca.key")
        openssl("req", "-x509", *EC, "-nodes", "-days", "365", "-subj", f"/CN={name}", "-keyout", self.key, "-out",
                self.cert, "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.number = 0

    def path(self, name):
        return os.path.join(self.dir, name)

    def issue(self, subject="localhost", kind=EC, digest="sha256", client=False, days="300"):
        """(certificate, key), PEM files."""
        self.number += 1
        cert, key, csr, ext = (self.path(f"{self.number}.{e}") for e in ("pem", "key", "csr", "ext"))
        usage = "clientAuth" if client else "serverAuth"
        with open(ext, "w", encoding="ascii") as f:
            f.write(f"subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage={usage}\n"
                    f"keyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n{CRL}\n")
        openssl("req", *kind, "-nodes", "-subj", f"/CN={subject}/O=SVSM", "-keyout", key, "-out", csr)
        openssl("x509", "-req", "-in", csr, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", days,
                f"-{digest}", "-extfile", ext, "-out", cert)
        return cert, key

    def pkcs12(self, cert, key, password=PASSWORD, legacy=False, name="kms"):
        out = cert.replace(".pem", "-old.p12" if legacy else ".p12")
        openssl("pkcs12", "-export", "-in", cert, "-inkey", key, "-certfile", self.cert, "-name", name, "-out", out,
                "-passout", f"pass:{password}", *(("-legacy",) if legacy else ()))
        return out

    def jks(self, cert, key, password=PASSWORD, key_password=PASSWORD, kind="JKS"):
        out = cert.replace(".pem", f"-{password == key_password}.{kind.lower()}")
        if os.path.exists(out):    # of an earlier test, with the same passwords
            return out
        keytool("-importkeystore", "-srckeystore", self.pkcs12(cert, key), "-srcstoretype", "PKCS12", "-srcstorepass",
                PASSWORD, "-destkeystore", out, "-deststoretype", kind, "-deststorepass", password, "-destkeypass",
                key_password, "-noprompt", "-alias", "kms")
        return out

    def trust_store(self, kind="JKS", password=PASSWORD):
        out = self.path(f"trust.{kind.lower()}")
        if os.path.exists(out):
            return out
        keytool("-importcert", "-noprompt", "-alias", "ca", "-file", self.cert, "-keystore", out, "-storetype", kind,
                "-storepass", password)
        return out

    def context(self, client=None, version=None, **more):
        """What a client uses that trusts this authority."""
        c = ssl.create_default_context(cafile=self.cert)
        if client:
            c.load_cert_chain(*client)
        if version:
            c.minimum_version = c.maximum_version = version
        for name, value in more.items():
            setattr(c, name, value)
        return c
