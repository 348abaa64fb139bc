# SPDX-License-Identifier: Apache-2.0
"""What the kernel says about the running trusted program, and what may be tried against it from outside."""
import ctypes
import os
import resource
import signal
import subprocess

from kms import Server, Skip, equal, expect, one_server, sanitized, test, wait_for

def status(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.split(":", 1) for line in f.read().splitlines() if ":" in line)


@test("the trusted program runs under a system-call filter, without new privileges, in every thread", "T-40")
def seccomp():
    with one_server() as s:
        pid = s.service()
        if sanitized():
            raise Skip("a build with sanitizers has no filter")
        for task in os.listdir(f"/proc/{pid}/task"):
            st = status(f"{pid}/task/{task}")
            equal((st["Seccomp"].strip(), st["NoNewPrivs"].strip()), ("2", "1"), f"thread {task}")


@test("the trusted program has no files, sockets or devices open but its last words' channel", "T-40")
def no_files():
    with one_server() as s:
        s.create("k")
        pid = s.service()
        fds = {int(n): os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")}
        if sanitized():
            fds.pop(3, None)
        equal(sorted(fds), [0, 1, 2], f"{fds}")
        equal((fds[0], fds[1]), ("/dev/null", "/dev/null"))
        equal(fds[2], s.log_path)


@test("its memory is locked, or it says that it is not", "T-41")
def locked():
    with Server() as s:
        st, h = status(s.service()), s.health()
        if h["memoryLocked"]:
            if not sanitized():
                expect(int(st["VmLck"].split()[0]) > 0, st["VmLck"])
        else:
            expect("memory cannot be locked" in s.log(), s.log())


@test("where memory cannot be locked, the server warns and /health says so", "T-41")
def not_locked():
    if os.geteuid() != 0:
        raise Skip("needs root, to give up CAP_IPC_LOCK")
    with Server(wrap=["prlimit", "--memlock=65536:65536", "setpriv", "--bounding-set=-ipc_lock",
                      "--inh-caps=-ipc_lock"]) as s:
        expect("memory cannot be locked" in s.log(), s.log())
        equal(s.health()["memoryLocked"], False)
        s.create("k")
        s.healthy()
        equal(s.stop(), 0)


@test("it leaves no core dump and cannot be attached to by its own user", "T-42")
def no_dump():
    with one_server() as s:
        pid = s.service()
        with open(f"/proc/{pid}/limits") as f:
            core = next(x for x in f if x.startswith("Max core file size"))
        equal(core.split()[4:6], ["0", "0"], core)
        # Files of a process that is not dumpable belong to root, whoever runs it.
        if os.geteuid() == 0:
            raise_if_dumpable(s)


def raise_if_dumpable(s):
    """As an unprivileged user, the service's memory must be out of reach even for that user."""
    import shutil
    from kms import BIN, fresh_dir, scratch
    if not shutil.which("setpriv"):
        raise Skip("no setpriv")
    d = fresh_dir()
    data = os.path.join(d, "data")
    os.mkdir(data, 0o700)
    uid = 65534
    os.chown(data, uid, uid)
    for path in (scratch, d):
        os.chmod(path, 0o711)
    probe = subprocess.run(["setpriv", f"--reuid={uid}", "--clear-groups", "test", "-x", BIN], check=False)
    if probe.returncode != 0:
        raise Skip("another user cannot run " + BIN)
    with Server(plain=True, data=data, wrap=["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]) as t:
        pid = t.service()
        equal(os.stat(f"/proc/{t.process.pid}/status").st_uid, uid)
        equal(os.stat(f"/proc/{pid}/environ").st_uid, 0, "dumpable")
        r = subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "dd", f"if=/proc/{pid}/mem",
                            "of=/dev/null", "count=1"], capture_output=True, check=False)
        expect(r.returncode != 0 and b"ermission denied" in r.stderr, f"{r}")
        t.healthy()
        equal(t.stop(), 0)


@test("it inherits no environment and no arguments", "T-43")
def no_environment():
    with one_server(env={"LD_PRELOAD": "", "OPENSSL_CONF": "/nonexistent", "SECRET": "x"}) as s:
        pid = s.service()
        with open(f"/proc/{pid}/environ", "rb") as f:
            equal(f.read(), b"")
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            equal(f.read(), b"svsm-kms-service\0")


@test("the shared pages are readable by one side and writable by the other, never executable", "T-44")
def shared_pages():
    with one_server() as s:
        for pid, request, answer in ((s.process.pid, "rw-s", "r--s"), (s.service(), "r--s", "rw-s")):
            seen = {}
            with open(f"/proc/{pid}/maps") as f:
                for line in f:
                    if "svsm-kms-requests" in line:
                        seen["request"] = line.split()[1]
                    elif "svsm-kms-answers" in line:
                        seen["answer"] = line.split()[1]
            equal(seen, {"request": request, "answer": answer}, f"process {pid}")
        with open(f"/proc/{s.service()}/maps") as f:
            for line in f:
                expect("wx" not in line.split()[1], line)


@test("the proxy's answer pages cannot be made writable again", "T-44")
def answer_pages_sealed():
    with one_server() as s:
        fds = {os.readlink(f"/proc/{s.process.pid}/fd/{n}"): n for n in os.listdir(f"/proc/{s.process.pid}/fd")}
        expect(any("svsm-kms-answers" in f for f in fds), f"{fds}")
        seals = [n for f, n in fds.items() if "memfd:svsm-kms" in f]
        for n in seals:
            fd = os.open(f"/proc/{s.process.pid}/fd/{n}", os.O_RDWR)
            try:
                import fcntl
                got = fcntl.fcntl(fd, 1034)    # F_GET_SEALS
                expect(got & 2 and got & 4, f"seals {got}: the area can be shrunk or grown")
                try:
                    os.ftruncate(fd, 0)
                    raise AssertionError("the area was cut short")
                except PermissionError:
                    pass
            finally:
                os.close(fd)


@test("a stopped trusted program delays requests and harms none", "T-30")
def frozen():
    with one_server() as s:
        pid = s.service()
        s.create("k")
        with s.conn() as c:
            os.kill(pid, signal.SIGSTOP)
            from kms import request
            c.send(request("GET", "/kms/v1/key/k/_metadata?user.name=alice"))
            import time
            time.sleep(0.5)
            os.kill(pid, signal.SIGCONT)
            equal(c.read().json()["name"], "k")


@test("signals that the trusted program may get end it without a core, and it comes back", "T-42")
def fatal_signals():
    import time
    if sanitized() == "thread":
        raise Skip("the wipe in a dying process races with its other threads, as it must")
    with one_server() as s:
        s.create("k")
        for i, sign in enumerate((signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGSYS)):
            time.sleep(0.6)
            os.kill(s.service(), sign)
            wait_for(lambda n=i: s.log().count("is back") > n, s.log)
        equal(s.names(), ["k"])
        expect("keys wiped" in s.log(), s.log())


@test("every line of state names the isolation, and nothing promises more than it gives")
def honest():
    with one_server() as s:
        equal(s.isolation, "process")
        h = s.health()
        equal(h["isolation"], "process")
        expect("not from its administrator or the hypervisor" in h["protects"], h)
        metrics = s.call("GET", "/metrics", user=None).body.decode()
        expect('isolation="process"' in metrics, metrics[:2000])
