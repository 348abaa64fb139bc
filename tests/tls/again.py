# SPDX-License-Identifier: Apache-2.0
"""Tests of the whole server once more, with TLS below: the quick ones about how HTTP is cut into pieces."""
import kms
from tls import authority, pem_site

AGAIN = ("malformed requests", "unusual but", "every byte of", "slow senders", "a client that does not read", "fifty pipelined",
         "bodies over the limit", "a batch of ten thousand", "attributes and descriptions", "random bytes", "/metrics is",
         "no page shows", "creates, rolls and deletes", "a name list read")


def add():
    """Registers them; to be called last: every server made from then on speaks TLS."""
    before = list(kms.tests)
    import concurrency, garbage, pages  # noqa: E401,F401  pylint: disable=multiple-imports,unused-import
    new = [t for t in kms.tests if t not in before and t[0].startswith(AGAIN)]
    kms.expect(len(new) == len(AGAIN), "a sentence has changed: " + ", ".join(t[0] for t in new))
    kms.tests[:] = before + [(f"over TLS: {sentence}", threats, secured(fn)) for sentence, threats, fn in new]


def secured(fn):
    def run():
        kms.EVERYWHERE.update(pem_site())
        kms.TLS = authority().context()
        try:
            fn()
        finally:
            kms.EVERYWHERE.clear()
            kms.TLS = None
    run.__module__ = "again"
    return run
