# SPDX-License-Identifier: Apache-2.0
"""
The files of a secure cluster as administrators have them (cluster/), taken over as they are: kms-site.xml, kms-acls.xml,
core-site.xml, ssl-server.xml with Java key stores, and the keytab. Only paths and passwords are filled in.
"""

import json
import os
import subprocess
import sys
from urllib.parse import quote

import kms
from kms import equal, expect, fresh_dir, test
from setting import HERE, PASSWORD, cache, realm, server

sys.path.append(str(HERE.parent / "tls"))
import certs  # noqa: E402

KEY_PASSWORD = "another-password"


def take_over():
    """A configuration directory, and the certificate of who signed the server's."""
    r, ca, conf = realm(), certs.Authority(), fresh_dir("cluster")
    if "keyadmin" not in r.admin("listprincs"):
        r.add("keyadmin", "nn/nn1.example.com", "hue/hue.example.com", "oozie/oozie.example.com", "rm/rm.example.com",
              password=PASSWORD)
    certificate, key = ca.issue(kind=certs.RSA)
    values = {"@KEYTAB@": str(r.dir / "http.keytab"), "@KEYSTORE@": ca.jks(certificate, key, certs.PASSWORD, KEY_PASSWORD),
              "@TRUSTSTORE@": ca.trust_store(), "@PASSWORD@": certs.PASSWORD, "@KEYPASSWORD@": KEY_PASSWORD}
    for source in (HERE / "cluster").glob("*.xml"):
        text = source.read_text()
        for mark, value in values.items():
            text = text.replace(mark, value)
        kms.write(os.path.join(conf, source.name), text, 0o644 if source.name != "ssl-server.xml" else 0o600)
    kms.write(os.path.join(conf, "kms.keystore.password"), "of the Java server's keys")
    return conf, ca


class Client:
    """curl with a ticket of one user, and a jar for his cookie."""

    def __init__(self, server, ca, user):
        self.server, self.ca, self.user = server, ca, user
        self.jar = os.path.join(fresh_dir(), "jar")

    def ask(self, path, *args, status=200, ticket=True):
        done = subprocess.run(
            ["curl", "-sS", "--noproxy", "*", "--max-time", "60", "--cacert", self.ca.cert, "-b", self.jar, "-c", self.jar,
             *(("--negotiate", "-u", ":") if ticket else ()), "-w", "\n%{http_code}", *args,
             f"https://localhost:{self.server.port}{path}"],
            capture_output=True, text=True, env=realm().env(cache(self.user)), check=False)
        equal(done.returncode, 0, done.stderr)
        body, _, code = done.stdout.rpartition("\n")
        equal(int(code), status, f"{self.user} {path}: {body[-400:]}")
        return json.loads(body) if body.startswith(("{", "[")) else body

    def send(self, path, value, **more):
        return self.ask(path, "-X", "POST", "-H", "Content-Type: application/json", "-d", json.dumps(value), **more)


@test("the files of a secure cluster work as they are: HTTPS with Java key stores, Kerberos, ACLs, proxy users, tokens")
def existing_cluster():
    conf, ca = take_over()
    with server(conf=conf) as s:
        admin = Client(s, ca, "keyadmin")
        for name in ("staff-zone", "plain-zone"):
            equal(admin.send("/kms/v1/keys", {"name": name, "length": 256}, status=201)["name"], name)
        equal(sorted(admin.ask("/kms/v1/keys/names", ticket=False)), ["plain-zone", "staff-zone"])

        nn = Client(s, ca, "nn/nn1.example.com")
        equal(nn.ask("/kms/v1/key/staff-zone/_metadata")["length"], 256)
        sealed = {name: nn.ask(f"/kms/v1/key/{name}/_eek?eek_op=generate&num_keys=1")[0] for name in ("staff-zone", "plain-zone")}

        def decrypt(client, name, path="", **more):
            body = {"name": name, "iv": sealed[name]["iv"], "material": sealed[name]["encryptedKeyVersion"]["material"]}
            return client.send(f"/kms/v1/keyversion/{quote(sealed[name]['versionName'])}/_eek?eek_op=decrypt{path}", body, **more)

        alice, bob, carol = (Client(s, ca, user) for user in ("alice", "bob", "carol"))
        dek = decrypt(alice, "staff-zone")["material"]
        equal(decrypt(bob, "staff-zone")["material"], dek)
        decrypt(carol, "staff-zone", status=403)            # not of the staff
        decrypt(nn, "staff-zone", status=403)               # blacklisted
        decrypt(alice, "plain-zone", status=403)            # nobody was given that one
        alice.send("/kms/v1/keys", {"name": "mine"}, status=403)
        alice.ask("/kms/v1/key/staff-zone/_eek?eek_op=generate&num_keys=1", status=403)

        hue, oozie, rm = (Client(s, ca, u) for u in ("hue/hue.example.com", "oozie/oozie.example.com", "rm/rm.example.com"))
        equal(decrypt(hue, "staff-zone", "&doAs=alice")["material"], dek)
        decrypt(hue, "staff-zone", "&doAs=carol", status=403)
        equal(decrypt(oozie, "staff-zone", "&doAs=bob")["material"], dek)
        decrypt(oozie, "staff-zone", "&doAs=carol", status=403)         # whom it may not act for
        decrypt(rm, "staff-zone", "&doAs=alice", status=403)            # from this address

        token = alice.ask("/kms/v1/?op=GETDELEGATIONTOKEN&renewer=yarn")["Token"]["urlString"]
        nobody = Client(s, ca, "carol")
        header = ("-H", f"X-Hadoop-Delegation-Token: {token}")
        equal(decrypt_with(nobody, sealed["staff-zone"], header)["material"], dek)
        expect(rm.ask(f"/kms/v1/?op=RENEWDELEGATIONTOKEN&token={token}", "-X", "PUT")["long"] > 1 << 40)
        alice.ask(f"/kms/v1/?op=RENEWDELEGATIONTOKEN&token={token}", "-X", "PUT", status=403)
        rm_cookie = Client(s, ca, "rm/rm.example.com")
        rm_cookie.ask("/kms/v1/", "-X", "OPTIONS")
        rm_cookie.ask(f"/kms/v1/?op=CANCELDELEGATIONTOKEN&token={token}", "-X", "PUT", ticket=False)
        decrypt_with(nobody, sealed["staff-zone"], header, status=403)

        # Pages: whoever is logged in, since hadoop.security.instrumentation.requires.admin is not set.
        expect("beans" in nn.ask("/kms/jmx"))
        Client(s, ca, "alice").ask("/kms/v1/keys/names", ticket=False, status=401)
        said = s.audit()
        expect("user=keyadmin@EXAMPLE.COM" in said and "user=nn/nn1.example.com@EXAMPLE.COM" in said, said)


def decrypt_with(client, sealed, header, **more):
    body = {"name": "staff-zone", "iv": sealed["iv"], "material": sealed["encryptedKeyVersion"]["material"]}
    return client.ask(f"/kms/v1/keyversion/{quote(sealed['versionName'])}/_eek?eek_op=decrypt", "-X", "POST", "-H",
                      "Content-Type: application/json", "-d", json.dumps(body), *header, ticket=False, **more)
