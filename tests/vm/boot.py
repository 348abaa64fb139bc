# SPDX-License-Identifier: Apache-2.0
"""The front door: `vm/run`, the forwarded port, the names of things, stop, power cut, what a boot repeats."""
import os
import re
import signal
import subprocess
import threading

import machine
import session
from kms import Conn, equal, expect, test, Skip
from session import PLAIN, http, public

RUN = str(machine.ROOT / "vm" / "run")
ISOLATION = "process" if PLAIN else "vmpl0-emulated"


class Foreground:
    """vm/run as a user runs it."""

    def __init__(self, *args):
        self.port = machine.free_port()
        self.lines = []
        plain = ["--plain"] if PLAIN else ["--io", session.IO]
        self.process = subprocess.Popen([RUN, "--port", str(self.port), *plain, *args], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)

    def text(self):
        return "".join(self.lines)

    def wait_line(self, pattern):
        def look():
            found = re.search(pattern, self.text(), re.M)
            expect(found or self.process.poll() is None, lambda: f"vm/run ended: {self.text()[-3000:]}")
            return found

        session.eventually(look, session.PATIENCE, lambda: f"{pattern} did not appear: {self.text()[-3000:]}")


@test("vm/run says isolation, measurement and address, serves the README's calls, and ^C powers off cleanly", "T-290")
def foreground():
    store = os.path.join(session.fresh_dir(), "store.img")
    with Foreground("--store", store) as run:
        run.wait_line(r"^stop +\^C")
        expect(f"isolation           {ISOLATION}: " in run.text(), run.text())
        if not PLAIN:
            equal(len(re.findall(r"launch measurement  [0-9a-f]{96}$", run.text(), re.M)), 1, run.text())
            expect("`svsm-kms measure` computes the same" in run.text(), run.text())
        equal(http(run.port, "GET", "/health", user=None).json()["isolation"], ISOLATION)
        equal(http(run.port, "POST", "/keys", {"name": "k1"}).status, 201)
        eek = http(run.port, "GET", "/key/k1/_eek?eek_op=generate&num_keys=1").json()[0]
        body = {"name": "k1", "iv": eek["iv"], "material": eek["encryptedKeyVersion"]["material"]}
        equal(http(run.port, "POST", f"/keyversion/{eek['versionName']}/_eek?eek_op=decrypt", body).status, 200)
        run.process.send_signal(signal.SIGINT)
        equal(run.process.wait(90), 0, run.text())
        expect("powered off" in run.text(), run.text())
    with Foreground("--store", store) as run:
        run.wait_line(r"^address .*\(1 keys\)")
        run.process.send_signal(signal.SIGTERM)
        equal(run.process.wait(90), 0, run.text())


@test("a store disk that is no file system is refused with a reason, and the VM powers off")
def bad_store():
    store = os.path.join(session.fresh_dir(), "store.img")
    with open(store, "wb") as f:
        f.write(os.urandom(1 << 20) + bytes(8 << 20))
    with Foreground("--store", store) as run:
        expect(run.process.wait(session.PATIENCE) != 0, "exit code 0")
        expect("the store's disk cannot be mounted" in run.text(), run.text())


@test("a power cut in the middle of changes loses nothing that was acknowledged", "T-291")
def power_cut():
    store = machine.make_store(session.fresh_path("store.img"))
    acknowledged, lock = [], threading.Lock()
    for round_ in range(2):
        vm = session.TestVm(idle=False, store=store, conf_files=session.OPEN)
        with session.discarding(vm):
            vm.start(wait=False).wait_ready(session.PATIENCE)
            have = {n for n in http(vm.port, "GET", "/keys/names").json()}
            expect(set(acknowledged) <= have, lambda: f"lost: {sorted(set(acknowledged) - have)}")

            def create(i):
                try:
                    with Conn(vm.port) as c:
                        for n in range(1000):
                            name = f"r{round_}-{i}-{n}"
                            r = c.request("POST", "/kms/v1/keys?user.name=alice", {"name": name})
                            equal(r.status, 201)
                            with lock:
                                acknowledged.append(name)
                except (OSError, session.Closed):
                    pass

            threads = [threading.Thread(target=create, args=(i,), daemon=True) for i in range(4)]
            for t in threads:
                t.start()
            session.eventually(lambda: len(acknowledged) >= 100 * (round_ + 1), session.PATIENCE, lambda: f"{len(acknowledged)} keys")
            vm.kill()
            for t in threads:
                t.join(60)
    vm = session.TestVm(idle=False, store=store, conf_files=session.OPEN)
    with session.discarding(vm):
        vm.start(wait=False).wait_ready(session.PATIENCE)
        have = set(http(vm.port, "GET", "/keys/names").json())
        expect(set(acknowledged) <= have, lambda: f"lost: {sorted(set(acknowledged) - have)[:20]} of {len(acknowledged)}")
        equal(vm.stop(), 0, vm.last_words())


@test("the initramfs and the launch image are the same bytes when they are built again", "T-292")
def reproducible():
    path = session.fresh_path("again.cpio.gz")
    kernel = str(machine.kernel_dir())
    first = machine.VM / ("plain.cpio.gz" if PLAIN else "initramfs.cpio.gz")
    more = ["--service"] if PLAIN else ["--driver", str(machine.VM / "driver" / "svsm.ko")]
    if not first.exists():
        raise Skip("not built")
    subprocess.run([str(machine.ROOT / "vm" / "initramfs"), "--kernel", kernel, "--server", str(machine.BUILD / "svsm-kms"),
                    *more, "--out", path], check=True)
    equal(public(path), public(first), "initramfs")
    if PLAIN:
        return
    image = session.fresh_path("again.igvm")
    session.make_image(image, initrd=first)
    equal(public(image), public(machine.VM / "svsm-kms.igvm"), "launch image")


@test("the guest sees nothing of the host but its disks, its port and its consoles", "T-292")
def nothing_else():
    with session.vm() as vm:
        # No way out of the VM's network: neither the host's loopback services nor any address.
        out = vm.guest.sh("nc -w 3 10.0.2.2 22 </dev/null && echo reached; nc -w 3 192.0.2.1 80 </dev/null && echo reached; true")
        expect("reached" not in out, out)
        equal(vm.guest.sh("ls /sys/class/net").split(), ["eth0", "lo"])
