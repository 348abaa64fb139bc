# SPDX-License-Identifier: Apache-2.0
"""Over HTTPS: the same, but for the cookie's `Secure`. What TLS itself does is tested elsewhere (tests/tls)."""

from exchange import decrypt, delete, generate, get, options, post, put
from .vectors import EEK0, IV, KEK0, b64

TOKEN = {"X-Hadoop-Delegation-Token": "<<token.Token.urlString>>"}

TLS = [
    options("handshake without a name", "/", user=None),
    options("handshake", "/", keep_cookie="alice"),
    get("no credentials", "/keys/names", user=None),
    get("bad cookie", "/keys/names", user=None, headers={"Cookie": 'hadoop.auth="bad&s=bad"'}),
    get("cookie", "/keys/names", user=None, headers={"Cookie": 'hadoop.auth="<<alice>>"'}),
    get("name", "/keys/names"),
    post("create", "/keys", {"name": "vector", "material": b64(KEK0)}, also=("Cache-Control", "X-Content-Type-Options")),
    get("metadata", "/key/vector"),
    generate("generate", "vector", 2),
    decrypt("decrypt", "vector%400", {"name": "vector", "iv": b64(IV), "material": b64(EEK0)}, exact=True),
    get("missing path", "/nothing"),
    get("token: get", "/?op=GETDELEGATIONTOKEN&renewer=yarn", keep="token"),
    get("token: use", "/keys/names", user=None, headers=TOKEN),
    put("token: renew refused", "/?op=RENEWDELEGATIONTOKEN&token=<<token.Token.urlString>>"),
    put("token: cancel", "/?op=CANCELDELEGATIONTOKEN&token=<<token.Token.urlString>>", user=None),
    get("token: use after cancel", "/keys/names", user=None, headers=TOKEN),
    get("doAs refused", "/keys/names?doAs=bob"),
    delete("delete", "/key/vector"),
]
