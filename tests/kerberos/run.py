# SPDX-License-Identifier: Apache-2.0
"""Runs the modules of this folder; the suite's script has found a Python that knows GSS."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "system"), os.path.join(HERE, "..", "differential")]
sys.dont_write_bytecode = True

import kdc  # noqa: E402
import kms  # noqa: E402

MODULES = ("handshake", "refusals", "keytab", "cluster", "delegation", "command", "migration")

if __name__ == "__main__":
    try:
        for needed in kdc.PROGRAMS:
            kdc.program(needed)
    except kdc.Missing as why:
        print(why)
        sys.exit(77)
    for module in MODULES:
        __import__(module)
    kms.run_tests("Kerberos with a real KDC")
