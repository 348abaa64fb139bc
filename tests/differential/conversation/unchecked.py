# SPDX-License-Identifier: Apache-2.0
"""Key authorization switched off, anonymous requests let in; see ../conf/unchecked."""

from exchange import decrypt, delete, generate, get, options, post, reencrypt
from .vectors import EEK0, IV, KEK0, KEK1, b64, url

SEALED = {"name": "k", "iv": b64(IV), "material": b64(EEK0)}


def entry(version):
    return {"versionName": version, "iv": url(IV), "encryptedKeyVersion": {"versionName": "EEK", "material": url(EEK0)}}


UNCHECKED = [
    post("create", "/keys", {"name": "k", "material": b64(KEK0)}),
    post("create with an ACL name", "/keys", {"name": "k2", "attributes": {"key.acl.name": "k"}}),
    get("metadata: no ACL name is added", "/key/k"),
    get("metadata with an ACL name", "/key/k2"),
    get("metadata list", "/keys/metadata?key=k&key=missing"),
    get("current version", "/key/k/_currentversion"),
    get("versions", "/key/k/_versions"),
    get("version", "/keyversion/k@0"),
    get("version missing", "/keyversion/k@1"),
    get("version without number", "/keyversion/k"),
    generate("generate", "k", keep="eek"),
    decrypt("decrypt the generated", "k@0",
            {"name": "k", "iv": "<<eek.0.iv>>", "material": "<<eek.0.encryptedKeyVersion.material>>"}),
    decrypt("decrypt", "k@0", SEALED, exact=True),
    post("roll", "/key/k", {"material": b64(KEK1)}),
    post("invalidate", "/key/k/_invalidatecache"),
    reencrypt("re-encrypt", "k@0", SEALED, exact=True),
    post("batch", "/key/k/_reencryptbatch", [entry("k@0"), entry("k@1")], exact=True),
    post("batch with a missing version", "/key/k/_reencryptbatch", [entry("k@9")]),
    post("batch with a version of another key", "/key/k2/_reencryptbatch", [entry("k@0")]),
    decrypt("decrypt a missing version", "k@9", SEALED),
    decrypt("decrypt a missing key", "missing@0", {**SEALED, "name": "missing"}),
    decrypt("decrypt with another name", "k@0", {**SEALED, "name": "k2"}, exact=True),
    decrypt("decrypt without name", "k@0", {"iv": b64(IV), "material": b64(EEK0)}, exact=True),
    decrypt("decrypt with 15 bytes of iv", "k@0", {**SEALED, "iv": b64(IV[:15])}),
    reencrypt("re-encrypt a missing version", "k@9", SEALED),
    reencrypt("re-encrypt with another name", "k@0", {**SEALED, "name": "k2"}),
    generate("generate for a missing key", "missing"),
    generate("generate none for a missing key", "missing", 0),
    post("roll a missing key", "/key/missing", {}),
    post("roll a missing key with material", "/key/missing", {"material": b64(KEK0)}),
    post("roll with wrong material", "/key/k", {"material": b64(KEK0[:8])}),
    post("invalidate a missing key", "/key/missing/_invalidatecache"),
    post("create again", "/keys", {"name": "k"}),
    post("create in upper case", "/keys", {"name": "K"}),
    post("create with wrong material", "/keys", {"name": "k3", "length": 256, "material": b64(KEK0)}),
    delete("delete without the operation", "/key/k", user="bob"),
    delete("delete a missing key", "/key/missing"),
    delete("delete", "/key/k"),
    get("deleted: current version", "/key/k/_currentversion"),
    get("names", "/keys/names"),

    options("anonymous handshake", "/", user=None),
    get("anonymous names", "/keys/names", user=None),
    get("anonymous metadata", "/key/k2", user=None),
    post("anonymous create", "/keys", {"name": "k5"}, user=None),
    get("anonymous on a missing path", "/nothing", user=None),
    get("anonymous with an empty cookie", "/keys/names", user=None, headers={"Cookie": "hadoop.auth="}),
    get("anonymous with a bad cookie", "/keys/names", user=None, headers={"Cookie": 'hadoop.auth="bad&s=bad"'}),
    get("anonymous with doAs", "/keys/names?doAs=alice", user=None),
    get("anonymous with an empty name", "/keys/names?user.name=", user=None),
]
