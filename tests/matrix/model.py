# SPDX-License-Identifier: Apache-2.0
"""Who may do what in Hadoop KMS, said once more and independently of the server: from its rules, not from its code.

A configuration is a dict of properties, a Caller somebody who has shown who he is. decide() gives what an operation
answers: ("ok",), ("op",) an operation ACL refuses, ("key",) a key ACL, ("create",) the rule for new keys.
"""
from dataclasses import dataclass

TYPES = ("CREATE", "DELETE", "ROLLOVER", "GET", "GET_KEYS", "GET_METADATA", "SET_KEY_MATERIAL", "GENERATE_EEK", "DECRYPT_EEK")
KEY_TYPES = ("MANAGEMENT", "GENERATE_EEK", "DECRYPT_EEK", "READ")


@dataclass(frozen=True)
class Caller:
    user: str
    groups: frozenset
    real: str = ""      # who acts for user, if somebody does


def permits(value, caller):
    """An ACL: users, then behind the first space groups; `*` alone in either place is everybody."""
    parts = value.split(" ", 1)
    if any(p.strip() == "*" for p in parts) or value.strip() == "*":
        return True
    users, groups = ({e.strip() for e in part.split(",")} - {""} for part in (parts + [""])[:2])
    return caller.user in users or bool(groups & caller.groups) or bool(caller.real) and "~" + caller.real in users


def get(conf, name):
    """An empty value counts as not set."""
    return conf.get(name) or None


def operation(conf, kind, caller):
    acl, black = get(conf, "hadoop.kms.acl." + kind), get(conf, "hadoop.kms.blacklist." + kind)
    return permits(acl if acl is not None else "*", caller) and not (black is not None and permits(black, caller))


def own_entries(conf, name):
    """Of key.acl.<name>.<type>, with the types that there are."""
    found = {}
    for p, value in conf.items():
        if p.startswith("key.acl.") and value:
            acl_name, kind = p[len("key.acl."):].rsplit(".", 1)
            if acl_name == name and kind in KEY_TYPES + ("ALL",):
                found[kind] = value
    return found


def key_rule(conf, name, kind, caller):
    """None: there is no rule for this at all, which refuses."""
    own = own_entries(conf, name)
    default, white = get(conf, "default.key.acl." + kind), get(conf, "whitelist.key.acl." + kind)
    if not own and default is None and white is None:
        return None
    for t in (kind, "ALL"):
        shared = t != "ALL"     # defaults and white lists know no ALL
        acl = own.get(t) if own else get(conf, "default.key.acl." + t) if shared else None
        if acl is not None and permits(acl, caller):
            return True
        white = get(conf, "whitelist.key.acl." + t) if shared else None
        if white is not None and permits(white, caller):
            return True
    return False


def key_checked(conf):
    return conf.get("hadoop.kms.key.authorization.enable", "true") == "true"


# What each operation asks for, in its order: operation ACLs (one of several may do), then the key's.
NEEDS = {
    "create": ((("CREATE",),), "MANAGEMENT"),
    "create with material": ((("CREATE",), ("SET_KEY_MATERIAL",)), "MANAGEMENT"),
    "delete": ((("DELETE",),), "MANAGEMENT"),
    "roll": ((("ROLLOVER",),), "MANAGEMENT"),
    "roll with material": ((("ROLLOVER",), ("SET_KEY_MATERIAL",)), "MANAGEMENT"),
    "invalidate": ((("ROLLOVER", "DELETE"),), "MANAGEMENT"),
    "names": ((("GET_KEYS",),), None),
    "metadatas": ((("GET_METADATA",),), "READ"),
    "metadata": ((("GET_METADATA",),), "READ"),
    "current": ((("GET",),), "READ"),
    "version": ((("GET",),), "READ"),
    "versions": ((("GET",),), "READ"),
    "generate": ((("GENERATE_EEK",),), "GENERATE_EEK"),
    "decrypt": ((("DECRYPT_EEK",),), "DECRYPT_EEK"),
    "reencrypt": ((("GENERATE_EEK",),), "GENERATE_EEK"),
    "batch": ((("GENERATE_EEK",),), "GENERATE_EEK"),
}


def decide(conf, op, acl_name, caller):
    acls, key = NEEDS[op]
    for one_of in acls:
        if not any(operation(conf, kind, caller) for kind in one_of):
            return "op"
    if key is None or not key_checked(conf):
        return "ok"
    if key_rule(conf, acl_name, key, caller):
        return "ok"
    return "create" if op.startswith("create") else "key"


def shows_material(conf, caller):
    """Whether new material is in the answer that made it."""
    return operation(conf, "GET", caller)


def impersonates(conf, real, user, groups, address_in):
    """What doAs= gets: "ok", "user" (not for whom), "host" (not from where). address_in: is the caller in that entry?"""
    prefix = f"hadoop.kms.proxyuser.{real}."
    users, of_groups = get(conf, prefix + "users"), get(conf, prefix + "groups")
    lists = [v for v in (users, of_groups) if v is not None]
    if not lists:
        return "user"
    named = {e.strip() for e in (users or "").split(",")}, {e.strip() for e in (of_groups or "").split(",")}
    if not (any(v.strip() == "*" for v in lists) or user in named[0] or groups & (named[1] - {""})):
        return "user"
    hosts = [e.strip() for e in (get(conf, prefix + "hosts") or "").split(",") if e.strip()]
    return "ok" if hosts == ["*"] or any(address_in(h) for h in hosts) else "host"
