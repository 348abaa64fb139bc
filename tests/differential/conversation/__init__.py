# SPDX-License-Identifier: Apache-2.0
"""The conversation, one list of exchanges per configuration set (see ../conf/)."""

from . import (authentication, encrypted, framework, hardened, keys, names, restricted, secure, services, signed,
               tls, tokens, unchecked)

SETS = {
    # Exchanges after which two servers may hold different keys come last.
    "open": (authentication.OPEN + keys.OPEN + names.OPEN + encrypted.OPEN + tokens.OPEN + services.OPEN
             + framework.OPEN + hardened.OPEN),
    "restricted": restricted.RESTRICTED,
    "unchecked": unchecked.UNCHECKED,
    "signed": signed.SIGNED,
    "brief": tokens.BRIEF,
    "secure": secure.SECURE,
    "tls": tls.TLS,
}
