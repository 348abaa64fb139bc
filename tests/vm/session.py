# SPDX-License-Identifier: Apache-2.0
"""VMs for the tests: booted with the test initramfs, with the agent answering, ended with the test.

Plain mode (SVSM_VM_PLAIN=1) boots without the emulator: it shows that the tests themselves work, and that
what they find in the real mode is the isolation's doing. It proves nothing about VMPL0.
"""
import atexit
import contextlib
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "vm"), str(HERE.parent / "system")]

import guest  # noqa: E402
import kms  # noqa: E402
import machine  # noqa: E402
from kms import Closed, fresh_dir  # noqa: E402, F401

PLAIN = os.environ.get("SVSM_VM_PLAIN") == "1"
IO = os.environ.get("SVSM_VM_IO", "fast")
TEST = machine.VM / "test"
PATIENCE = 180 * kms.SLOW
OPEN = {"kms-site.xml": kms.xml({}), "kms-acls.xml": kms.xml(kms.OPEN_ACLS)}
machines = []


def fresh_path(name):
    return os.path.join(fresh_dir("vm"), name)


def eventually(condition, seconds, what):
    """Polls until the condition holds; what(): why it is a failure if it never does."""
    end = time.monotonic() + seconds * kms.SLOW
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(what())
        time.sleep(0.05)


def public(path):
    """A file's hash, for comparing."""
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def http(port, method, path, body=None, user="alice", timeout=60):
    """One request on a connection of its own; path below /kms/v1, or from the root for /health."""
    full = path if path.split("?")[0] in ("/health", "/metrics", "/attestation") else "/kms/v1" + path
    if user is not None:
        full += ("&" if "?" in full else "?") + "user.name=" + urllib.parse.quote(user)
    with kms.Conn(port, timeout) as c:
        return c.request(method, full, body)


def make_image(out, **parts):
    """A launch image of the build's files, but for the parts named: monitor, service, platform, kernel, initrd, cmdline."""
    files = {"monitor": machine.VM / "monitor.elf", "service": machine.BUILD / "svsm-kms-service",
             "platform": machine.BUILD / "svsm-kms-platform", "kernel": machine.kernel_dir() / "vmlinuz",
             "initrd": TEST / "initramfs.cpio.gz", "cmdline": machine.CMDLINE, **parts}
    argv = [str(machine.VM / "mkimage"), "--out", str(out)]
    for name, value in files.items():
        argv += ["--" + name, str(value)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise AssertionError(f"mkimage: {done.stdout}")
    return out


def whole_lines(vm):
    """What L0 and the monitor say is whole lines, also when several CPUs speak at once."""
    for line in vm.serial().splitlines():
        if line and not line.startswith(("L0: ", "monitor: ", "secure processor: ")):
            raise AssertionError(f"part of a line: {line!r}\n{vm.last_words()}")


def end_all():
    for vm in list(machines):
        vm.discard()


atexit.register(end_all)


class TestVm(machine.Machine):
    """A VM with the agent. idle: the tests start the server; otherwise it starts as in the product."""

    def __init__(self, idle=True, conf_files=None, store=None, forwards=None, l0=(), **more):
        self.agent_port, self.port = machine.free_port(), machine.free_port()
        forwards = {self.agent_port: guest.PORT, self.port: machine.PORT, **(forwards or {})}
        super().__init__(plain=PLAIN, store=store, forwards=forwards, l0=(f"io={IO}", *l0),
                         image=more.pop("image", None) or TEST / "svsm-kms.igvm",
                         initramfs=more.pop("initramfs", None) or TEST / "initramfs.cpio.gz", **more)
        if not store:
            self.store = machine.make_store(self.directory / "store.img")
        files = dict(conf_files or {})
        if idle:
            files["idle"] = ""
        if files:
            source = pathlib.Path(tempfile.mkdtemp(prefix="conf-", dir=self.directory))
            for name, text in files.items():
                kms.write(str(source / name), text)
            self.conf = machine.make_conf(self.directory / "conf.tar", source)
        self.guest = guest.Guest(self.agent_port)
        machines.append(self)

    def start(self, wait=True):
        super().start()
        if wait:
            self.wait_agent()
        return self

    def wait_agent(self, seconds=PATIENCE):
        self.wait_text(lambda: "test agent: listening" in self.console(), seconds, "no agent in the VM")
        end = time.monotonic() + 30 * kms.SLOW
        while not self.guest.answers():
            if time.monotonic() > end or not self.running():
                raise machine.Failed(f"the agent does not answer\n{self.last_words()}")

    def discard(self):
        super().discard()
        if self in machines:
            machines.remove(self)

    def environment(self):
        """For a suite that is to start its servers in this VM."""
        return {**os.environ, "SVSM_KMS_BIN": str(HERE / "kms-in-vm"), "SVSM_VM_DIR": str(self.directory),
                "SVSM_VM_AGENT": str(self.agent_port), "SVSM_VM_REAL_BIN": str(machine.BUILD / "svsm-kms"),
                "SVSM_BUILD": str(machine.BUILD)}


@contextlib.contextmanager
def discarding(it):
    """Ends the VM with the test; its last words are shown when the test fails."""
    try:
        yield it
    except Exception:
        kms.last_words.append(it.last_words())
        raise
    finally:
        it.discard()


@contextlib.contextmanager
def vm(**options):
    """A VM that must still be running at the end, and stops cleanly."""
    it = TestVm(**options)
    with discarding(it):
        it.start()
        yield it
        if not it.running():
            raise AssertionError(f"the VM has ended: {it.ending()}")
        code = it.stop(90 * kms.SLOW)
        if code:
            raise AssertionError(it.ending())


if __name__ == "__main__":      # a VM to work in: session.py [idle]
    with vm(idle="idle" in sys.argv[1:]) as here:
        print(f"agent port {here.agent_port}; server port {here.port}; directory {here.directory}")
        for key, value in here.environment().items():
            if key.startswith("SVSM"):
                print(f"export {key}={value}")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            here.process.wait()
