#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""filter.py UNIT PROGRAM: the life of a server under the unit's system-call filter.

systemd expands the unit's SystemCallFilter= lines; from that a seccomp filter is made which kills where the unit would
only answer with an error, so that no call is refused without our noticing. RestrictAddressFamilies= and
MemoryDenyWriteExecute= are in it too. The server runs as the unit's user would: no capabilities, no new privileges.
"""
import contextlib
import ctypes
import errno
import functools
import os
import re
import resource
import ssl
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import seccomp

UNIT, PROGRAM, ARGUMENTS = sys.argv[1], os.path.abspath(sys.argv[2]), sys.argv[3:]
os.environ["SVSM_KMS_BIN"] = PROGRAM
sys.argv = sys.argv[:1]
import kms

PROT_WRITE, PROT_EXEC = 2, 4
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}


def values(name):
    with open(UNIT, encoding="utf-8") as f:
        return [line.split("=", 1)[1].split() for line in f.read().splitlines() if line.startswith(name + "=")]


@functools.cache
def group(name):
    """The calls of a group, with those of the groups in it; systemd has them."""
    out = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", name], capture_output=True, text=True,
                         check=True).stdout
    words = [line.strip() for line in out.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return frozenset().union(*[group(w) if w.startswith("@") else {w} for w in words])


def allowed():
    """In the order of the lines, as systemd reads them; the first decides what the list is."""
    calls = set()
    for number, words in enumerate(values("SystemCallFilter")):
        deny = words[0].startswith("~")
        kms.expect(number or not deny, "the first line must say what is allowed")
        for word in [words[0].lstrip("~")] + words[1:]:
            those = group(word) if word.startswith("@") else {word}
            calls = calls - those if deny else calls | those
    # systemd itself starts the program.
    return calls | {"execve", "exit", "exit_group", "rt_sigreturn", "sigreturn", "getrlimit", "time", "clock_gettime"}


def install_filter():
    """In the child, before it becomes the server."""
    f = seccomp.SyscallFilter(seccomp.KILL_PROCESS)
    families = [FAMILIES[w] for w in values("RestrictAddressFamilies")[0]]
    for call in sorted(allowed()):
        try:
            seccomp.resolve_syscall(seccomp.Arch(), call)
            if call == "socket":
                for family in FAMILIES.values():    # the others are refused as the unit refuses them: the C library tries
                    f.add_rule(seccomp.ALLOW if family in families else seccomp.ERRNO(errno.EAFNOSUPPORT), call,
                               seccomp.Arg(0, seccomp.EQ, family))
            elif call in ("mprotect", "pkey_mprotect"):
                f.add_rule(seccomp.ALLOW, call, seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, 0))
            elif call == "mmap":
                for bits in (0, PROT_WRITE, PROT_EXEC):
                    f.add_rule(seccomp.ALLOW, call, seccomp.Arg(2, seccomp.MASKED_EQ, PROT_WRITE | PROT_EXEC, bits))
            else:
                f.add_rule(seccomp.ALLOW, call)
        except (ValueError, RuntimeError):
            pass    # a call of another architecture, or one that this libseccomp does not know
    f.load()


def enter():
    """What the unit takes away before the server starts."""
    kms.expect(ctypes.CDLL(None).prctl(38, 1, 0, 0, 0) == 0, "no_new_privs")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if values("LimitMEMLOCK") == [["infinity"]]:
        with contextlib.suppress(ValueError):   # a root without that capability
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    install_filter()
    os.execv(PROGRAM, [PROGRAM] + ARGUMENTS)


def allowed_at_all():
    kms.expect("mlockall" in allowed() and "execve" in allowed(), "the core starts and locks its memory")
    for call in ("ptrace", "mount", "bpf", "init_module", "keyctl", "reboot", "setuid", "chroot", "perf_event_open",
                 "io_uring_setup", "userfaultfd", "process_vm_writev", "personality", "swapon"):
        kms.expect(call not in allowed(), f"{call} is allowed")


def give_away(*paths):
    for path in paths:
        os.chown(path, 65534, 65534)
        if os.path.isdir(path):
            give_away(*[os.path.join(path, name) for name in os.listdir(path)])


def server(site):
    data, conf = kms.fresh_dir("data"), kms.conf_dir(site)
    give_away(data, conf)
    s = kms.Server(conf=conf, data=data, start=False)
    s.command = lambda: [sys.executable, os.path.abspath(__file__), UNIT, PROGRAM, "serve", "--data", data,
                         "--conf", conf, "--listen", "127.0.0.1:0"]
    s.env = {"SVSM_FILTER_CHILD": "1"}
    return s


def life():
    with server({}) as s:
        s.start()
        s.create("k")
        eek = s.call("GET", "/key/k/_eek?eek_op=generate&num_keys=3").json()
        kms.equal(len(eek), 3)
        for page in ("/health", "/metrics", "/jmx", "/conf", "/stacks", "/"):
            kms.equal(s.call("GET", page).status, 200, page)
        kms.expect(s.call("GET", "/kms/attestation?nonce=00", user=None).status in (200, 503), "attestation")
        s.signal(1)
        kms.wait_for(lambda: "configuration reloaded" in s.log())
        s.kill_service()
        kms.wait_for(lambda: s.health()["status"] == "ok" and s.health()["serviceRestarts"] == 1, lambda: s.log())
        kms.equal(s.names(), ["k"])
        kms.expect(s.health()["memoryLocked"] or "warning: memory cannot be locked" in s.log(all=True), "locked memory")
        for i in range(20):
            s.create(f"k{i}")
        kms.equal(s.call("DELETE", "/key/k1").status, 200)
        kms.equal(s.call("GET", "/kms/v1/?op=GETDELEGATIONTOKEN").status, 200)
        kms.equal(s.stop(), 0, "exit code: " + s.log())
        s.start()
        kms.equal(len(s.names()), 20)
        kms.equal(s.stop(), 0, "exit code: " + s.log())


def life_with_tls_and_names():
    """What else the server can be asked to do: certificates, and the look-up of host names."""
    d = kms.fresh_dir("tls")
    cert, key = os.path.join(d, "cert.pem"), os.path.join(d, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    give_away(d)
    with server({"hadoop.kms.ssl.enabled": "true", "svsm.kms.ssl.certificate.file": cert, "svsm.kms.ssl.key.file": key,
                 "hadoop.kms.proxyuser.alice.users": "*", "hadoop.kms.proxyuser.alice.hosts": "localhost,nowhere.invalid",
                 "svsm.kms.groups.os": "true"}) as s:
        s.tls = ssl.create_default_context(cafile=cert)
        s.start()
        s.create("k")
        kms.wait_for(lambda: s.call("GET", "/keys/names?doAs=bob").status == 200, lambda: s.log())
        kms.equal(s.call("GET", "/keys/names?doAs=daemon").status, 200)
        s.signal(1)
        kms.wait_for(lambda: "configuration reloaded" in s.log())
        kms.equal(s.stop(), 0, "exit code: " + s.log())


if os.environ.get("SVSM_FILTER_CHILD"):
    enter()
os.chmod(kms.scratch, 0o711)
allowed_at_all()
life()
life_with_tls_and_names()
