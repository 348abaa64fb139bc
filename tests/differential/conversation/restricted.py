# SPDX-License-Identifier: Apache-2.0
"""Operation ACLs, blacklists, key ACLs, groups and proxy users; see ../conf/restricted."""

from exchange import decrypt, delete, generate, get, options, post, reencrypt
from .vectors import EEK0, IV, KEK0, KEK1, b64, url


def sealed(name):
    return {"name": name, "iv": b64(IV), "material": b64(EEK0)}


def batch(name, key, user):
    return post(name, f"/key/{key}/_reencryptbatch", user=user, json=[
        {"versionName": f"{key}@0", "iv": url(IV),
         "encryptedKeyVersion": {"versionName": "EEK", "material": url(EEK0)}}])


def create(name, key, user, **members):
    return post(name, "/keys", {"name": key, **members}, user=user)


def acl(name):
    return {"key.acl.name": name}


def every_operation(user, key="stock"):
    """One request of each kind; the answers say what this user may do."""
    who = f"{user} on {key}"
    return [
        create(f"{who}: create", f"by-{user}-{key}", user),
        create(f"{who}: create with material", f"by-{user}-{key}-m", user, material=b64(KEK0)),
        get(f"{who}: names", "/keys/names", user=user),
        get(f"{who}: metadata", f"/key/{key}/_metadata", user=user),
        get(f"{who}: metadata list", f"/keys/metadata?key=stock&key={key}", user=user),
        get(f"{who}: current version", f"/key/{key}/_currentversion", user=user),
        get(f"{who}: versions", f"/key/{key}/_versions", user=user),
        get(f"{who}: version", f"/keyversion/{key}@0", user=user),
        generate(f"{who}: generate", key, user=user),
        decrypt(f"{who}: decrypt", f"{key}@0", sealed(key), user=user),
        reencrypt(f"{who}: re-encrypt", f"{key}@0", sealed(key), user=user),
        batch(f"{who}: batch", key, user),
        post(f"{who}: roll", f"/key/{key}", {}, user=user),
        post(f"{who}: roll with material", f"/key/{key}", {"material": b64(KEK1)}, user=user),
        post(f"{who}: invalidate", f"/key/{key}/_invalidatecache", user=user),
        delete(f"{who}: delete", f"/key/by-{user}-{key}", user=user),
    ]


RELOADED = {"hadoop.kms.acl.GET_KEYS": "carol", "default.key.acl.READ": "carol",
            "hadoop.kms.blacklist.GET_METADATA": None}

RESTRICTED = [
    create("stock: create", "stock", "admin", material=b64(KEK0)),
    create("locked: create", "locked", "admin", material=b64(KEK0)),
    create("group: create", "group", "admin", material=b64(KEK0)),
    create("dotted.name: create", "dotted.name", "admin", material=b64(KEK0)),
    create("own: create by its owner", "own", "bob"),
    create("own: create by the administrator", "own", "admin"),
    create("both: create", "both", "alice"),
    create("team: create by name", "team", "maker"),
    create("team: first member", "t1", "maker", attributes=acl("team")),
    create("team: second member", "t2", "admin", attributes=acl("team"), material=b64(KEK0)),
    create("team: not a manager", "t3", "alice", attributes=acl("team")),
    create("readonly: create", "readonly", "admin"),
    create("readonly: create with its ACL name", "readonly1", "admin", attributes=acl("readonly")),
    create("unknown type counts for nothing", "unknown", "admin"),
    create("empty entry counts for nothing", "void", "admin"),
    create("ACL name of a key without entries", "free", "admin", attributes=acl("nowhere")),
    create("ACL name empty", "free0", "admin", attributes=acl("")),
    create("ACL name of a name with dots", "free1", "admin", attributes=acl("dotted.name")),
    create("denied before the name is looked at in upper case", "UPPER", "carol"),
    create("denied for a name that exists", "stock", "carol"),
    create("denied before the length is looked at", "short", "carol", length=1),
    post("denied after the name is missed", "/keys", {}, user="carol"),
    create("ACL name of another key by maker", "t4", "maker", attributes=acl("locked")),
    get("free: metadata", "/key/free", user="admin"),
    get("t1: metadata", "/key/t1", user="alice"),

    *[e for user in ("admin", "maker", "alice", "bob", "carol", "reader", "auditor", "hdfs", "mallory", "eve")
      for e in every_operation(user)],
    *every_operation("admin", "locked"),
    *[e for user in ("carol", "alice", "auditor") for e in every_operation(user, "locked")[3:8]],
    *[e for user in ("alice", "bob", "hdfs", "maker") for e in every_operation(user, "t2")[3:15]],
    *[e for user in ("alice", "bob", "admin") for e in every_operation(user, "own")[3:15]],
    *[e for user in ("alice", "bob") for e in every_operation(user, "both")[3:15]],
    *[e for user in ("alice", "bob", "hdfs", "dave") for e in every_operation(user, "group")[3:13]],
    get("dotted.name: metadata by alice", "/key/dotted.name", user="alice"),
    get("dotted.name: metadata by reader", "/key/dotted.name", user="reader"),
    get("void: metadata by reader", "/key/void", user="reader"),
    get("unknown: metadata by reader", "/key/unknown", user="reader"),
    get("metadata list with one forbidden", "/keys/metadata?key=stock&key=locked&key=missing", user="reader"),
    get("metadata list of missing ones", "/keys/metadata?key=missing&key=none", user="carol"),
    get("metadata list forbidden as a whole", "/keys/metadata", user="mallory"),

    # The order of the checks
    get("missing key without READ", "/key/missing", user="carol"),
    get("missing key's versions without GET", "/key/missing/_versions", user="carol"),
    get("missing version without GET", "/keyversion/missing@0", user="carol"),
    get("missing version of a forbidden key", "/keyversion/locked@9", user="reader"),
    get("empty name without GET", "/key//_versions", user="carol"),
    get("empty name without GET_METADATA", "/key//_metadata", user="mallory"),
    delete("delete a missing key without DELETE", "/key/missing", user="carol"),
    delete("delete an empty name without DELETE", "/key/", user="carol"),
    delete("delete a missing key without MANAGEMENT", "/key/missing", user="alice"),
    delete("delete a forbidden key", "/key/locked", user="alice"),
    delete("delete by a blacklisted user", "/key/t1", user="maker"),
    post("roll a missing key without ROLLOVER", "/key/missing", {}, user="carol"),
    post("roll an empty name without ROLLOVER", "/key/", {}, user="carol"),
    post("roll a missing key without MANAGEMENT", "/key/missing", {}, user="alice"),
    post("roll with null without ROLLOVER", "/key/stock", None, user="carol"),
    post("invalidate an empty name without ROLLOVER", "/key//_invalidatecache", user="carol"),
    post("invalidate a missing key without ROLLOVER", "/key/missing/_invalidatecache", user="carol"),
    post("invalidate with DELETE only", "/key/stock/_invalidatecache", user="cleaner"),
    post("invalidate with DELETE blacklisted", "/key/stock/_invalidatecache", user="maker"),
    post("roll with DELETE only", "/key/stock", {}, user="cleaner"),
    generate("generate for a missing key without GENERATE_EEK", "missing", user="carol"),
    get("generate without operation and GENERATE_EEK", "/key/stock/_eek", user="carol"),
    get("generate with another operation without GENERATE_EEK", "/key/stock/_eek?eek_op=x", user="carol"),
    generate("generate a wrong number without GENERATE_EEK", "stock", "abc", user="carol"),
    generate("generate none without GENERATE_EEK", "stock", 0, user="carol"),
    generate("generate none without the key's GENERATE_EEK", "t2", 0, user="bob"),
    decrypt("decrypt a missing version without DECRYPT_EEK", "stock@99", sealed("stock"), user="hdfs"),
    decrypt("decrypt a version of another key without DECRYPT_EEK", "stock@0", sealed("other"), user="hdfs"),
    decrypt("decrypt a missing version of a forbidden key", "t2@99", sealed("t2"), user="bob"),
    decrypt("decrypt a forbidden key under another name", "t2@0", sealed("stock"), user="bob"),
    decrypt("decrypt without iv and DECRYPT_EEK", "stock@0", {"name": "stock", "material": ""}, user="hdfs"),
    decrypt("decrypt without name and DECRYPT_EEK", "stock@0", {"iv": "", "material": ""}, user="hdfs"),
    decrypt("decrypt a forbidden key with a wrong iv", "t2@0", {**sealed("t2"), "iv": "AAAA"}, user="bob"),
    post("other operation without DECRYPT_EEK", "/keyversion/stock@0/_eek?eek_op=x", sealed("stock"), user="hdfs"),
    reencrypt("re-encrypt a missing version without GENERATE_EEK", "stock@99", sealed("stock"), user="carol"),
    reencrypt("re-encrypt a forbidden key", "t2@0", sealed("t2"), user="bob"),
    post("batch of nothing without GENERATE_EEK", "/key/stock/_reencryptbatch", [], user="carol"),
    post("batch of nothing for a forbidden key", "/key/t2/_reencryptbatch", [], user="bob"),
    post("batch null without GENERATE_EEK", "/key/stock/_reencryptbatch", None, user="carol"),
    post("batch with a missing version of a forbidden key", "/key/t2/_reencryptbatch", user="bob", json=[
        {"versionName": "t2@9", "iv": "", "encryptedKeyVersion": {"versionName": "EEK", "material": ""}}]),
    post("batch of null without GENERATE_EEK", "/key/stock/_reencryptbatch", [None], user="carol"),
    get("missing path without rights", "/nothing", user="carol"),
    create("material empty without SET_KEY_MATERIAL", "empty-m", "maker", material=""),
    create("material null without SET_KEY_MATERIAL", "null-m", "maker", material=None),

    # Proxy users
    get("proxy for carol", "/key/stock?doAs=carol", user="proxy"),
    get("proxy for a member of staff", "/keys/names?doAs=alice", user="proxy"),
    get("proxy for admin", "/key/stock/_versions?doAs=admin", user="proxy"),
    get("proxy for a stranger", "/keys/names?doAs=reader", user="proxy"),
    get("proxy as itself", "/keys/names", user="proxy"),
    get("proxy for itself", "/keys/names?doAs=proxy", user="proxy"),
    get("proxy, blacklisted by its own name", "/key/stock?doAs=admin", user="proxy"),
    get("proxy, first doAs counts", "/keys/names?doAs=alice&doAs=reader", user="proxy"),
    get("proxy, parameter in capitals", "/keys/names?DOAS=alice", user="proxy"),
    get("proxy with an empty doAs", "/keys/names?doAs=", user="proxy"),
    get("gateway from a wrong address", "/keys/names?doAs=alice", user="gateway"),
    get("proxy without hosts", "/keys/names?doAs=alice", user="dave"),
    get("no proxy at all", "/keys/names?doAs=alice", user="bob"),
    options("proxy handshake", "/?doAs=alice", user="proxy", keep_cookie="proxy"),
    options("proxy handshake refused", "/?doAs=reader", user="proxy"),
    get("proxy with a cookie", "/keys/names?doAs=alice", user=None, headers={"Cookie": 'hadoop.auth="<<proxy>>"'}),
    get("proxy with a cookie for a stranger", "/keys/names?doAs=reader", user=None,
        headers={"Cookie": 'hadoop.auth="<<proxy>>"'}),
    get("token for a proxied user", "/?op=GETDELEGATIONTOKEN&renewer=yarn&doAs=alice", user="proxy", keep="token"),
    get("token for a stranger", "/?op=GETDELEGATIONTOKEN&renewer=yarn&doAs=reader", user="proxy"),
    get("token of a proxied user in use", "/keys/names", user=None,
        headers={"X-Hadoop-Delegation-Token": "<<token.Token.urlString>>"}),

    # The file is read again when it changes
    get("reload: before, carol", "/keys/names", user="carol"),
    get("reload: after, carol", "/keys/names", user="carol", edit_acls=RELOADED),
    get("reload: after, alice", "/keys/names", user="alice"),
    get("reload: after, key ACL of carol", "/key/stock", user="carol"),
    get("reload: after, key ACL of reader", "/key/stock", user="reader"),
    get("reload: after, without blacklist", "/key/locked", user="mallory"),
    get("reload: a broken file changes nothing", "/keys/names", user="carol", edit_acls="<configuration>"),
]
