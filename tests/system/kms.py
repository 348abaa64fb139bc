# SPDX-License-Identifier: Apache-2.0
"""What the suites of the whole server share: starting it, talking HTTP to it byte by byte, counting.

A test is a function under @test("sentence", "T-xx"): it returns when all is well, raises AssertionError
(see expect()) when not, and Skip when it cannot run here. Every server takes a free port on the loopback
address and a directory of its own, and is ended with the test, whatever happens.
"""
import atexit
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILD = os.path.abspath(os.environ.get("SVSM_BUILD") or os.path.join(ROOT, "build"))
BIN = os.path.abspath(os.environ.get("SVSM_KMS_BIN") or os.path.join(BUILD, "svsm-kms"))
SLOW = float(os.environ.get("SVSM_TEST_PATIENCE", "1"))    # times longer before something counts as hanging
JSON = {"Content-Type": "application/json"}


def sanitized():
    """With which sanitizer the server was built: then it uses more memory, and its core has no filter."""
    with open(BIN, "rb") as f:
        text = f.read()
    return "address" if b"__asan_init" in text else "thread" if b"__tsan_init" in text else ""


scratch = tempfile.mkdtemp(prefix="svsm-kms-test-")
servers = []
last_words = []     # logs of servers whose test failed


def clean_up():
    for s in list(servers):
        s.kill()
    shutil.rmtree(scratch, ignore_errors=True)


atexit.register(clean_up)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda n, _: sys.exit(128 + n))


class Skip(Exception):
    """The test cannot run here; the reason."""


def expect(condition, what="expected otherwise"):
    if not condition:
        raise AssertionError(what() if callable(what) else what)


def equal(seen, wanted, what=""):
    if seen != wanted:
        raise AssertionError(f"{what + ': ' if what else ''}seen {seen!r:.1500}, wanted {wanted!r:.1500}")


def wait_for(condition, what="it did not happen"):
    """Polls; the last value of the condition. Patience is generous: no test is about speed."""
    end = time.monotonic() + 60 * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(what() if callable(what) else what)
        time.sleep(0.02)


def fresh_dir(name="d"):
    return tempfile.mkdtemp(prefix=name + "-", dir=scratch)


# ---- configuration -------------------------------------------------------------------------------

# Settings that every configuration made here begins with, and the context for the ports that speak TLS.
EVERYWHERE, TLS, tls_ports = {}, None, set()
OPEN_ACLS = {f"default.key.acl.{t}": "*" for t in ("MANAGEMENT", "GENERATE_EEK", "DECRYPT_EEK", "READ")}


def xml(props):
    from xml.sax.saxutils import escape
    lines = ["<?xml version=\"1.0\"?>", "<configuration>"]
    for name, value in props.items():
        lines.append(f"<property><name>{escape(name)}</name><value>{escape(value)}</value></property>")
    return "\n".join(lines + ["</configuration>", ""])


def write(path, text, mode=0o600):
    """Under another name first: a server that looks meanwhile sees the old or the new."""
    data = text if isinstance(text, bytes) else text.encode()
    fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "wb") as f:
        f.write(data)
    os.rename(path + ".new", path)


def conf_dir(site=None, acls=None, core=None):
    """A configuration directory; raw text instead of a dict is written as it is."""
    d = fresh_dir("conf")
    if not isinstance(site, (str, bytes)):
        site = {**EVERYWHERE, **(site or {})}
    for name, props in (("kms-site.xml", site),
                        ("kms-acls.xml", OPEN_ACLS if acls is None else acls), ("core-site.xml", core or {})):
        write(os.path.join(d, name), props if isinstance(props, (str, bytes)) else xml(props))
    return d


# ---- HTTP ----------------------------------------------------------------------------------------

class Closed(Exception):
    """The connection ended before a whole answer."""


class Reply:
    def __init__(self, status, reason, headers, body):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body

    def __repr__(self):
        return f"{self.status} {self.reason} {self.body[:600]!r}"

    def header(self, name, default=None):
        for n, v in self.headers:
            if n.lower() == name.lower():
                return v
        return default

    def json(self):
        return json.loads(self.body)

    def error(self):
        """Simple name of the exception and message of a RemoteException; ("", "") where there is none."""
        try:
            e = self.json()["RemoteException"]
            return e["exception"], e["message"]
        except (ValueError, KeyError, TypeError):
            return "", ""

    def cookie(self):
        m = re.match(r'hadoop\.auth="([^"]*)"', self.header("Set-Cookie", ""))
        return m and m.group(1)


class Conn:
    """One connection. Sends what it is told, reads answers one after the other."""

    def __init__(self, port, timeout=30, host="127.0.0.1", tls=None):
        self.sock = socket.create_connection((host, port), timeout=timeout * SLOW)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = tls or (TLS if port in tls_ports else None)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
        self.buf = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def _more(self):
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed(f"closed after {self.buf[:300]!r}")
        self.buf += data

    def read(self, head=False):
        """The next answer; head: it belongs to a HEAD request."""
        while b"\r\n\r\n" not in self.buf:
            self._more()
        top, _, self.buf = self.buf.partition(b"\r\n\r\n")
        lines = top.decode("latin-1").split("\r\n")
        m = re.match(r"HTTP/1\.1 (\d{3}) (.*)$", lines[0])
        expect(m, lambda: f"not a status line: {lines[0]!r}")
        headers = []
        for line in lines[1:]:
            name, sep, value = line.partition(":")
            expect(sep and re.fullmatch(r"[A-Za-z0-9-]+", name), lambda: f"not a header: {line!r}")
            headers.append((name, value.strip()))
        r = Reply(int(m.group(1)), m.group(2), headers, b"")
        if r.status == 100:
            return self.read(head)
        n = r.header("Content-Length")
        expect(n is not None and n.isdigit(), "no Content-Length")
        if not head:
            while len(self.buf) < int(n):
                self._more()
            r.body, self.buf = self.buf[:int(n)], self.buf[int(n):]
        return r

    def ended(self):
        """True when the server closes, with nothing more to say."""
        try:
            while True:
                self._more()
        except Closed:
            return not self.buf
        except socket.timeout:
            return False

    def request(self, method, path, body=None, headers=None):
        self.send(request(method, path, body, headers))
        return self.read(head=method == "HEAD")


def request(method, path, body=None, headers=None, version="1.1"):
    """The bytes of a request. A dict or list as body becomes JSON."""
    lines = [f"{method} {path} HTTP/{version}", "Host: kms.test"]
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
    if body is not None and not (headers and "Content-Type" in headers):
        lines.append("Content-Type: application/json")
    for name, value in (headers or {}).items():
        lines.append(f"{name}: {value}")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines + ["", ""]).encode("latin-1") + (body or b"")


LARGE = {"description": "d" * 4000, "attributes": {"a": "b" * 12000}}     # what makes a key take 16 KB


def fill_up(c, batch):
    """Creates large keys on a connection until some are refused; how many there are, and the refusals."""
    made = 0
    while made < 20000:
        for i in range(batch):
            c.send(request("POST", "/kms/v1/keys?user.name=alice", {"name": f"k{made + i}", **LARGE}))
        answers = [c.read() for _ in range(batch)]
        refused = [a for a in answers if a.status != 201]
        made += batch - len(refused)
        if refused:
            return made, refused
    raise AssertionError(f"{made} keys, and none refused")


def quote(name):
    return urllib.parse.quote(name, safe="")


# ---- the server ----------------------------------------------------------------------------------

READY = re.compile(r"^svsm-kms (\S+) ready on https?://(\S+):(\d+)/kms isolation=(\S+) data=(.*) keys=(\d+) epoch=(\d+)$")


class NotReady(Exception):
    """The server ended, or said nothing: code, what it wrote."""

    def __init__(self, code, err):
        super().__init__(f"exit code {code}: {err[-1500:]}")
        self.code, self.err = code, err


class Server:
    """A server process with its data; can be stopped and started again on them."""
    tls = None     # an ssl.SSLContext: what conn() and call() speak

    def __init__(self, site=None, acls=None, core=None, conf=None, data=None, plain=False, listen="127.0.0.1:0",
                 args=(), env=None, wrap=(), start=True):
        self.conf = None if plain else conf or conf_dir(site, acls, core)
        self.data = data or os.path.join(fresh_dir(), "data")
        self.listen, self.args, self.env, self.wrap = listen, list(args), env, list(wrap)
        self.process = None
        self.log_path = os.path.join(fresh_dir("log"), "stderr")
        servers.append(self)
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        if failure and failure is not Skip:
            last_words.append(self.log(all=True))
        self.kill()
        servers.remove(self)

    def command(self):
        cmd = self.wrap + [BIN, "serve", "--data", self.data]
        if self.listen:
            cmd += ["--listen", self.listen]
        if self.conf:
            cmd += ["--conf", self.conf]
        return cmd + self.args

    def start(self, timeout=60):
        """Returns when it is ready; raises NotReady when it ends instead."""
        log = open(self.log_path, "ab")
        self.log_from = log.tell()
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                        env={**os.environ, **(self.env or {})})
        log.close()
        got, lines = threading.Event(), []

        def reader(out):
            for raw in out:
                lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                if READY.match(lines[-1]):
                    got.set()
            got.set()

        thread = threading.Thread(target=reader, args=(self.process.stdout,), daemon=True)
        thread.start()
        self.out, self.out_thread = lines, thread
        if not got.wait(timeout * SLOW):
            self.kill()
            raise NotReady("none", "not ready, not ended: " + self.log())
        m = next((m for m in map(READY.match, lines) if m), None)
        if not m:
            code = self.process.wait(timeout * SLOW)
            raise NotReady(code, self.log())
        self.version, self.port, self.isolation = m.group(1), int(m.group(3)), m.group(4)
        self.keys, self.epoch = int(m.group(6)), int(m.group(7))
        (tls_ports.add if " ready on https://" in m.group(0) else tls_ports.discard)(self.port)
        return self

    def log(self, all=False):
        """What it wrote to standard error since it was last started."""
        with open(self.log_path, "rb") as f:
            f.seek(0 if all else self.log_from)
            return f.read().decode("utf-8", "replace")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, sign=signal.SIGTERM, timeout=30):
        """Asks it to end; the exit code."""
        self.process.send_signal(sign)
        return self.wait(timeout)

    def wait(self, timeout=30):
        try:
            code = self.process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the server did not end: " + self.log()[-800:]) from None
        self.out_thread.join(10)
        expect("Sanitizer" not in self.log(), lambda: "a sanitizer complains: " + self.log()[:6000])
        return code

    def kill(self):
        if self.running():
            self.process.kill()
            self.process.wait()

    def kill_service(self):
        """Also when it, or the whole server, is just ending by itself; False: there was none to kill."""
        pid = self.service()
        try:
            if pid:
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return bool(pid)

    def signal(self, sign):
        self.process.send_signal(sign)

    def service(self):
        """Process id of the trusted program, or None while there is none."""
        for pid, (parent, name, state) in processes().items():
            if parent == self.process.pid and name == "svsm-kms-service" and state != "Z":
                return pid
        return None

    # -- talking to it

    def conn(self, timeout=30):
        return Conn(self.port, timeout, tls=self.tls)

    def call(self, method, path, body=None, headers=None, user="alice", timeout=30):
        """One request on a connection of its own; path below /kms/v1 unless it has a scheme of its own."""
        if path.startswith(("/kms/", "/svsm/")) or path.split("?")[0] in ("/health", "/metrics", "/jmx", "/conf", "/stacks", "/"):
            full = path
        else:
            full = "/kms/v1" + path
        if user is not None:
            full += ("&" if "?" in full else "?") + "user.name=" + urllib.parse.quote(user)
        with self.conn(timeout) as c:
            return c.request(method, full, body, headers)

    def create(self, name, user="alice", **more):
        r = self.call("POST", "/keys", {"name": name, **more}, user=user)
        equal(r.status, 201, f"create of {name!r}: {r}")
        return r.json()

    def names(self):
        r = self.call("GET", "/keys/names")
        equal(r.status, 200, f"names: {r}")
        return r.json()

    def versions(self, name):
        r = self.call("GET", f"/key/{quote(name)}/_versions")
        equal(r.status, 200, f"versions of {name!r}: {r}")
        return r.json()

    def all_keys(self):
        """Everything it knows, for comparisons: name -> (metadata, versions)."""
        found = {}
        with self.conn() as c:
            for name in self.names():
                q = "user.name=alice"
                meta = c.request("GET", f"/kms/v1/key/{quote(name)}/_metadata?{q}")
                versions = c.request("GET", f"/kms/v1/key/{quote(name)}/_versions?{q}")
                equal((meta.status, versions.status), (200, 200), name)
                found[name] = (meta.json(), versions.json())
        return found

    def health(self):
        r = self.call("GET", "/health", user=None)
        equal(r.status, 200, f"/health: {r}")
        return r.json()

    def healthy(self):
        """Answers and is well; called after everything that might have hurt."""
        h = self.health()
        equal((h["status"], h["store"]), ("ok", "ready"), f"{h} {self.log()[-600:]}")
        equal(self.call("GET", "/key/no-such-key/_metadata").json(), {})
        return h

    def audit(self):
        with open(os.path.join(self.data, "kms-audit.log"), "rb") as f:
            return f.read().decode("utf-8", "replace")

    def rss(self):
        """Resident bytes of the proxy."""
        with open(f"/proc/{self.process.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def processes():
    """pid -> (parent, name, state)."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as f:
                stat = f.read().decode(errors="replace")
            with open(f"/proc/{entry}/cmdline", "rb") as f:
                first = f.read().split(b"\0")[0].decode(errors="replace")
        except OSError:
            continue
        name = stat[stat.index("(") + 1:stat.rindex(")")]
        rest = stat[stat.rindex(")") + 2:].split()
        if "svsm-kms-service".startswith(name) and os.path.basename(first) == "svsm-kms-service":
            name = "svsm-kms-service"
        found[int(entry)] = (int(rest[1]), name, rest[0])
    return found


def refused(code, *words, **options):
    """The server must not start: exit code, and each of the words in what it writes. Returns the text."""
    s = Server(start=False, **options)
    with s:
        try:
            s.start()
        except NotReady as e:
            err = e.err
            equal(e.code, code, f"exit code; it wrote {err[-700:]!r}")
            for w in words:
                expect(w in err, lambda: f"{w!r} is not in {err[-1500:]!r}")
            expect("Sanitizer" not in err, lambda: err[-3000:])
            return err
        raise AssertionError("it started")


@contextlib.contextmanager
def one_server(**options):
    """A server that must be well at the end, and stop cleanly."""
    with Server(**options) as s:
        yield s
        s.healthy()
        code = s.stop()
        equal(code, 0, f"exit code of the stop; {s.log()[-3000:]}")


# ---- counting ------------------------------------------------------------------------------------

tests = []


def test(sentence, *threats):
    def add(fn):
        tests.append((sentence, threats, fn))
        return fn
    return add


def run_tests(title):
    """Runs what was registered, or what the arguments name parts of; ends the program."""
    only = sys.argv[1:]
    passed = failed = skipped = 0
    if not os.access(BIN, os.X_OK):
        print(f"{BIN} is not there: build first")
        sys.exit(77)
    print(title)
    for sentence, threats, fn in tests:
        if only and not any(o in sentence or o in threats or o == fn.__module__ for o in only):
            continue
        tag = "".join(f" [{t}]" for t in threats)
        began = time.monotonic()
        try:
            fn()
            passed += 1
            print(f"ok      {sentence}{tag} ({time.monotonic() - began:.1f} s)", flush=True)
        except Skip as e:
            skipped += 1
            print(f"skipped {sentence}{tag}: {e}", flush=True)
        except Exception as e:  # pylint: disable=broad-except
            failed += 1
            print(f"FAILED  {sentence}{tag}\n        | {type(e).__name__}: {e}", flush=True)
            for line in traceback.format_exc(limit=-3, chain=False).splitlines()[1:-1]:
                print("        | " + line)
            for text in last_words + [s.log() for s in servers]:
                print("        | log: " + text[-2500:].replace("\n", "\n        | "))
        last_words.clear()
        for s in list(servers):
            s.kill()
            servers.remove(s)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)
