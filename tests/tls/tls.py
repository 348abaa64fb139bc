# SPDX-License-Identifier: Apache-2.0
"""What the modules of this suite share: one authority, a server with a certificate of it, openssl s_client."""
import contextlib
import os
import subprocess

import kms
from certs import EC, RSA, Authority

_made = {}


def authority():
    if "ca" not in _made:
        _made["ca"] = Authority()
    return _made["ca"]


def leaf(kind="ec"):
    """(certificate, key), one of each kind for all tests."""
    if kind not in _made:
        _made[kind] = authority().issue(kind=EC if kind == "ec" else RSA)
    return _made[kind]


def pem_site(pair=None, **more):
    cert, key = pair or leaf()
    return {"hadoop.kms.ssl.enabled": "true", "svsm.kms.ssl.certificate.file": cert, "svsm.kms.ssl.key.file": key,
            **{name.replace("_", "."): value for name, value in more.items()}}


def conf(site=None, ssl=None):
    """A configuration directory; ssl: the properties of ssl-server.xml."""
    d = kms.conf_dir(site or pem_site())
    if ssl is not None:
        kms.write(os.path.join(d, "ssl-server.xml"), ssl if isinstance(ssl, str) else kms.xml(ssl))
    return d


def server(site=None, ssl=None, tls=None, start=True, **more):
    s = kms.Server(conf=conf(site, ssl), start=False, **more)
    s.tls = tls or authority().context()
    if start:
        s.start()
    return s


@contextlib.contextmanager
def one_server(**options):
    """Well at the end, and stops cleanly."""
    with server(**options) as s:
        yield s
        s.healthy()
        kms.equal(s.stop(), 0, f"exit code of the stop; {s.log()[-2000:]}")


def s_client(port, *args, data=b"", timeout=20):
    """What openssl s_client prints; its exit code is in front."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", authority().cert, *args],
                          input=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout * kms.SLOW)
    return done.returncode, done.stdout.decode(errors="replace")


def metric(s, name):
    for line in s.call("GET", "/metrics", user=None).body.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise AssertionError(f"no metric {name}")
