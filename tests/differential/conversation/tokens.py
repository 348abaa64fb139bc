# SPDX-License-Identifier: Apache-2.0
"""Delegation tokens with the simple handler."""

from exchange import get, options, post, put

TOKEN = {"X-Hadoop-Delegation-Token": "<<token.Token.urlString>>"}

DAMAGES = ("version", "owner", "sequence", "key", "password", "kind", "short", "cut", "more", "length", "standard")


def damages(what, name, exchange, kinds=DAMAGES):
    """An exchange for each thing that can be wrong with the token of that name; see exchange.damaged()."""
    return [exchange(f"token: {what} with damage: {kind}", f"<<{name}.Token.urlString|{kind}>>") for kind in kinds]


OPEN = [
    get("token: get", "/?op=GETDELEGATIONTOKEN&renewer=yarn", keep="token", also=("Cache-Control",)),
    get("token: get without renewer", "/?op=GETDELEGATIONTOKEN"),
    get("token: get with a service", "/?op=GETDELEGATIONTOKEN&renewer=yarn&service=kms%3A%2F%2Fx"),
    get("token: get with a principal as renewer", "/?op=GETDELEGATIONTOKEN&renewer=yarn%2Fhost%40REALM"),
    get("token: operation in lower case", "/?op=getdelegationtoken&renewer=yarn"),
    get("token: get below a key", "/key/vector?op=GETDELEGATIONTOKEN&renewer=yarn"),
    get("token: get on a missing path", "/nothing?op=GETDELEGATIONTOKEN&renewer=yarn"),
    get("token: get without credentials", "/?op=GETDELEGATIONTOKEN&renewer=yarn", user=None),
    get("token: get with a token", "/?op=GETDELEGATIONTOKEN&renewer=yarn", user=None, headers=TOKEN),
    get("token: get as somebody else", "/?op=GETDELEGATIONTOKEN&renewer=yarn&doAs=bob"),
    put("token: get by PUT", "/?op=GETDELEGATIONTOKEN&renewer=yarn"),
    post("token: get by POST", "/?op=GETDELEGATIONTOKEN&renewer=yarn"),
    options("token: handshake for get", "/?op=GETDELEGATIONTOKEN&renewer=yarn"),
    get("token: unknown operation", "/?op=NOTHING"),

    get("token: use by header", "/key/vector/_metadata", user=None, headers=TOKEN),
    get("token: use by parameter", "/key/vector/_metadata?delegation=<<token.Token.urlString>>", user=None),
    get("token: use with another name", "/key/vector/_metadata", user="bob", headers=TOKEN),
    get("token: use with doAs", "/key/vector/_metadata?doAs=bob", user=None, headers=TOKEN),
    options("token: handshake by header", "/", user=None, headers=TOKEN),
    get("token: garbage by header", "/keys/names", user=None, headers={"X-Hadoop-Delegation-Token": "garbage"}),
    get("token: empty header", "/keys/names", user=None, headers={"X-Hadoop-Delegation-Token": ""}),
    get("token: garbage with a name", "/keys/names", headers={"X-Hadoop-Delegation-Token": "garbage"}),
    get("token: a token unknown to the server", "/keys/names", user=None, headers={"X-Hadoop-Delegation-Token":
        "HAAEaGRmcwR5YXJuAIoBi8_laACKAYvz8ewAAQIU9lohVjUn8kuIIrgwPAd_yvuQ0p8Ga21zLWR0AA"}),
    get("token: good parameter, garbage header", "/keys/names?delegation=<<token.Token.urlString>>", user=None,
        headers={"X-Hadoop-Delegation-Token": "garbage"}),

    put("token: renew by the owner", "/?op=RENEWDELEGATIONTOKEN&token=<<token.Token.urlString>>"),
    put("token: renew by the renewer", "/?op=RENEWDELEGATIONTOKEN&token=<<token.Token.urlString>>", user="yarn"),
    put("token: renew without token", "/?op=RENEWDELEGATIONTOKEN", user="yarn"),
    put("token: renew garbage", "/?op=RENEWDELEGATIONTOKEN&token=garbage", user="yarn"),
    put("token: renew an unknown one", "/?op=RENEWDELEGATIONTOKEN&token="
        "HAAEaGRmcwR5YXJuAIoBi8_laACKAYvz8ewAAQIU9lohVjUn8kuIIrgwPAd_yvuQ0p8Ga21zLWR0AA", user="yarn"),
    put("token: renew without credentials", "/?op=RENEWDELEGATIONTOKEN&token=<<token.Token.urlString>>", user=None),
    put("token: renew with a token", "/?op=RENEWDELEGATIONTOKEN&token=<<token.Token.urlString>>", user=None,
        headers=TOKEN),
    get("token: renew by GET", "/?op=RENEWDELEGATIONTOKEN&token=<<token.Token.urlString>>", user="yarn"),

    put("token: cancel without token", "/?op=CANCELDELEGATIONTOKEN"),
    put("token: cancel garbage", "/?op=CANCELDELEGATIONTOKEN&token=garbage"),
    get("token: cancel by GET", "/?op=CANCELDELEGATIONTOKEN&token=<<token.Token.urlString>>"),
    options("token: a stranger's handshake", "/", user="mallory", keep_cookie="mallory"),
    options("token: the owner's handshake", "/", keep_cookie="owner"),
    put("token: cancel by a stranger's cookie", "/?op=CANCELDELEGATIONTOKEN&token=<<token.Token.urlString>>",
        user=None, headers={"Cookie": 'hadoop.auth="<<mallory>>"'}),
    put("token: cancel by the owner's cookie", "/?op=CANCELDELEGATIONTOKEN&token=<<token.Token.urlString>>",
        user=None, headers={"Cookie": 'hadoop.auth="<<owner>>"'}, also=("Content-Length",)),
    put("token: cancel again", "/?op=CANCELDELEGATIONTOKEN&token=<<token.Token.urlString>>"),
    get("token: use after cancel", "/keys/names", user=None, headers=TOKEN),
    put("token: renew after cancel", "/?op=RENEWDELEGATIONTOKEN&token=<<token.Token.urlString>>", user="yarn"),

    # The name in the query does not count for cancelling; whoever holds the token may end it.
    get("token: fourth", "/?op=GETDELEGATIONTOKEN&renewer=yarn", keep="token"),
    put("token: fourth cancelled under another name", "/?op=CANCELDELEGATIONTOKEN&token=<<token.Token.urlString>>",
        user="mallory"),
    put("token: get with a cookie by PUT", "/?op=GETDELEGATIONTOKEN", user=None,
        headers={"Cookie": 'hadoop.auth="<<owner>>"'}),
    get("token: get with a cookie", "/?op=GETDELEGATIONTOKEN&renewer=yarn", user=None,
        headers={"Cookie": 'hadoop.auth="<<owner>>"'}),
    get("token: get with a bad cookie", "/?op=GETDELEGATIONTOKEN&renewer=yarn", user=None,
        headers={"Cookie": 'hadoop.auth="bad&s=bad"'}),

    get("token: second", "/?op=GETDELEGATIONTOKEN&renewer=yarn", keep="token"),
    put("token: second cancelled by the renewer", "/?op=CANCELDELEGATIONTOKEN&token=<<token.Token.urlString>>",
        user="yarn"),
    get("token: third", "/?op=GETDELEGATIONTOKEN&renewer=yarn", keep="token"),
    put("token: third cancelled without credentials", "/?op=CANCELDELEGATIONTOKEN&token=<<token.Token.urlString>>",
        user=None),
]

# Tokens that end while one waits: renewed for 4 s at most, and 10 s in all.
RENEW, CANCEL = "/?op=RENEWDELEGATIONTOKEN&token=", "/?op=CANCELDELEGATIONTOKEN&token="
OTHER = {"X-Hadoop-Delegation-Token": "<<other.Token.urlString>>"}

BRIEF = [
    options("token: the renewer's handshake", "/", user="yarn", keep_cookie="yarn"),
    get("token: get", "/?op=GETDELEGATIONTOKEN&renewer=yarn", keep="token"),
    get("token: get another", "/?op=GETDELEGATIONTOKEN&renewer=yarn", keep="other"),
    get("token: use in time", "/keys/names", user=None, headers=TOKEN),
    get("token: use after its renewal date", "/keys/names", user=None, headers=TOKEN, pause=5.5),
    put("token: cancel after its renewal date, no credentials", CANCEL + "<<other.Token.urlString>>", user=None),
    put("token: renew after its renewal date", RENEW + "<<token.Token.urlString>>", user="yarn", numbers=False),
    get("token: use renewed", "/keys/names", user=None, headers=TOKEN),
    get("token: use what was not renewed", "/keys/names", user=None, headers=OTHER),
    get("token: use after its end", "/keys/names", user=None, headers=TOKEN, pause=6),
    put("token: renew after its end", RENEW + "<<token.Token.urlString>>", user="yarn"),
    put("token: cancel after its end, no credentials", CANCEL + "<<token.Token.urlString>>", user=None),
    put("token: cancel after its end", CANCEL + "<<token.Token.urlString>>", user=None,
        headers={"Cookie": 'hadoop.auth="<<yarn>>"'}),
]
