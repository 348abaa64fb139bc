# SPDX-License-Identifier: Apache-2.0
"""The host attacks (docs/emulator.md lists what it can do): noticed, or without effect. Never a wrong answer.

Each attack strikes once while the machine boots on a store that is known, or while it serves. What may come of it:
  stops     the machine stops, by its own decision or because the processor does not let it go on
  refuses   the server ends with a reason; the machine powers off
  serves    everything is as if nothing had happened
Denial of service is the host's right; whether it has it is not what is tested.
"""
import re
import subprocess
import threading

import machine
import measurement
import session
from kms import Closed, Conn, Skip, equal, expect, test
from session import PLAIN, http

STOPS, REFUSES, SERVES = "stops", "refuses", "serves"
# QEMU's exit codes of a machine that was stopped: by the guest's own request, by an access fault, by a triple fault.
STOPPED = (2 * 0x10 + 1, 2 * 0x11 + 1, 2 * 0x14 + 1)
CODE = "MONITOR"     # stands for the address of a page of the monitor's that every call runs through


def page_of(symbol, before=0):
    """Guest-physical address of the page in which a symbol of the monitor's is, or so many bytes before it."""
    elf = str(machine.VM / "monitor.elf")
    symbols = subprocess.run(["nm", elf], check=True, stdout=subprocess.PIPE, text=True).stdout
    at = int(re.search(rf"^([0-9a-f]+) \w {symbol}$", symbols, re.M).group(1), 16) - before
    headers = subprocess.run(["readelf", "-lW", elf], check=True, stdout=subprocess.PIPE, text=True).stdout
    for virtual, physical, size in re.findall(r"LOAD +0x\w+ 0x(\w+) 0x(\w+) 0x\w+ 0x(\w+)", headers):
        if int(virtual, 16) <= at < int(virtual, 16) + int(size, 16):
            return f"{(at - int(virtual, 16) + int(physical, 16)) & ~0xfff:x}"
    raise AssertionError(f"{symbol} is in no segment")


def code_page():
    return page_of("mon_call")


# Option for the emulator, what may come of it, and what the attack is, in words.
ATTACKS = (
    (f"remap-page:600@{CODE}", {STOPS}, "puts other memory behind a page of the monitor"),
    (f"replace-page:600@{CODE}", {STOPS}, "puts other memory, assigned to the guest, behind a page of the monitor"),
    (f"swap-pages:600@{CODE}", {STOPS}, "swaps two pages of the monitor"),
    ("swap-pages:600", {STOPS, SERVES}, "swaps two pages of the kernel's file"),
    (f"psc-under-guest:600@{CODE}", {STOPS}, "makes a page of the monitor shared"),
    (f"psc-flip:600@{CODE}", {STOPS}, "makes a page of the monitor shared and private again"),
    ("replay-request", {STOPS, REFUSES, SERVES}, "gives the secure processor an old request"),
    ("replay-message", {STOPS, REFUSES}, "gives the monitor an old answer of the secure processor"),
    ("corrupt-request", {STOPS, REFUSES, SERVES}, "changes a bit of a request to the secure processor"),
    ("corrupt-message", {STOPS, REFUSES}, "changes a bit of the secure processor's answer"),
    ("drop-message", {STOPS, REFUSES, SERVES}, "claims that the secure processor had answered"),
    ("busy", {SERVES}, "says that the secure processor is busy"),
    ("wrong-cpuid", {STOPS, SERVES}, "lies when it is asked for CPUID"),
    ("wrong-cpuid-page", {STOPS}, "lies in the CPUID page"),
    ("weak-cpuid-page", {STOPS}, "hides the instruction that flushes other processors' translations"),
    ("weak-cpuid-page:2", {STOPS}, "hides the AES instructions, in whose place there would be tables"),
    ("stale-ghcb:50", {STOPS, SERVES}, "leaves a request in the GHCB unanswered"),
    ("wrong-response:5", {STOPS}, "answers an MSR request with another code"),
    ("bad-memory-map", {STOPS}, "names memory twice"),
    ("bad-vp-count", {STOPS, SERVES}, "names more processors than there can be"),
    ("drop-run-vmpl:20", {STOPS, SERVES}, "claims that a call to VMPL0 is done"),
    ("repeat-run-vmpl:20", {STOPS, SERVES}, "enters VMPL0 again instead of the guest"),
    ("foreign-vmsa:20", {STOPS, SERVES}, "enters a page of its choice as a processor's state"),
)


def gave_up(vm):
    """The monitor has noticed and wiped; that it also ends the machine needs pages the host may have taken."""
    return re.search(r"^monitor: stopped: .*", vm.serial(), re.M)


def outcome(vm):
    """Waits for one of the three; a machine that does nothing at all any more counts as stopped, and is ended."""
    def look():
        if not vm.running() or gave_up(vm):
            return True
        return machine.READY.search(vm.console())

    try:
        vm.wait_text(look, 45 * session.kms.SLOW, "neither ready nor ended")
    except machine.Failed:
        if vm.running():
            vm.kill()
            return STOPS, "does not go on"
    if gave_up(vm):
        vm.kill()
        return STOPS, gave_up(vm).group(0)
    if vm.running():
        return SERVES, ""
    code = vm.process.returncode
    if code in STOPPED:
        return STOPS, vm.ending()
    server = re.search(r"^vm: server ended: code (\d+)", vm.console(), re.M)
    if code == 0 and server and server.group(1) != "0":
        return REFUSES, vm.console()[-400:]
    return f"ends with {code}", vm.last_words()


def strikes(option, may):
    if PLAIN:
        raise Skip("there is no host to attack in plain mode")
    store = measurement.sealed_store()
    name = re.match(r"[a-z-]+", option).group(0)
    vm = session.TestVm(idle=False, store=store, conf_files=session.OPEN, l0=(f"attack={option.replace(CODE, code_page())}",))
    with session.discarding(vm):
        vm.start(wait=False)
        what, why = outcome(vm)
        expect(f"L0: attack: {name}" in vm.serial(), lambda: f"it never struck: {vm.last_words()}")
        expect(what in may, lambda: f"{what}: {why}\n{vm.last_words()}")
        print(f"        {name}: {what}: {why.strip().splitlines()[0][:150] if why.strip() else ''}")
        if what == SERVES:
            try:
                equal(http(vm.port, "GET", "/key/k/_versions").json(), measurement.state["versions"], "a wrong answer")
            except (OSError, Closed):
                pass
            vm.kill()


for option, may, words in ATTACKS:
    def fn(option=option, may=may):
        strikes(option, may)
    fn.__module__ = __name__
    test(f"a host that {words} is noticed, or has no effect", "T-301")(fn)


@test("a host that rewrites a page of the server's core while it serves gets no answer that is wrong", "T-301")
def while_serving():
    if PLAIN:
        raise Skip("there is no host to attack in plain mode")
    store = measurement.sealed_store()
    vm = session.TestVm(idle=False, store=store, conf_files=session.OPEN, l0=(f"attack=psc-flip:6000@{code_page()}",))
    with session.discarding(vm):
        vm.start(wait=False).wait_ready(session.PATIENCE)
        try:
            with Conn(vm.port, 30) as c:
                for _ in range(8000):
                    r = c.request("GET", "/kms/v1/key/k/_versions?user.name=alice")
                    equal(r.json(), measurement.state["versions"], "a wrong answer")
                    if "L0: attack" in vm.serial():
                        break
        except (OSError, Closed):
            pass
        expect("L0: attack: psc-flip" in vm.serial(), vm.last_words())
        session.eventually(lambda: not vm.running() or gave_up(vm), 30, vm.last_words)
        expect(vm.running() or vm.wait() in STOPPED, vm.ending())
    # An honest host, the same store: complete.
    vm = session.TestVm(idle=False, store=store, conf_files=session.OPEN)
    with session.discarding(vm):
        vm.start(wait=False).wait_ready(session.PATIENCE)
        equal(http(vm.port, "GET", "/key/k/_versions").json(), measurement.state["versions"])
        equal(vm.stop(), 0, vm.last_words())


@test("a host that lets processors run on after one has stopped finds that none of them answers again", "T-232")
def one_has_stopped():
    if PLAIN:
        raise Skip("there is no host to attack in plain mode")
    # The boot processor's stack goes away: nobody else notices that by himself.
    attack = f"attack=ignore-end:6000@{page_of('boot_stack_end', 8)}"
    vm = session.TestVm(idle=False, conf_files=session.OPEN, cpus=4, l0=(attack,))

    def ask():
        try:
            with Conn(vm.port, 10) as c:
                for _ in range(8000):
                    equal(c.request("GET", "/kms/v1/keys/names?user.name=alice").status, 200)
        except (OSError, Closed):
            pass

    with session.discarding(vm):
        vm.start(wait=False).wait_ready(session.PATIENCE)
        callers = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
        for c in callers:
            c.start()
        session.eventually(lambda: not vm.running(), 90, vm.last_words)
        expect("is left there" in vm.serial(), vm.last_words())
        expect("monitor: stopped: a page was taken away" in vm.serial(), vm.last_words())
        expect(re.search(r"^monitor: ends: reason 0xc\b", vm.serial(), re.M), vm.last_words())
        session.whole_lines(vm)
        equal(vm.wait(), STOPPED[0], vm.ending())
