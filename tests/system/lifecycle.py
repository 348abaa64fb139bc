# SPDX-License-Identifier: Apache-2.0
"""Starting, stopping, reloading, and the death of the trusted program."""
import os
import re
import signal
import socket
import subprocess
import threading
import time

from kms import (BIN, Closed, Conn, NotReady, OPEN_ACLS, SLOW, Server, Skip, conf_dir, equal, expect, fresh_dir, one_server,
                 processes, refused, request, test, wait_for, write, xml)


@test("the ready line names version, address, isolation, data, keys and epoch")
def ready_line():
    with Server() as s:
        equal(len([x for x in s.out if " ready on " in x]), 1)
        equal((s.isolation, s.keys, s.epoch), ("process", 0, 1))
        s.create("k")
        equal(s.stop(), 0)
        s.start()
        equal((s.keys, s.epoch), (1, 3))    # the end of the audit chain is kept as well
        s.healthy()
        equal(s.stop(), 0)


@test("a start without configuration serves the loopback address with everything allowed")
def plain_start():
    with one_server(plain=True) as s:
        s.create("k")
        equal(s.call("GET", "/key/k/_currentversion").status, 200)


@test("without --conf an address that others can reach is refused", "T-20")
def no_public_without_conf():
    for listen in ("0.0.0.0:0", ":0", "*:0", "[::]:0", "127.0.0.1:0,0.0.0.0:0", "0.0.0.0:0,127.0.0.1:0"):
        err = refused(78, "only loopback", "--conf", plain=True, listen=listen)
        expect("every caller" in err, err)


@test("an address that only looks like loopback is refused without --conf", "T-20")
def no_lookalikes():
    for listen in ("127.example.invalid:0", "localhost.example.invalid:0", "127.0.0.1.example.invalid:0"):
        refused(78, "only loopback", plain=True, listen=listen)


@test("a --listen that is no list of addresses is refused with what it should be")
def bad_listen():
    for listen in ("nonsense", "127.0.0.1", "127.0.0.1:70000", "127.0.0.1:x", ",", "::1:0"):
        with Server(listen=listen, start=False) as s:
            try:
                s.start()
            except NotReady as e:
                expect(e.code > 0, f"{listen}: exit code {e.code}")
                expect("HOST:PORT" in e.err or "address" in e.err.lower() or "loopback" in e.err, e.err)
                continue
            raise AssertionError(f"{listen!r} was accepted")


@test("unknown arguments and stray words are refused with the usage")
def bad_arguments():
    for args in (["--nonsense"], ["stray"], ["--listen"]):
        with Server(args=args, start=False) as s:
            try:
                s.start()
                raise AssertionError(f"{args} accepted")
            except NotReady as e:
                equal(e.code, 2, e.err)
                expect("usage: svsm-kms serve" in e.err, e.err)


@test("several addresses are served at once")
def several_addresses():
    with Server(listen="127.0.0.1:0,[::1]:0", start=False) as s:
        try:
            s.start()
        except NotReady as e:
            if "assign requested address" in e.err or "not supported" in e.err:
                raise Skip("no IPv6 loopback") from None
            raise
        s.healthy()
        equal(s.stop(), 0)


@test("a port in use is said, with an exit code, and nothing is left behind")
def port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        err = refused(71, f"127.0.0.1:{port}", "in use", listen=f"127.0.0.1:{port}")
        expect("svsm-kms:" in err, err)


@test("a second server on the same data is refused and the first is not disturbed", "T-21")
def second_server():
    with one_server() as s:
        s.create("k")
        before = s.all_keys()
        refused(75, f"process {s.process.pid}", "writer.lock", "Stop the other process", conf=s.conf, data=s.data)
        equal(s.all_keys(), before)
        s.create("k2")


@test("a data directory that others may write to is refused")
def open_data_dir():
    for mode in (0o777, 0o720, 0o702):
        d = fresh_dir()
        os.chmod(d, mode)
        refused(78, d, "chmod", data=d)


@test("signals of a terminal reach the core as well, and do not end it")
def signals_for_the_group():
    with one_server(plain=True) as s:
        core = s.service()
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            os.kill(core, sign)
        time.sleep(0.3)
        s.create("k")
        equal(s.service(), core, "the core")
        equal(s.health()["serviceRestarts"], 0)


@test("SIGTERM and SIGINT end the server with exit code 0")
def clean_stops():
    for sign in (signal.SIGTERM, signal.SIGINT):
        with Server() as s:
            s.create("k")
            equal(s.stop(sign), 0)
            expect("stopped" in s.log(), s.log())


class Load:
    """Connections that create keys until they are told to stop or cut off; what was acknowledged."""

    def __init__(self, server, connections=8, prefix="load"):
        self.server, self.prefix, self.end = server, prefix, threading.Event()
        self.acked, self.bad, self.lock = {}, [], threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(connections)]
        for t in self.threads:
            t.start()

    def run(self, number):
        n = 0
        while not self.end.is_set():
            try:
                with self.server.conn() as c:
                    while not self.end.is_set():
                        name = f"{self.prefix}-{number}-{n}"
                        n += 1
                        r = c.request("POST", "/kms/v1/keys?user.name=load", {"name": name})
                        if r.status == 201:
                            with self.lock:
                                self.acked[name] = r.json()["material"]
                        elif r.status != 503:
                            self.bad.append(f"{name}: {r}")
                        if r.header("Connection") == "close":
                            break
            except (OSError, Closed):
                if not self.server.running():
                    return
                time.sleep(0.01)

    def stop(self):
        self.end.set()
        for t in self.threads:
            t.join(40)
            expect(not t.is_alive(), "a request never came back")
        equal(self.bad, [])


@test("a stop under load loses nothing that was acknowledged and leaves nothing half done", "T-22")
def stop_under_load():
    for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        with Server() as s:
            load = Load(s)
            wait_for(lambda: len(load.acked) > 50)
            equal(s.stop(sign), 0, s.log())
            load.stop()
            s.start()
            keys = s.all_keys()
            for name, material in load.acked.items():
                expect(name in keys, f"{name} was acknowledged and is gone")
                equal(keys[name][1][0]["material"], material)
            # What was not acknowledged may be there, but then wholly.
            for name, (meta, versions) in keys.items():
                equal((meta["versions"], len(versions)), (1, 1), name)
            equal(s.stop(), 0)


@test("requests that are under way when the server is told to stop get their answers")
def stop_answers():
    with Server() as s:
        conns = [s.conn() for _ in range(40)]
        for i, c in enumerate(conns):
            c.request("OPTIONS", "/kms/v1/?user.name=alice")
            c.send(request("POST", "/kms/v1/keys?user.name=alice", {"name": f"k{i}"}))
        s.signal(signal.SIGTERM)
        answered = 0
        for c in conns:
            try:
                r = c.read()
                equal(r.status, 201, repr(r))
                answered += 1
            except Closed:
                pass
            c.close()
        equal(s.wait(), 0)
        s.start()
        expect(s.keys >= answered, f"{answered} answered, {s.keys} there")
        equal(s.stop(), 0)


@test("a stop does not wait for ever for a trusted program that does not answer", "T-22", "T-30")
def stop_frozen_core():
    with Server() as s:
        s.create("k")
        c = s.conn(60)
        equal(c.request("GET", "/kms/v1/key/k?user.name=alice").status, 200)
        os.kill(s.service(), signal.SIGSTOP)
        c.send(request("GET", "/kms/v1/key/k?user.name=alice"))
        time.sleep(1)    # for the request to be under way; where it is not, there is nothing to wait for
        equal(s.stop(timeout=40), 0, s.log())
        c.close()
        s.start()
        equal(s.keys, 1)
        equal(s.stop(), 0)


@test("idle connections do not delay a stop")
def idle_stop():
    with Server() as s:
        conns = [s.conn() for _ in range(100)]
        half = s.conn()
        half.send(b"POST /kms/v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        equal(s.stop(timeout=20), 0)
        for c in conns:
            c.close()


# ---- refused configurations

def site(**props):
    return {k.replace("__", "-").replace("_", "."): v for k, v in props.items()}


@test("a misspelt setting of ours is refused with file, line and the right name", "T-23")
def misspelt():
    err = refused(78, "kms-site.xml:3", "svsm.kms.wrokers", "did you mean 'svsm.kms.workers'",
                  site={"svsm.kms.wrokers": "2"})
    expect(err.count("svsm-kms:") == 1, err)


@test("a value that is none is refused with file, line and what to write", "T-23")
def bad_values():
    for name, value, words in (
            ("svsm.kms.workers", "many", ("from 0 to 256",)),
            ("svsm.kms.workers", "-1", ("from 0 to 256",)),
            ("svsm.kms.workers", "99999999999999999999", ("from 0 to 256",)),
            ("svsm.kms.body.max", "16 apples", ("bytes",)),
            ("svsm.kms.pin", "yes", ("true or false",)),
            ("svsm.kms.listen", "::1:9600", ("HOST:PORT", "brackets")),
            ("svsm.kms.store.epoch.min", "0x", ("from 0",)),
            ("hadoop.kms.http.port", "65536", ("from 0 to 65535",)),
            ("hadoop.security.key.default.bitlength", "100", ("128|192|256",))):
        refused(78, "kms-site.xml:3", name, value, *words, site={name: value}, listen=None)


@test("unknown authentication, Kerberos without keys, TLS without a certificate and other key stores are refused, not ignored", "T-24")
def not_yet():
    refused(78, "kms-site.xml:3", "weaker authentication", site={"hadoop.kms.authentication.type": "ldap"})
    refused(78, "kerberos.keytab", site={"hadoop.kms.authentication.type": "kerberos",
                                         "hadoop.kms.authentication.kerberos.keytab": "/nonexistent"})
    refused(78, "TLS", "there is no certificate", "ssl.server.keystore.location", site={"hadoop.kms.ssl.enabled": "true"})
    refused(78, "kms-site.xml:3", "svsm-kms import", site={"hadoop.kms.key.provider.uri": "kms://http@other:9600/kms"})
    refused(78, "kms-site.xml:3", "zookeeper",
            site={"hadoop.kms.authentication.signer.secret.provider": "zookeeper"})


@test("a blacklist of groups is refused where no groups are known", "T-24")
def blind_blacklist():
    refused(78, "kms-acls.xml:3", "hadoop.kms.blacklist.DECRYPT_EEK", "svsm.kms.groups.os",
            acls={"hadoop.kms.blacklist.DECRYPT_EEK": " hdfs", **OPEN_ACLS})


@test("the Java server's key store setting is accepted with a notice")
def jceks():
    with Server(site={"hadoop.kms.key.provider.uri": "jceks://file@/var/kms/keys.jceks"}) as s:
        expect("hadoop.kms.key.provider.uri has no effect here" in s.log(), s.log())
        expect("svsm-kms import" in s.log(), s.log())
        s.healthy()
        equal(s.stop(), 0)


@test("missing, malformed and hostile configuration files are refused")
def broken_files():
    for name in ("kms-site.xml", "kms-acls.xml"):
        d = conf_dir()
        os.unlink(os.path.join(d, name))
        refused(78, name, conf=d)
    for text, word in (("<configuration><property></configuration>", "kms-site.xml:1"),
                       ("", "kms-site.xml"),
                       ("<!DOCTYPE x [<!ENTITY a 'aaaa'>]><configuration/>", "kms-site.xml"),
                       (b"\xff\xfe\x00", "kms-site.xml"),
                       ("<configuration><xi:include href='/etc/passwd' xmlns:xi='x'/></configuration>", "kms-site.xml")):
        refused(78, word, site=text)
    refused(78, "nosuch", conf="/nosuch")
    d = conf_dir()
    os.unlink(os.path.join(d, "core-site.xml"))
    with one_server(conf=d):
        pass


@test("a signature secret that is missing, empty or too long is refused")
def bad_secrets():
    d = fresh_dir()
    for content in (None, b"", b"x" * 4097):
        path = os.path.join(d, "secret")
        if content is not None:
            write(path, content)
        refused(78, path, site={"hadoop.kms.authentication.signer.secret.provider": "file",
                                "hadoop.kms.authentication.signature.secret.file": path})


# ---- reloading

DENY = {**OPEN_ACLS, "hadoop.kms.acl.GET_KEYS": "bob"}


@test("a changed kms-acls.xml is in force within seconds, without a signal", "T-25")
def hot_reload():
    with one_server() as s:
        equal(s.call("GET", "/keys/names").status, 200)
        write(os.path.join(s.conf, "kms-acls.xml"), xml(DENY))
        wait_for(lambda: s.call("GET", "/keys/names").status == 403, s.log)
        equal(s.call("GET", "/keys/names", user="bob").status, 200)
        write(os.path.join(s.conf, "kms-acls.xml"), xml(OPEN_ACLS))
        wait_for(lambda: s.call("GET", "/keys/names").status == 200, s.log)
        expect("kms-acls.xml reloaded" in s.log(), s.log())


@test("a reload that opens an operation to everybody by an empty value says so", "T-25")
def reload_warns():
    with one_server(acls={**OPEN_ACLS, "hadoop.kms.acl.GET_KEYS": " "}) as s:
        equal(s.call("GET", "/keys/names").status, 403)
        write(os.path.join(s.conf, "kms-acls.xml"), xml({**OPEN_ACLS, "hadoop.kms.acl.GET_KEYS": ""}))
        wait_for(lambda: "kms-acls.xml reloaded" in s.log(), s.log)
        equal(s.call("GET", "/keys/names").status, 200)
        expect("warning: " in s.log() and "hadoop.kms.acl.GET_KEYS is empty" in s.log() and "everyone" in s.log(), s.log())


@test("hot reload does not wait for a long audit window", "T-25")
def hot_reload_long_window():
    with one_server(site={"hadoop.kms.audit.aggregation.window.ms": "3600000"}) as s:
        time.sleep(1.5)
        write(os.path.join(s.conf, "kms-acls.xml"), xml(DENY))
        wait_for(lambda: s.call("GET", "/keys/names").status == 403, s.log)


@test("a broken kms-acls.xml leaves the old ACLs in force and says why", "T-25")
def broken_reload():
    with one_server(acls=DENY) as s:
        path = os.path.join(s.conf, "kms-acls.xml")
        for number, text in enumerate((
                "<configuration><property>", "", "x" * 1000,
                xml({**OPEN_ACLS, "hadoop.kms.blacklist.GET": " somegroup"}),
                xml({"hadoop.kms.acl.GET_KEYS": "u," * 600000}))):
            write(path, text)
            wait_for(lambda n=number: s.log().count("not reloaded, the old ACLs stay") >= n + 1, s.log)
            equal(s.call("GET", "/keys/names").status, 403)
            equal(s.call("GET", "/keys/names", user="bob").status, 200)
        os.unlink(path)
        time.sleep(1.3)
        equal(s.call("GET", "/keys/names").status, 403)
        write(path, xml(OPEN_ACLS))
        wait_for(lambda: s.call("GET", "/keys/names").status == 200, s.log)


@test("the ACLs that a broken file left in force survive the trusted program's death", "T-25", "T-30")
def broken_reload_then_death():
    # Large enough for the core to refuse, though each file and value is within its own limits.
    huge = {f"key.acl.k{i}.READ": "u," * 100000 for i in range(25)}
    with one_server(acls=DENY) as s:
        write(os.path.join(s.conf, "kms-acls.xml"), xml({**OPEN_ACLS, **huge}))
        wait_for(lambda: "not reloaded, the old ACLs stay" in s.log(), s.log)
        os.kill(s.service(), signal.SIGKILL)
        wait_for(lambda: "is back" in s.log(), s.log)
        equal(s.call("GET", "/keys/names").status, 403)
        equal(s.call("GET", "/keys/names", user="bob").status, 200)


@test("SIGHUP reloads configuration, ACLs and the signature secret, and keeps them when broken", "T-25")
def sighup():
    d = fresh_dir()
    secret = os.path.join(d, "secret")
    write(secret, b"first secret")
    props = {"hadoop.kms.authentication.signer.secret.provider": "file",
             "hadoop.kms.authentication.signature.secret.file": secret}
    with one_server(site=props) as s:
        old = s.call("OPTIONS", "/").cookie()
        write(secret, b"second secret")
        s.signal(signal.SIGHUP)
        wait_for(lambda: "configuration reloaded" in s.log(), s.log)
        new = s.call("OPTIONS", "/").cookie()
        for cookie in (old, new):    # the one before is still good, as while secrets roll
            equal(s.call("GET", "/keys/names", user=None, headers={"Cookie": f"hadoop.auth={cookie}"}).status, 200)
        write(os.path.join(s.conf, "kms-site.xml"), xml({**props, "svsm.kms.nonsense": "1"}))
        s.signal(signal.SIGHUP)
        wait_for(lambda: "configuration not reloaded, the old one stays" in s.log(), s.log)
        expect("svsm.kms.nonsense" in s.log(), s.log())
        equal(s.call("GET", "/keys/names", user=None, headers={"Cookie": f"hadoop.auth={new}"}).status, 200)
        write(os.path.join(s.conf, "kms-site.xml"), xml({**props, "hadoop.security.key.default.bitlength": "256"}))
        s.signal(signal.SIGHUP)
        wait_for(lambda: s.log().count("configuration reloaded") == 2, s.log)
        s.create("long")
        equal(s.call("GET", "/key/long/_metadata").json()["length"], 256)


@test("many SIGHUPs under load disturb nobody", "T-25")
def sighup_storm():
    with one_server() as s:
        load = Load(s, 4)
        for _ in range(30):
            s.signal(signal.SIGHUP)
            time.sleep(0.02)
        wait_for(lambda: len(load.acked) > 50)
        load.stop()
        keys = s.names()
        expect(set(load.acked) <= set(keys), "acknowledged keys are missing")


@test("after logrotate and SIGHUP the new log gets the lines, the old one keeps its own")
def logrotate():
    with one_server() as s:
        s.create("before")
        log = os.path.join(s.data, "kms-audit.log")
        os.rename(log, log + ".1")
        s.create("between")
        s.signal(signal.SIGHUP)
        wait_for(lambda: os.path.exists(log))
        s.create("after")
        old, new = open(log + ".1").read(), s.audit()
        expect("key=before" in old and "key=between" in old and "key=after" not in old, old)
        expect("key=after" in new and "key=between" not in new, new)


# ---- sizes

@test("a store of thousands of keys opens, lists and pages")
def thousands():
    with Server() as s:
        with s.conn() as c:
            c.request("OPTIONS", "/kms/v1/?user.name=alice")
        made = {}
        threads = []

        def make(part):
            with s.conn() as c:
                for i in range(part * 500, part * 500 + 500):
                    r = c.request("POST", "/kms/v1/keys?user.name=alice",
                                  {"name": f"key-number-{i:06d}-" + "x" * (i % 100), "description": "d" * (i % 50)})
                    made[r.json()["name"]] = r.json()["material"]

        for part in range(8):
            threads.append(threading.Thread(target=make, args=(part,)))
            threads[-1].start()
        for t in threads:
            t.join()
        equal(len(made), 4000)
        names = s.names()
        equal(len(names), 4000)
        equal(set(names), set(made))
        equal(s.stop(), 0)
        s.start()
        equal(s.keys, 4000)
        equal(sorted(s.names()), sorted(made))
        for name in sorted(made)[::97]:
            equal(s.versions(name)[0]["material"], made[name], name)
        s.healthy()
        equal(s.stop(), 0)


# ---- the death of the trusted program

@test("when the trusted program alone dies, it is started again with everything acknowledged", "T-30")
def service_death():
    with one_server() as s:
        load = Load(s)
        for round_ in range(3):
            time.sleep(0.7)    # more than the rate at which the server gives up
            pid = wait_for(s.service)
            seen = len(load.acked)
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda n=round_: s.log().count("the key service is back") > n, s.log)
            wait_for(lambda n=seen: len(load.acked) > n + 20, "no creates any more")
        load.stop()
        keys = s.all_keys()
        for name, material in load.acked.items():
            expect(name in keys, f"{name} was acknowledged and is gone")
            equal(keys[name][1][0]["material"], material)
        equal(s.health()["serviceRestarts"], 3)


@test("cookies signed with a random secret end with the trusted program; a file's do not", "T-31")
def cookies_die():
    with one_server() as s:
        cookie = {"Cookie": "hadoop.auth=" + s.call("OPTIONS", "/").cookie()}
        equal(s.call("GET", "/keys/names", user=None, headers=cookie).status, 200)
        os.kill(s.service(), signal.SIGKILL)
        wait_for(lambda: "is back" in s.log(), s.log)
        r = s.call("GET", "/keys/names", user=None, headers=cookie)
        equal(r.status, 401)
        expect("Invalid signature" in r.reason, r.reason)
        expect(r.header("WWW-Authenticate"), r.headers)
    d = fresh_dir()
    write(os.path.join(d, "secret"), b"a secret that stays")
    with one_server(site={"hadoop.kms.authentication.signer.secret.provider": "file",
                          "hadoop.kms.authentication.signature.secret.file": os.path.join(d, "secret")}) as s:
        cookie = {"Cookie": "hadoop.auth=" + s.call("OPTIONS", "/").cookie()}
        os.kill(s.service(), signal.SIGKILL)
        wait_for(lambda: "is back" in s.log(), s.log)
        equal(s.call("GET", "/keys/names", user=None, headers=cookie).status, 200)


@test("requests during the restart are told 503 or wait; none hangs, none lies", "T-30")
def during_restart():
    with one_server() as s:
        s.create("k")
        statuses = set()
        end = time.monotonic() + 2.5
        killed = False
        with s.conn() as c:
            while time.monotonic() < end:
                r = c.request("GET", "/kms/v1/key/k/_metadata?user.name=alice")
                statuses.add(r.status)
                if r.status == 200:
                    expect(r.json().get("name") == "k", f"a key that is there was denied: {r}")
                elif r.status == 503:
                    expect(r.error()[1], repr(r))
                if not killed:
                    os.kill(s.service(), signal.SIGKILL)
                    killed = True
        expect(statuses <= {200, 503} and 200 in statuses, f"{statuses}")


@test("a trusted program that dies again and again ends the server with the reason", "T-30")
def dies_repeatedly():
    with Server() as s:
        s.create("k")
        kills = 0
        end = time.monotonic() + 60 * SLOW
        while s.running() and time.monotonic() < end:
            kills += s.kill_service()
            time.sleep(0.005)
        expect(not s.running(), f"still running after {kills} kills")
        code = s.wait()
        expect(code not in (0, None) and code > 0, f"exit code {code}")
        expect("stopping: the key service died" in s.log(), s.log()[-800:])
        s.start()
        equal(s.keys, 1)
        equal(s.stop(), 0)


@test("the trusted program dies with the proxy, however the proxy dies", "T-32")
def dies_with_proxy():
    for sign in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT):
        with Server() as s:
            s.create("k")
            pid = s.service()
            expect(pid, "no service")
            s.process.send_signal(sign)
            s.process.wait(20)
            wait_for(lambda p=pid: p not in processes() or processes()[p][2] == "Z", f"the service lives on after {sign}")
            s.start()
            equal(s.keys, 1)
            equal(s.stop(), 0)


@test("started by hand, the trusted program explains itself and ends")
def service_by_hand():
    path = os.path.join(os.path.dirname(BIN), "svsm-kms-service")
    r = subprocess.run([path], stdin=subprocess.DEVNULL, capture_output=True, timeout=20, close_fds=True)
    expect(r.returncode == 70, f"{r}")
    expect(b"svsm-kms serve" in r.stderr, f"{r}")


@test("the trusted program is told from a missing one")
def service_missing():
    import shutil
    d = fresh_dir()
    shutil.copy(BIN, os.path.join(d, "svsm-kms"))
    r = subprocess.run([os.path.join(d, "svsm-kms"), "serve", "--data", os.path.join(d, "data"), "--listen",
                        "127.0.0.1:0"], capture_output=True, timeout=30)
    expect(r.returncode == 70, f"{r}")
    expect(b"svsm-kms-service" in r.stderr and b"make build" in r.stderr, f"{r}")


@test("a start that is refused leaves an existing store as it was")
def refused_start_harmless():
    with Server() as s:
        s.create("k")
        equal(s.stop(), 0)
        with open(os.path.join(s.data, "store.mdb"), "rb") as f:
            before = f.read()
        refused(78, "nonsense", site={"svsm.kms.nonsense": "1"}, data=s.data)
        with open(os.path.join(s.data, "store.mdb"), "rb") as f:
            equal(f.read() == before, True, "the store's file changed")
        s.start()
        equal(s.keys, 1)
        equal(s.stop(), 0)


@test("a setting's notices name file and line, and /conf shows what is in force")
def conf_in_force():
    with one_server(site={"svsm.kms.eek.max": "7", "hadoop.kms.unknown": "x"}) as s:
        expect(re.search(r"kms-site\.xml:\d+: hadoop\.kms\.unknown is not known", s.log()), s.log())
        r = s.call("GET", "/conf?name=svsm.kms.eek.max", headers={"Accept": "application/json"})
        expect('"7"' in r.body.decode(), repr(r))
        equal(s.call("GET", "/conf?name=no.such").status, 404)
        s.create("k")
        equal(s.call("GET", "/key/k/_eek?eek_op=generate&num_keys=7").status, 200)
        equal(s.call("GET", "/key/k/_eek?eek_op=generate&num_keys=8").status, 400)
        eek = s.call("GET", "/key/k/_eek?eek_op=generate").json()
        equal(s.call("POST", "/key/k/_reencryptbatch", eek * 7).status, 200)
        equal(s.call("POST", "/key/k/_reencryptbatch", eek * 8).status, 400)
        with Conn(s.port) as c:
            equal(c.request("GET", "/conf").status, 401)
