# SPDX-License-Identifier: Apache-2.0
"""Handshake, user.name and cookies, with the simple handler."""

from exchange import delete, get, head, options, post, put

SAFETY = ("Pragma", "X-Content-Type-Options", "X-XSS-Protection", "X-Frame-Options", "Server")
ALL_HEADERS = SAFETY + ("Cache-Control", "Expires", "Date")


def with_cookie(name, value, **more):
    return get(name, "/keys/names", user=None, headers={"Cookie": value}, **more)


OPEN = [
    # The client opens with OPTIONS on the URL it wants to use, then repeats it with its name.
    options("handshake without a name", "/", user=None, also=("Content-Length",)),
    options("handshake", "/", keep_cookie="alice"),
    options("handshake on the service root without slash", ""),
    options("handshake on a key", "/key/k1/_currentversion"),
    options("handshake on keys", "/keys"),
    options("handshake on names", "/keys/names"),
    options("handshake on metadata", "/keys/metadata?key=a&key=b"),
    options("handshake on versions", "/key/k1/_versions"),
    options("handshake on generate", "/key/k1/_eek?eek_op=generate&num_keys=10"),
    options("handshake on decrypt", "/keyversion/k1%400/_eek?eek_op=decrypt"),
    options("handshake on a key version", "/keyversion/k1%400"),
    options("handshake on batch", "/key/k1/_reencryptbatch"),
    options("handshake on invalidate", "/key/k1/_invalidatecache"),
    options("handshake on a missing path", "/nothing"),
    options("handshake below the servlet", "/", at="/kms"),
    options("handshake with doAs of oneself", "/?doAs=alice"),

    get("no credentials", "/keys/names", user=None, also=SAFETY),
    get("no credentials on the root", "/", user=None),
    get("no credentials on a missing path", "/nothing", user=None),
    head("no credentials, HEAD", "/keys/names", user=None),
    post("no credentials, POST", "/keys", {"name": "never"}, user=None),
    delete("no credentials, DELETE", "/key/never", user=None),
    put("no credentials, PUT", "/key/never", user=None),
    get("no credentials, wrong spelling", "/keys/names?User.Name=alice", user=None),
    get("empty name", "/keys/names?user.name=", user=None),
    get("name without value", "/keys/names?user.name", user=None),
    get("name twice, the first counts", "/keys/names?user.name=carol&user.name=alice", user=None),
    get("name with a space as plus", "/keys/names?user.name=al+ice", user=None),
    get("name with a space as percent", "/keys/names?user.name=al%20ice", user=None),
    get("name in UTF-8", "/keys/names?user.name=%C3%A5sa", user=None),
    get("name in UTF-8 outside Latin-1", "/keys/names?user.name=%D0%BA%D0%BB", user=None, keep_cookie="cyrillic"),
    get("name with a slash and a realm", "/keys/names?user.name=alice%2Fhost%40REALM", user=None),
    get("name with an ampersand", "/keys/names?user.name=a%26b", user=None),
    get("name in upper case", "/keys/names?user.name=ALICE", user=None),
    get("name that is a number", "/keys/names?user.name=0", user=None),
    get("name with an encoded parameter name", "/keys/names?user%2Ename=alice", user=None),
    post("name only in a form body", "/key/k1/_invalidatecache", user=None, body=b"user.name=alice",
         type="application/x-www-form-urlencoded"),
    get("Authorization Basic is ignored", "/keys/names", headers={"Authorization": "Basic YTpi"}),
    get("Authorization Negotiate is ignored", "/keys/names", user=None,
        headers={"Authorization": "Negotiate YTpi"}),
    get("success headers", "/keys/names", also=ALL_HEADERS),

    with_cookie("cookie quoted", 'hadoop.auth="<<alice>>"'),
    with_cookie("cookie unquoted", "hadoop.auth=<<alice>>"),
    with_cookie("cookie among others", 'a=b; hadoop.auth="<<alice>>"; c=d'),
    with_cookie("cookie after a broken one", 'hadoop.auth="x"; hadoop.auth="<<alice>>"'),
    with_cookie("cookie before a broken one", 'hadoop.auth="<<alice>>"; hadoop.auth="x"'),
    with_cookie("cookie with a version attribute", '$Version=1; hadoop.auth="<<alice>>"; $Path=/'),
    with_cookie("cookie under another case", 'Hadoop.Auth="<<alice>>"'),
    with_cookie("cookie empty", "hadoop.auth="),
    with_cookie("cookie empty and quoted", 'hadoop.auth=""'),
    with_cookie("cookie without value", "hadoop.auth"),
    with_cookie("cookie without signature", 'hadoop.auth="u=alice&p=alice&t=simple-dt&e=9999999999999"'),
    with_cookie("cookie with an empty signature", 'hadoop.auth="u=alice&p=alice&t=simple-dt&e=9999999999999&s="'),
    with_cookie("cookie with a foreign signature",
                'hadoop.auth="u=alice&p=alice&t=simple-dt&e=9999999999999'
                '&s=PKhRj2UhfFX3f8npitdvXw9eqP8f+Uc7ujk1N0HlT6o="'),
    with_cookie("cookie of the past with a foreign signature",
                'hadoop.auth="u=alice&p=alice&t=simple-dt&e=1&s=PKhRj2UhfFX3f8npitdvXw9eqP8f+Uc7ujk1N0HlT6o="'),
    with_cookie("cookie with something appended", 'hadoop.auth="<<alice>>x"'),
    with_cookie("cookie with another user", 'hadoop.auth="u=root&<<alice>>"'),
    with_cookie("cookie with a second signature", 'hadoop.auth="<<alice>>&s=AAAA"'),
    with_cookie("cookie of a name outside Latin-1", 'hadoop.auth="<<cyrillic>>"'),
    with_cookie("cookie with garbage", 'hadoop.auth="%%%"'),
    with_cookie("cookie with only a separator", 'hadoop.auth="&s="'),
    get("bad cookie and a name", "/keys/names", headers={"Cookie": 'hadoop.auth="bad&s=bad"'}),
    get("empty cookie and a name", "/keys/names", headers={"Cookie": "hadoop.auth="}),
    get("cookie and a name, the cookie counts", "/keys/names", user="carol",
        headers={"Cookie": 'hadoop.auth="<<alice>>"'}),
    options("handshake with a cookie", "/", user=None, headers={"Cookie": 'hadoop.auth="<<alice>>"'}),
    options("handshake with a bad cookie", "/", user=None, headers={"Cookie": 'hadoop.auth="bad&s=bad"'}),
    options("handshake with a bad cookie and a name", "/", headers={"Cookie": 'hadoop.auth="bad&s=bad"'}),
    get("cookie on a missing path", "/nothing", user=None, headers={"Cookie": 'hadoop.auth="<<alice>>"'}),
    get("doAs of oneself", "/keys/names?doAs=alice"),
    get("doAs of somebody else", "/keys/names?doAs=bob"),
    get("doAs in another case", "/keys/names?DOAS=bob"),
    get("doAs empty", "/keys/names?doAs="),
    get("doAs by cookie", "/keys/names?doAs=bob", user=None, headers={"Cookie": 'hadoop.auth="<<alice>>"'}),
    options("handshake with doAs of somebody else", "/?doAs=bob"),
]
