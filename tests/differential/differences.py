# SPDX-License-Identifier: Apache-2.0
"""Where ours deliberately answers differently than Hadoop; the reasons in full are in differences.md.

Each entry rewrites the reference's answer into the one expected of ours, or returns None where it does not
apply. An entry that is never met, or an exchange that answers like the reference after all, is a failure:
the list must stay true.
"""

from dataclasses import dataclass
from typing import Callable

ANY_TEXT = "<any text>"
ANYTHING = "<anything>"
NULL_POINTER = "java.lang.NullPointerException"
ILLEGAL_ARGUMENT = "java.lang.IllegalArgumentException"
DENIED = "org.apache.hadoop.security.authorize.AuthorizationException"
NOT_FOUND = "com.sun.jersey.api.NotFoundException"
WEB_APPLICATION = "javax.ws.rs.WebApplicationException"
JSON_FAILURES = ("com.fasterxml.jackson.core.JsonParseException", "com.fasterxml.jackson.core.io.JsonEOFException",
                 "com.fasterxml.jackson.databind.exc.MismatchedInputException", "java.lang.ClassCastException",
                 "com.sun.jersey.api.ParamException$QueryParamException")
REASONS = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
           415: "Unsupported Media Type", 500: "Internal Server Error"}


@dataclass
class Difference:
    name: str
    rewrite: Callable


DIFFERENCES = []


def difference(name):
    def add(rewrite):
        DIFFERENCES.append(Difference(name, rewrite))
        return rewrite
    return add


def one_of(*values):
    return {"<one of>": list(values)}


def matches(wanted, found):
    if wanted == ANYTHING:
        return True
    if wanted == ANY_TEXT:
        return isinstance(found, str)
    if isinstance(wanted, dict) and "<one of>" in wanted:
        return any(matches(w, found) for w in wanted["<one of>"])
    if isinstance(wanted, dict) and isinstance(found, dict):
        return wanted.keys() == found.keys() and all(matches(w, found[k]) for k, w in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(matches, wanted, found))
    return wanted == found


def matches_answer(wanted, found):
    """Of a page of the container only the status line and the authentication headers count."""
    if wanted.get("body") == "<page>" and "error" not in found:
        headers = {n: v for n, v in found["headers"].items() if n != "Content-Type"}
        found = {**found, "body": "<page>", "headers": headers}
    return matches(wanted, found)


def remote(answer):
    """Class and message of the RemoteException in an answer."""
    body = answer.get("body")
    error = body.get("RemoteException", {}) if isinstance(body, dict) else {}
    return error.get("javaClassName"), error.get("message") or ""


def simple(name):
    return name.rpartition(".")[2].rpartition("$")[2]


def failure(answer, status, *classes, message=ANY_TEXT):
    """The same answer as a RemoteException of another status and class."""
    headers = {**answer.get("headers", {}), "Content-Type": "application/json"}
    headers.pop("Location", None)
    errors = [{"RemoteException": {"message": message, "exception": simple(c), "javaClassName": c}} for c in classes]
    return {"status": status, "reason": REASONS[status], "headers": headers, "body": one_of(*errors)}


def status(answer, code):
    return {**answer, "status": code, "reason": REASONS[code]}


@difference("location")
def _(exchange, answer):
    where = answer.get("headers", {}).get("Location", "")
    if "/kms/v1/keys/v1/key/" in where:
        return {**answer, "headers": {**answer["headers"],
                                      "Location": where.replace("/kms/v1/keys/v1/key/", "/kms/v1/key/", 1)}}
    return None


@difference("anonymous-401")
def _(exchange, answer):
    if not exchange.name.startswith("anonymous"):
        return None
    return {"status": 401, "reason": ANY_TEXT, "body": "" if exchange.method == "OPTIONS" else "<page>",
            "headers": {"WWW-Authenticate": "PseudoAuth", "Set-Cookie": "hadoop.auth=; HttpOnly"}}


@difference("unusable-name")
def _(exchange, answer):
    if answer.get("status") == 500 and answer["reason"] == "Server Error" and answer["body"] == "<page>" and \
            not exchange.negotiate:
        return {"status": one_of(400, 401, 403), "reason": ANY_TEXT, "headers": ANYTHING, "body": ANYTHING}
    return None


@difference("utf8-users")
def _(exchange, answer):
    if exchange.name in ("name in UTF-8", "name in UTF-8 outside Latin-1"):
        return {**answer, "headers": {**answer["headers"], "Set-Cookie": ANY_TEXT}}
    if exchange.name in ("cookie of a name outside Latin-1", "user in UTF-8"):
        return {"status": 200, "reason": "OK", "headers": ANYTHING, "body": []}
    return None


@difference("unknown-path-404")
def _(exchange, answer):
    if remote(answer)[0] == NOT_FOUND or (exchange.name == "HEAD of a missing path" and answer["status"] == 500):
        return status(answer, 404)
    return None


@difference("accept-ignored")
def _(exchange, answer):
    if remote(answer)[0] == WEB_APPLICATION and exchange.headers.get("Accept") in ("text/xml", "text/html"):
        return {**answer, "status": 200, "reason": "OK", "body": ANYTHING}
    return None


@difference("content-type-415")
def _(exchange, answer):
    name, message = remote(answer)
    unreadable = message.startswith("com.sun.jersey.api.MessageException")
    other = (exchange.type or "").split(";")[0].lower() != "application/json"
    broken = exchange.type == "nonsense" and answer.get("status") == 400
    if unreadable or broken or (name == WEB_APPLICATION and other):
        return failure(answer, 415, WEB_APPLICATION, message=ANYTHING)
    return None


@difference("wrong-method-405")
def _(exchange, answer):
    if remote(answer) == (WEB_APPLICATION, "") and answer["status"] == 500:
        return failure(answer, 405, WEB_APPLICATION, message=ANYTHING)
    if exchange.name == "HEAD of keys" and answer["status"] == 500:
        return status(answer, 405)
    return None


@difference("bad-request-400")
def _(exchange, answer):
    name, message = remote(answer)
    null = name == NULL_POINTER and message.startswith(("Cannot invoke", "null value in entry"))
    if answer.get("status") == 500 and (null or name in JSON_FAILURES):
        return failure(answer, 400, *JSON_FAILURES, NULL_POINTER, ILLEGAL_ARGUMENT)
    return None


@difference("strict-json-400")
def _(exchange, answer):
    if exchange.name in ("create from something after the end", "create from a second value after the end",
                         "create from UTF-16", "create with a lone surrogate in the name",
                         "create with a name twice", "create with an unknown member twice",
                         "create with an attribute twice", "roll with the material twice",
                         "decrypt with the name twice", "create with a NUL in the name"):
        return failure(answer, 400, *JSON_FAILURES, ILLEGAL_ARGUMENT)
    return None


@difference("num-keys-capped")
def _(exchange, answer):
    if exchange.name == "generate 10001":
        return failure(answer, 400, ILLEGAL_ARGUMENT)
    return None


@difference("generate-denied-403")
def _(exchange, answer):
    name, message = remote(answer)
    if name == "java.io.IOException" and message.startswith(DENIED + ": "):
        return failure(answer, 403, DENIED, message=message[len(DENIED) + 2:])
    return None


@difference("names-are-exact")
def _(exchange, answer):
    _, message = remote(answer)
    if exchange.name in ("case: metadata in capitals", "case: version in capitals"):
        return {**answer, "body": {}}
    if "KeyMetadata cannot be cast" in message:
        if exchange.method == "GET":
            return {**answer, "status": 200, "reason": "OK", "body": {}}
        return failure(answer, 400, ILLEGAL_ARGUMENT, message="'vector' not found")
    if "Can't cast key" in message:
        if exchange.method == "GET":
            return {**answer, "status": 200, "reason": "OK", "body": {}}
        return failure(answer, 500, "java.io.IOException", message="Key plain@0 does not exist in <provider>")
    return None


@difference("library-texts")
def _(exchange, answer):
    name, message = remote(answer)
    if any(text in message for text in ("Invalid AES key length", "Multiple entries with same key",
                                        "UncheckedExecutionException")):
        return {**answer, "body": {"RemoteException": {"message": ANY_TEXT, "exception": simple(name),
                                                       "javaClassName": name}}}
    return None


@difference("whole-numbers")
def _(exchange, answer):
    if exchange.name == "create from a fraction as length":
        return {"status": 201, "reason": "Created", "headers": ANYTHING, "body": ANYTHING}
    return None


@difference("null-body-first")
def _(exchange, answer):
    if exchange.name == "roll with null without ROLLOVER":
        return failure(answer, 400, NULL_POINTER)
    return None


@difference("no-host-json")
def _(exchange, answer):
    if exchange.name == "no Host header":
        return {"status": 400, "reason": "Bad Request", "headers": ANYTHING, "body": ANYTHING}
    return None


@difference("every-iv-checked")
def _(exchange, answer):
    if exchange.name == "batch with 15 bytes of iv, current version":
        return failure(answer, 500, "java.io.IOException")
    return None


@difference("reencrypt-same-key")
def _(exchange, answer):
    if exchange.name in ("batch with a version of another key", "re-encrypt with another name") and \
            answer.get("status") == 200:
        return failure(answer, 400, ILLEGAL_ARGUMENT)
    return None


@difference("negotiate-texts")
def _(exchange, answer):
    login = exchange.negotiate or "Authorization" in exchange.headers
    if login and answer.get("status") == 403 and answer["reason"].startswith(("GSSException: ", "java.nio.", "java.lang.Ill")):
        headers = {n: v for n, v in answer["headers"].items() if n != "WWW-Authenticate"}
        return {**answer, "reason": ANY_TEXT, "headers": headers}
    return None


@difference("no-rule-403")
def _(exchange, answer):
    if exchange.name.startswith("login: no rule applies") and answer.get("status") == 500:
        return {"status": 403, "reason": ANY_TEXT, "headers": {"Set-Cookie": "hadoop.auth=; HttpOnly"}, "body": answer["body"]}
    return None


@difference("one-form-of-a-token")
def _(exchange, answer):
    if exchange.name in ("token: use with damage: kind", "token: use with damage: more"):
        return failure(answer, 403, "org.apache.hadoop.security.authentication.client.AuthenticationException")
    if exchange.name in ("token: renew with damage: kind", "token: renew with damage: more"):
        return {"status": 403, "reason": ANY_TEXT, "headers": {"Set-Cookie": "hadoop.auth=; HttpOnly"}, "body": ""}
    return None


@difference("no-log-level")
def _(exchange, answer):
    if exchange.name == "logLevel":
        return {**answer, "status": 404, "reason": "Not Found", "body": ANYTHING}
    return None
