# SPDX-License-Identifier: Apache-2.0
"""testssl.sh, Debian's, against the server: nothing above "low"."""
import json
import os
import shutil
import subprocess

import kms
from kms import Skip, expect, test
from tls import authority, leaf, one_server, pem_site

# Protocols, certificate, vulnerabilities, the order of ciphers, their kinds, forward secrecy, HTTP headers. Not its list of
# every single cipher and its simulation of browsers, which rate nothing.
WHAT = ("-p", "-S", "-U", "-P", "-s", "-f", "-h")
FINE = ("OK", "INFO", "LOW", "DEBUG")
# engine_problem is about the OpenSSL that the tool itself uses. sessionresumption_ticket says only whether there are tickets
# (agree.py looks closer): the tool's client hangs up right after its Finished, and has a ticket of TLS 1.3 by then or
# "connect problem", as the processor's other work has it.
NOT_OURS = ("engine_problem", "sessionresumption_ticket")


def look(program, port):
    """What it finds, as name: (severity, text); WARN is what it could not look at."""
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
    # one name can be there more than once: the worst of it
    return {x["id"]: (x["severity"], x["finding"]) for x in sorted(found, key=lambda x: x["severity"] not in FINE)
            if x["id"] not in NOT_OURS}


@test("testssl.sh finds nothing above LOW", "T-83")
def scan():
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if not program:
        raise Skip("testssl.sh is not installed")
    with one_server(site=pem_site(leaf())) as s:
        found = look(program, s.port)
        for _ in range(2):              # on a crowded machine it gives up on some: once more
            if any(severity == "WARN" for severity, _ in found.values()):
                found |= {name: x for name, x in look(program, s.port).items() if found.get(name, ("WARN",))[0] == "WARN"}
        bad = [f"{name} {severity}: {text}" for name, (severity, text) in found.items() if severity not in FINE]
        expect(not bad, "; ".join(bad))
