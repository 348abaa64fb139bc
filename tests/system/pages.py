# SPDX-License-Identifier: Apache-2.0
"""/health, /metrics, /jmx, /conf, /stacks: what monitors read, and what must not be in them."""
import os
import re
import xml.etree.ElementTree

from kms import equal, expect, fresh_dir, one_server, test, write

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? '
                    r'([-+]?(?:\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|Inf|NaN))(?: -?\d+)?$')


def prometheus(text):
    """Parses the text format strictly; (name, labels) -> value."""
    types, helps, samples, family = {}, set(), {}, None
    expect(text.endswith("\n"), "no newline at the end")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            expect(name not in helps, f"HELP twice: {name}")
            helps.add(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            expect(name not in types, f"TYPE twice: {name}")
            expect(kind in ("counter", "gauge", "histogram", "summary", "untyped"), line)
            types[name], family = kind, name
        elif line.startswith("#") or not line:
            raise AssertionError(f"unexpected line {line!r}")
        else:
            m = SAMPLE.match(line)
            expect(m, lambda: f"not a sample: {line!r}")
            name, labels, value = m.groups()
            base = re.sub(r"_(bucket|sum|count)$", "", name) if types.get(family) in ("histogram", "summary") else name
            expect(base == family, f"{name} stands under {family}")
            expect((name, labels) not in samples, f"twice: {line}")
            samples[name, labels] = float(value)
    for name, kind in types.items():
        if kind == "histogram":
            groups = {}
            for (n, labels), v in samples.items():
                if n == name + "_bucket":
                    rest = re.sub(r'(^|,)le="([^"]*)"', "", labels).strip(",")
                    le = re.search(r'le="([^"]*)"', labels).group(1)
                    groups.setdefault(rest, []).append((float("inf") if le == "+Inf" else float(le), v))
            for rest, buckets in groups.items():
                expect(buckets == sorted(buckets), f"{name}{{{rest}}}: buckets not in order")
                values = [v for _, v in buckets]
                expect(values == sorted(values), f"{name}{{{rest}}}: buckets not cumulative")
                equal(buckets[-1][0], float("inf"))
                equal(samples[name + "_count", rest or None], values[-1], f"{name} count")
    return samples


@test("/metrics is Prometheus text, counters only grow, and it tells what happened", "T-60")
def metrics():
    with one_server() as s:
        first = prometheus(s.call("GET", "/metrics", user=None).body.decode())
        s.create("k")
        for _ in range(5):
            s.call("GET", "/key/k/_eek?eek_op=generate")
        s.call("GET", "/keys/names", user=None)
        s.call("GET", "/nosuch")
        text = s.call("GET", "/metrics", user=None).body.decode()
        last = prometheus(text)
        counters = set(re.findall(r"^# TYPE (\S+) counter", text, re.M))
        for (name, labels), value in first.items():
            if name in counters:
                expect(last.get((name, labels), -1) >= value, f"{name} went back")
        equal(last["svsm_kms_keys", None], 1)
        equal(last["svsm_kms_changes_total", None], 1)
        equal(last["svsm_kms_store_epoch", None], 2)
        expect(any(v == 5 for (n, l), v in last.items() if l and "GENERATE_EEK" in l), text[:3000])
        expect(first["svsm_kms_service_restarts_total", None] == 0, "restarts")


@test("/jmx has the names that Hadoop's monitors look for", "T-60")
def jmx():
    with one_server() as s:
        s.create("k")
        s.call("GET", "/key/k/_eek?eek_op=generate")
        r = s.call("GET", "/jmx")
        beans = {b["name"]: b for b in r.json()["beans"]}
        text = r.body.decode()
        for word in ("java.lang:type=Memory", "JvmMetrics", "hadoop.kms.admin.calls.meter", "hadoop.kms.key.calls.meter",
                     "hadoop.kms.generate_eek.calls.meter", "hadoop.kms.decrypt_eek.calls.meter",
                     "hadoop.kms.unauthorized.calls.meter", "hadoop.kms.unauthenticated.calls.meter",
                     "hadoop.kms.invalid.calls.meter"):
            expect(word in text, word)
        equal(beans["metrics:name=hadoop.kms.admin.calls.meter"]["Count"], 1)
        equal(beans["metrics:name=hadoop.kms.generate_eek.calls.meter"]["Count"], 1)
        one = s.call("GET", "/jmx?qry=Hadoop:service=KMS,name=JvmMetrics").json()["beans"]
        equal([b["name"] for b in one], ["Hadoop:service=KMS,name=JvmMetrics"])
        expect(s.call("GET", "/kms/jmx").json()["beans"], "no beans under /kms/jmx")
        for q in ("qry=%00", "qry=" + "x" * 3000, "get=a", "get=a::b", "get=java.lang:type=Memory::nosuch", "qry=*:*&get=x"):
            r = s.call("GET", "/jmx?" + q)
            expect(r.status in (200, 400, 404), f"{q[:30]}: {r}")


@test("/conf shows what is in force, in XML and JSON, and no secret", "T-61")
def conf():
    secret = "s3cr3t-v4lue"
    path = os.path.join(fresh_dir(), "signature")
    write(path, secret)
    with one_server(site={"hadoop.kms.authentication.signer.secret.provider": "file",
                          "hadoop.kms.authentication.signature.secret.file": path,
                          "svsm.kms.eek.max": "77", "a.b.password": secret, "fs.s3a.secret.key": secret,
                          "some.credential": secret, "db.url": "jdbc://user:" + secret + "@host/db",
                          "markup": "<b>&\"'</b>"},
                    core={"hadoop.security.credential.clear-text-fallback": "x", "xpasswd": secret}) as s:
        for headers in ({"Accept": "application/json"}, {}, {"Accept": "text/xml"}):
            r = s.call("GET", "/conf", headers=headers)
            equal(r.status, 200)
            expect(secret not in r.body.decode(), "the secret is shown")
            expect("77" in r.body.decode(), "not in force")
            if "json" in headers.get("Accept", ""):
                props = {p["key"]: p["value"] for p in r.json()["properties"]}
            else:
                root = xml.etree.ElementTree.fromstring(r.body)
                props = {p.find("name").text: p.find("value").text for p in root}
            equal(props["svsm.kms.eek.max"], "77")
            equal(props["markup"], "<b>&\"'</b>")
        for name in ("a.b.password", "fs.s3a.secret.key", "db.url"):
            expect(secret not in s.call("GET", f"/conf?name={name}").body.decode(), name)
        r = s.call("GET", "/conf?name=" + "%0d%0aX-Injected:%20yes")
        equal(r.status, 404)
        expect(r.header("X-Injected") is None, r.headers)


@test("no page shows key material, cookies, or the platform's key", "T-61")
def nothing_secret():
    import base64
    with one_server() as s:
        material = s.create("k")["material"]
        cookie = s.call("OPTIONS", "/").cookie()
        with open(os.path.join(s.data, "platform.key"), "rb") as f:
            platform = f.read()
        for page in ("/health", "/metrics", "/jmx", "/conf", "/stacks", "/"):
            body = s.call("GET", page, headers={"Cookie": f"hadoop.auth={cookie}"}, user=None).body
            for what in (material.encode(), cookie.encode()[-44:], platform, platform.hex().encode(),
                         base64.b64encode(platform)):
                expect(what not in body, page)
        files = b""
        for name in os.listdir(s.data):
            if name != "platform.key":
                with open(os.path.join(s.data, name), "rb") as f:
                    files += f.read()
        raw = base64.urlsafe_b64decode(material + "==")
        for what in (raw, raw.hex().encode(), material.encode(), platform):
            expect(what not in files, "a secret is in the data directory in the clear")
        expect(material not in s.log() and cookie[-44:] not in s.log(), "in the log")


@test("a name that would be dangerous in a page or header stays text", "T-62")
def markup():
    with one_server() as s:
        for name in ("<script>alert(1)</script>", "a\r\nx-injected: yes", "\"},{\"x\":\"", "a%0d%0ax: y"):
            with s.conn() as c:
                from kms import quote
                r = c.request("POST", "/kms/v1/keys?user.name=alice", {"name": name})
                equal(r.status, 201)
                expect(r.header("X-Injected") is None and r.header("X") is None, r.headers)
                equal(r.json()["name"], name)
                r = c.request("GET", f"/kms/v1/key/{quote(name)}/_metadata?user.name=alice")
                equal(r.json()["name"], name)
                r = c.request("GET", "/nosuch?" + quote(name))
                expect(b"<script>" not in r.body, repr(r))
        equal(len(s.names()), 4)
