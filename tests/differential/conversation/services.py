# SPDX-License-Identifier: Apache-2.0
"""The other pages of the HTTP server."""

from exchange import get, options, post

CORS = ("Access-Control-Allow-Origin", "Access-Control-Allow-Methods")
BEANS = ["admin", "decrypt_eek", "generate_eek", "invalid", "key", "reencrypt_eek", "reencrypt_eek_batch",
         "unauthenticated", "unauthorized"]

OPEN = [
    get("jmx of one bean", "/jmx?qry=metrics:name=hadoop.kms.key.calls.meter", at="/kms", numbers=False, also=CORS),
    *[get(f"jmx of {bean}", f"/jmx?qry=metrics:name=hadoop.kms.{bean}.calls.meter", at="", numbers=False)
      for bean in BEANS],
    get("jmx of one attribute", "/jmx?get=metrics:name=hadoop.kms.key.calls.meter::Count", at="", numbers=False),
    get("jmx of a missing attribute", "/jmx?get=metrics:name=hadoop.kms.key.calls.meter::Nothing", at=""),
    get("jmx of a missing bean", "/jmx?qry=no:name=nothing", at=""),
    get("jmx of a missing bean's attribute", "/jmx?get=no:name=nothing::Count", at=""),
    get("jmx of a malformed query", "/jmx?qry=nonsense", at=""),
    get("jmx of a malformed attribute", "/jmx?get=nonsense", at=""),
    get("jmx without credentials", "/jmx", at="", user=None),
    get("jmx of everything", "/jmx", at="", status_only=True),
    post("jmx by POST", "/jmx?qry=no:name=nothing", at=""),
    options("jmx by OPTIONS", "/jmx", at=""),
    get("conf", "/conf", at="", status_only=True),
    get("conf of one name", "/conf?name=hadoop.kms.authentication.type", at="", status_only=True),
    get("conf of one name in JSON", "/conf?name=hadoop.kms.authentication.type", at="",
        headers={"Accept": "application/json"}),
    get("conf of a missing name", "/conf?name=nothing", at=""),
    get("conf without credentials", "/conf", at="", user=None),
    get("stacks", "/stacks", at="", status_only=True),
    get("logLevel", "/logLevel?log=kms-audit", at="", status_only=True),
    get("prom is off", "/prom", at=""),
    get("static page", "/static/index.html", at="", user=None, status_only=True),
    get("static page missing", "/static/nothing", at="", user=None),
    get("outside the service", "/nothing", at=""),
    get("outside the service without credentials", "/nothing", at="", user=None),
    get("other version of the service", "/keys/names", at="/kms/v2"),
    get("service root by GET", "/"),
    get("servlet root by GET", "/", at="/kms"),
]
