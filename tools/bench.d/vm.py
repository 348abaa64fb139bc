# SPDX-License-Identifier: Apache-2.0
"""The parts of `make bench-vm`. Each takes the run's options and returns raw figures: counts first, and of times only
what ratios need. Nothing here is an assertion.

Three VMs of the tests are booted (tests/vm/session.py: an agent inside runs scripts as root), and one of the product.
"""
import base64
import json
import mmap
import os
import pathlib
import re
import subprocess
import time

from common import ROOT, cpu_seconds, request, say
import load
from servers import CONF, KEY, Server

import machine
import session

CONNECTIONS = (1, 16, 64)
EXITS = "exit-"
MONITOR = (0x28000000, 0x30000000)
PAGE = 4096
UNITS = 80      # encrypted keys in the request whose bytes are looked for; they fit a small slot


def qemu_cpu(vm):
    return cpu_seconds([vm.process.pid])


class Counting(session.TestVm):
    """All virtual CPUs on one thread, and time that is a count of instructions: the time stamp advances by one each."""

    def accel(self):
        return "tcg,thread=single"

    def command(self):
        return [*super().command(), "-icount", "shift=0,sleep=off"]


def conf():
    return {path.name: path.read_text() for path in CONF.iterdir()}


# ---- boot ------------------------------------------------------------------------------------

MARKS = (
    ("QEMU, its firmware, the emulator; the image loaded and measured", "serial", r"^L0: launch digest"),
    ("to the monitor's first line", "serial", r"^monitor: starts at VMPL0"),
    ("monitor: memory made private and zeroed, keys, kernel in place", "serial", r"^monitor: starts the kernel"),
    ("kernel, driver, file systems, until the server's first line", "console", r"^svsm-kms"),
    ("server: configuration, store, until it is ready", "console", machine.READY.pattern),
)


def boot(o):
    """The product's image, as `make vm` boots it."""
    port = machine.free_port()
    vm = machine.Machine(forwards={port: machine.PORT}, cpus=o.cpus, l0=("io=fast",), binary=o.qemu)
    parts = []
    try:
        vm.store = machine.make_store(vm.directory / "store.img")
        vm.conf = machine.make_conf(vm.directory / "conf.tar", ROOT / "vm/conf")
        began = last = time.monotonic()
        vm.start()
        cpu = 0.0

        def until(what, look):
            nonlocal last, cpu
            vm.wait_text(look, session.PATIENCE, f"not reached: {what}")
            now, used = time.monotonic(), qemu_cpu(vm)
            parts.append({"what": what, "s": now - last, "cpu_s": used - cpu})
            last, cpu = now, used

        for what, where, mark in MARKS:
            until(what, lambda: re.search(mark, vm.text(f"{where}.log"), re.M))
        until("first answer over HTTP", lambda: request(port, "OPTIONS", "/kms/v1/?user.name=bench")[0] == 200)
        figures = {"parts": parts, "s": last - began, "cpu_s": cpu, "digest": vm.digest()}
        vm.stop(session.PATIENCE)
        return figures
    finally:
        vm.discard()


# ---- a server in the VM ------------------------------------------------------------------------

class InVm(Server):
    """One of two in the same VM: the core at VMPL0, or as a sandboxed process."""

    def __init__(self, vm, name, port, options):
        self.vm, self.name, self.port = vm, name, port
        data = f"/data/{port}"
        self.running = vm.guest.start(
            f"mkdir -p {data}; chown 600:600 {data} /dev/svsm; chmod 700 {data}; ulimit -l unlimited; ulimit -n 65536;"
            f" exec start-stop-daemon -S -p /run/{port} -c 600:600 -x /bin/svsm-kms -- serve --listen 0.0.0.0:{port}"
            f" --data {data} --conf /run/conf {options}", timeout=session.PATIENCE)
        said = b""
        for _, text in self.running.frames():
            said += text
            if b"ready on" in said:
                break
        else:
            raise RuntimeError(f"{name} ended with {self.running.code}: {said.decode(errors='replace').strip()}")
        self.login()

    def pids(self):
        return [self.vm.process.pid]

    def metrics(self):
        text = request(self.port, "GET", "/metrics")[2].decode()
        return {n: float(v) for n, _, v in (line.rpartition(" ") for line in text.splitlines()) if n and n[0] != "#"}

    def stop(self):
        self.vm.guest.run(f"kill -TERM {self.running.pid}; while kill -0 {self.running.pid} 2>/dev/null; do sleep 0.1; done",
                          timeout=60)
        self.running.close()


def counters(vm, pid):
    """The emulator's counters and the driver's, at one moment."""
    seen = len(re.findall(r"^L0: counters:.*\n", vm.serial(), re.M))
    out = vm.guest.sh(f"/test/callcost read {pid}", timeout=session.PATIENCE)
    now = last_counters(vm, seen + 1)[-1]
    now["driver"] = int(re.search(r"^crossings (\d+)$", out, re.M).group(1))
    return now


def last_counters(vm, count):
    lines = vm.wait_text(lambda: (lambda found: len(found) >= count and found)(
        re.findall(r"^L0: counters:(.*)\n", vm.serial(), re.M)), 30, "the emulator prints no counters")
    return [{k: int(v) for k, v in re.findall(r"(\S+)=(\d+)", line)} for line in lines]


def change(before, after):
    return {k: v - before.get(k, 0) for k, v in after.items()}


def cost_of_counting(vm, server):
    first = counters(vm, server.running.pid)
    server.metrics(), server.metrics()
    return change(first, counters(vm, server.running.pid))


def exits(counts):
    return sum(v for k, v in counts.items() if k.startswith(EXITS))


CROSSINGS, CALLS = "svsm_kms_crossings_total", "svsm_kms_core_calls_total"


def in_turn(server, connections, seconds):
    """Load by wrk, for comparing."""
    said = server.metrics()
    run = load.run(server, "decrypt", connections, seconds)
    both = change(said, server.metrics())
    run["crossings"] = both[CROSSINGS] / both[CALLS]
    return run


def counted(vm, server, connections, seconds, counting):
    """Load by `svsm-kms bench`, which always has all connections' requests under way; what it takes to serve it, counted.
    counting: what two readings of the counters cost by themselves."""
    before, said = counters(vm, server.running.pid), server.metrics()
    subprocess.run([machine.BUILD / "svsm-kms", "bench", "--url", f"http://127.0.0.1:{server.port}/kms", "--user", "bench",
                    "--key", KEY, "--connections", str(connections), "--seconds", str(seconds), "-q"],
                   stdout=subprocess.DEVNULL, check=True)
    after, says = server.metrics(), counters(vm, server.running.pid)
    proxy, all_of = change(said, after), change(counting, change(before, says))
    served = proxy[CALLS]
    return {"requests": served, "crossings": proxy[CROSSINGS] / served, "driver_crossings": all_of["driver"] / served,
            "exits": exits(all_of) / served,
            "exits_by": {k: v / served for k, v in all_of.items() if v > 0 and not k.startswith("ticks")}}


def count_all(vm, server, o, rounds):
    """All numbers of connections; connections -> runs."""
    counting, figures = cost_of_counting(vm, server), {}
    for n in CONNECTIONS:
        say(f"  decrypt, {n} connection{'s' if n > 1 else ''}, counted")
        figures[str(n)] = [counted(vm, server, n, o.seconds, counting) for _ in range(rounds)]
    return figures


def requests(o):
    """Both isolations in one VM, in turn, run by run."""
    figures = {"runs": {}, "skipped": {}}
    ports = {name: machine.free_port() for name in ("vmpl0", "process")}
    vm = session.TestVm(conf_files=conf(), cpus=o.cpus, l0=("exit-counters",), forwards={p: p for p in ports.values()},
                        binary=o.qemu)
    with session.discarding(vm):
        vm.start(wait=False).wait_agent(session.PATIENCE)
        figures["kernel_s"] = kernel_times(vm)
        servers = [InVm(vm, "vmpl0", ports["vmpl0"], "--channel svsm:/dev/svsm"), InVm(vm, "process", ports["process"], "")]
        for s in servers:       # until the emulator has translated what runs often
            load.run(s, "decrypt", 16, o.seconds)
        for n in CONNECTIONS:
            say(f"  decrypt, {n} connection{'s' if n > 1 else ''}")
            for _ in range(o.rounds):
                for s in servers:
                    figures["runs"].setdefault(f"{n} {s.name}", []).append(in_turn(s, n, o.seconds))
        servers[1].stop()
        figures["counted"] = count_all(vm, servers[0], o, o.rounds)
        say("  where the bytes of a request are")
        figures["places"] = places(vm, servers[0])
        servers[0].stop()
        vm.stop(session.PATIENCE)
    return figures


def kernel_times(vm):
    """Seconds since the kernel's first time stamp, by its log."""
    text = vm.guest.sh("dmesg")
    found = {}
    for what, mark in (("init", r"Run /init"), ("driver", r"svsm: ")):
        m = re.search(rf"^\[\s*([\d.]+)\] .*{mark}", text, re.M)
        if m:
            found[what] = float(m.group(1))
    return found


# ---- copies ------------------------------------------------------------------------------------

def dump(vm):
    path = pathlib.Path(session.fresh_path("memory"))
    vm.monitor("stop")
    vm.qmp("pmemsave", session.PATIENCE, val=0, size=vm.memory << 20, filename=str(path))
    vm.monitor("cont")
    return path


def places(vm, server):
    """A request of many encrypted keys whose bytes are known and nobody has seen before: the proxy decodes them from the
    JSON's base64 into the request page. Where else in the whole machine's memory are they afterwards?"""
    batch, mark = [], os.urandom(8)
    units = {mark + os.urandom(8) for _ in range(UNITS)}
    request(server.port, "POST", f"/kms/v1/key/{KEY}", "{}", server.cookie)     # a new version: the answers differ
    for unit in units:
        batch.append({"versionName": server.version, "iv": base64.urlsafe_b64encode(os.urandom(16)).decode(),
                      "encryptedKeyVersion": {"versionName": "EEK", "material": base64.urlsafe_b64encode(unit).decode()}})
    pid = server.running.pid
    before = counters(vm, pid)
    status, _, _ = request(server.port, "POST", f"/kms/v1/key/{KEY}/_reencryptbatch", json.dumps(batch), server.cookie)
    if status != 200:
        raise RuntimeError(f"reencryptbatch answered {status}")
    crossed = change(before, counters(vm, pid))["driver"]
    runs = [tuple(int(x, 16) for x in line) for line in
            re.findall(r"^map (\S+) (\S+) (\S+)$", vm.guest.sh(f"/test/callcost pages {pid}", timeout=session.PATIENCE), re.M)]
    pages = {gpa + at for _, gpa, length in runs for at in range(0, length, PAGE)}
    found = {"shared": 0, "vmpl0": 0, "guest": 0}
    path = dump(vm)
    try:
        with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
            at = m.find(mark)
            while at >= 0:
                where = "shared" if at & -PAGE in pages else "vmpl0" if MONITOR[0] <= at < MONITOR[1] else "guest"
                found[where] += m[at:at + 16] in units
                at = m.find(mark, at + 1)
            zero = bytes(PAGE)
            used = sum(m[page:page + PAGE] != zero for page in range(*MONITOR, PAGE))
    finally:
        path.unlink()
    return {"units": UNITS, "bytes": len(json.dumps(batch)), "crossings": crossed, "shared_pages": len(pages), **found,
            "vmpl0_bytes": MONITOR[1] - MONITOR[0], "vmpl0_used": used * PAGE}


# ---- all I/O through #VC and GHCB ---------------------------------------------------------------

def strict(o):
    """On one virtual CPU: exits by CPUs kicking each other are in the other part."""
    port, session.IO = machine.free_port(), "strict"
    try:
        vm = session.TestVm(conf_files=conf(), cpus=1, l0=("exit-counters",), forwards={port: port}, binary=o.qemu)
    finally:
        session.IO = "fast"
    with session.discarding(vm):
        vm.start(wait=False).wait_agent(session.PATIENCE)
        server = InVm(vm, "vmpl0", port, "--channel svsm:/dev/svsm")
        load.run(server, "decrypt", 16, o.seconds)
        figures = count_all(vm, server, o, 1)
        server.stop()
        vm.stop(session.PATIENCE)
    return figures


# ---- one empty call -------------------------------------------------------------------------------

KINDS = ("nothing", "driver", "switch", "monitor", "service")


def calls(o):
    """Instructions and exits, counted: on one virtual CPU whose time stamp counts instructions."""
    vm = Counting(cpus=1, l0=("exit-counters",), binary=o.qemu)
    with session.discarding(vm):
        vm.start(wait=False).wait_agent(session.PATIENCE)
        seen = len(re.findall(r"^L0: counters:.*\n", vm.serial(), re.M))
        out = vm.guest.sh(f"/test/callcost calls {o.calls}", timeout=session.PATIENCE)
        counts = last_counters(vm, seen + 2 * len(KINDS))[seen:]
        vm.stop(session.PATIENCE)
    figures = {"count": o.calls}
    for i, kind in enumerate(KINDS):
        ticks = int(re.search(rf"^kind {kind} \d+ ticks (\d+)$", out, re.M).group(1))
        figures[kind] = {k: v / o.calls for k, v in change(counts[2 * i], counts[2 * i + 1]).items()} | {"ticks": ticks / o.calls}
    return figures


def sizes(o):
    vm, build = machine.VM, machine.BUILD
    files = {"launch image": vm / "svsm-kms.igvm", "monitor": vm / "monitor.elf", "service": build / "svsm-kms-service",
             "platform service": build / "svsm-kms-platform", "kernel": machine.kernel_dir() / "vmlinuz",
             "initramfs": vm / "initramfs.cpio.gz", "driver": vm / "driver/svsm.ko"}
    figures = {"bytes": {name: path.stat().st_size for name, path in files.items()}, "lines": {}}
    out = subprocess.run([ROOT / "tools/tcb"], stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT).stdout
    for folder, count in re.findall(r"^(\w+)\s+(\d+)", out, re.M):
        figures["lines"][folder] = int(count)
    return figures


PARTS = {"boot": boot, "requests": requests, "strict": strict, "calls": calls, "sizes": sizes}
