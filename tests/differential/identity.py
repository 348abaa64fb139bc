# SPDX-License-Identifier: Apache-2.0
"""Who the conversation's clients are: a KDC with their tickets (../kerberos), and a key store for HTTPS, made when needed.

Both servers of a comparison trust the same KDC and get tickets of their own. Nothing here is kept: keys, keytabs and
certificates live as long as the run.
"""

import base64
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "kerberos"))

import kdc  # noqa: E402

PASSWORD = "not-a-secret"
USERS = ("alice", "bob", "yarn", "proxy", "gateway", "hdfs/nn.example.com", "alice/admin", "zed/x/y")


class Unavailable(Exception):
    """Something that a configuration set needs cannot be had on this machine."""


def python_with_gss():
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            if subprocess.run([python, "-c", "import gssapi"], capture_output=True, check=False).returncode == 0:
                return python
        except OSError:
            pass
    raise Unavailable("python3-gssapi is not installed (tools/deps test)")


class Identity:
    """One for a run. `directory` is where everything is made."""

    def __init__(self, directory):
        self.dir = pathlib.Path(directory) / "identity"
        self.realms, self.caches, self.helper = {}, {}, None

    # --- Kerberos --------------------------------------------------------------------------------

    def realm(self, name="EXAMPLE.COM"):
        if name not in self.realms:
            try:
                made = kdc.Realm(self.dir / name, name)
                self.realms[name] = made.start()
            except kdc.Missing as why:
                raise Unavailable(str(why)) from None
            made.add(*USERS, password=PASSWORD)
            made.keytab("http.keytab", "HTTP/localhost", "HTTP/other.example.com", "kms/localhost")
            made.add("HTTP/elsewhere.example.com")
        return self.realms[name]

    def keytab(self):
        return str(self.realm().dir / "http.keytab")

    def _helper(self, question):
        if not self.helper:
            self.helper = subprocess.Popen([python_with_gss(), str(HERE.parent / "kerberos" / "spnego.py"), "--serve"],
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.helper.stdin.write(json.dumps(question) + "\n")
        self.helper.stdin.flush()
        return json.loads(self.helper.stdout.readline())

    def token(self, ticket):
        """The header of a login (see exchange.ticket), and a number for proven()."""
        realm = self.realm(ticket["realm"])
        key = (ticket["user"], ticket["realm"])
        if key not in self.caches:
            self.caches[key] = realm.kinit(ticket["user"], password=PASSWORD)
        made = self._helper({"conf": str(realm.conf), "cache": self.caches[key], "target": ticket["service"],
                             "raw": ticket["raw"]})
        data = bytearray(base64.b64decode(made["token"]))
        if ticket["flip"] is not None:
            data[ticket["flip"]] ^= 1
        if ticket["cut"]:
            del data[-ticket["cut"]:]
        data += ticket["more"]
        return "Negotiate " + base64.b64encode(data).decode(), made["id"]

    def proven(self, number, answer):
        """Does the server's answer prove that it read the ticket?"""
        return self._helper({"id": number, "answer": answer})["proven"]

    # --- HTTPS -----------------------------------------------------------------------------------

    def key_store(self):
        """A PKCS#12 store with a certificate for localhost; the password is `changeit`, as everywhere."""
        store = self.dir / "server.p12"
        if not store.exists():
            self.dir.mkdir(parents=True, exist_ok=True)
            key, certificate = self.dir / "key.pem", self.dir / "certificate.pem"
            for argv in (["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                          "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate],
                         ["pkcs12", "-export", "-name", "kms", "-inkey", key, "-in", certificate, "-out", store,
                          "-passout", "pass:changeit"]):
                try:
                    subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True)
                except FileNotFoundError:
                    raise Unavailable("openssl is not installed") from None
            store.chmod(0o600)
        return str(store)

    # --- what a server is given ------------------------------------------------------------------

    def fill(self, text):
        """The placeholders of a configuration file."""
        for mark, value in (("@KEYTAB@", self.keytab), ("@KEYSTORE@", self.key_store)):
            if mark in text:
                text = text.replace(mark, value())
        return text

    def environment(self):
        """For a server: where Kerberos is configured, if it is."""
        return {"KRB5_CONFIG": str(self.realms["EXAMPLE.COM"].conf)} if "EXAMPLE.COM" in self.realms else {}

    def close(self):
        if self.helper:
            self.helper.stdin.close()
            self.helper.wait(10)
        for realm in self.realms.values():
            realm.stop()
