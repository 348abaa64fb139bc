# SPDX-License-Identifier: Apache-2.0
"""testssl.sh, Debian's, against the server: nothing above "low"."""
import json
import os
import shutil
import subprocess

import kms
from kms import Skip, expect, test
from tls import authority, leaf, one_server, pem_site

# Protocols, certificate, vulnerabilities. The rest (cipher lists, order, forward secrecy, HTTP headers) takes as long again, and
# is in agree.py in other words: SVSM_TESTSSL=all.
WHAT = ("-p", "-S", "-U") + (("-P", "-s", "-f", "-h") if os.environ.get("SVSM_TESTSSL") == "all" else ())
FINE = ("OK", "INFO", "LOW", "DEBUG")


def look(program, port):
    """What it finds that is worse than LOW; WARN is what it could not look at."""
    out = os.path.join(kms.fresh_dir(), "found.json")
    done = subprocess.run([program, "--quiet", "--color", "0", "--warnings", "off", "--openssl-timeout", "20", "--ip", "127.0.0.1",
                           "--add-ca", authority().cert, "--jsonfile", out, *WHAT, f"localhost:{port}"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=240 * kms.SLOW)
    text = done.stdout.decode(errors="replace")
    expect(os.path.exists(out), text[-1500:])
    with open(out, encoding="utf-8") as f:
        found = json.load(f)
    expect(len(found) > 40, f"it looked at {len(found)} things only: {text[-1500:]}")
    # engine_problem is about the OpenSSL that the tool itself uses
    return [f"{x['id']} {x['severity']}: {x['finding']}" for x in found
            if x["severity"] not in FINE and x["id"] != "engine_problem"]


@test("testssl.sh finds nothing above LOW", "T-83")
def scan():
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if not program:
        raise Skip("testssl.sh is not installed")
    with one_server(site=pem_site(leaf())) as s:
        bad = look(program, s.port)
        if bad and all(" WARN: " in b for b in bad):    # on a crowded machine it gives up on some; once more
            print("        " + "; ".join(bad))
            bad = look(program, s.port)
        expect(not bad, "; ".join(bad))
