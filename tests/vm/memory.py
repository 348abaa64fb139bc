# SPDX-License-Identifier: Apache-2.0
"""What root of the VM finds in memory: none of the keys, whoever looks and however.

The keys come in by REST with known material, in a first boot; that they pass through the guest on that way is
documented (the attested channel is to end it). So the search is in a second boot on the same store, after the
core has unsealed and used all of them.
"""
import base64
import mmap
import os
import random
import re
import struct
import subprocess

import machine
import session
from kms import Conn, Skip, equal, expect, test
from session import PLAIN, http

KEYS = 1000
MASK = 0xA5
MONITOR, HIDDEN = (0x28000000, 0x30000000), (0x30000000, 0x34000000)
known = {}      # key's name -> material; data keys that clients have asked for, apart
stored = {}


def forms(label, material):
    """The bytes, and the texts that they are when they go through JSON or a log."""
    yield label, material
    yield label + "-hex", material.hex().encode()
    yield label + "-base64", base64.b64encode(material).rstrip(b"=")
    yield label + "-base64url", base64.urlsafe_b64encode(material).rstrip(b"=")


def patterns(materials):
    lines = set()
    for label, material in materials:
        for name, text in forms(label, material):
            lines.add((name, bytes(b ^ MASK for b in text[:64]).hex()))
    return "".join(f"{name} {text}\n" for name, text in sorted(lines)).encode()


def make_store():
    """A store with 1 000 keys whose material the test knows; made once."""
    if stored:
        return stored["path"]
    rnd = random.Random(1)
    store = machine.make_store(session.fresh_path("known.img"))
    vm = session.TestVm(idle=False, store=store, conf_files=session.OPEN)
    with session.discarding(vm):
        vm.start(wait=False).wait_ready(session.PATIENCE)
        pending = 0
        with Conn(vm.port, 120) as c:
            for i in range(KEYS):
                material = bytes(rnd.randrange(256) for _ in range(16 if i % 2 else 32))
                known[f"known{i}"] = material
                body = {"name": f"known{i}", "cipher": "AES/CTR/NoPadding", "length": len(material) * 8,
                        "material": base64.urlsafe_b64encode(material).decode().rstrip("=")}
                c.send(session.kms.request("POST", "/kms/v1/keys?user.name=alice", body))
                pending += 1
                if pending == 20 or i == KEYS - 1:
                    for _ in range(pending):
                        equal(c.read().status, 201)
                    pending = 0
        equal(vm.stop(), 0, vm.last_words())
    stored["path"] = store
    return store


def use_all(vm):
    """Each key encrypts: the core has it in the clear. No answer holds a key or what decrypts to one."""
    with Conn(vm.port, 120) as c:
        for name in known:
            r = c.request("GET", f"/kms/v1/key/{name}/_eek?eek_op=generate&num_keys=1&user.name=alice")
            equal(r.status, 200, name)


def looked_for(vm, materials, ranges=""):
    """What the guest's root finds: labels and addresses, and how many bytes were searched."""
    vm.guest.put("/tmp/patterns", patterns(materials))
    out = vm.guest.sh(f"/test/search /tmp/patterns {ranges}", timeout=600)
    searched = int(re.search(r"searched (\d+) bytes", out).group(1))
    return re.findall(r"^found (\S+) at (0x[0-9a-f]+)$", out, re.M), searched, out


@test("root of the VM searches all memory it can reach and finds none of 1 000 keys in use", "T-293")
def search_inside():
    store = make_store()
    vm = session.TestVm(idle=False, store=store, conf_files=session.OPEN)
    with session.discarding(vm):
        vm.start().wait_ready(session.PATIENCE)
        use_all(vm)
        # Something the guest does hold, so that finding nothing means something.
        vm.guest.put("/tmp/bait", b"bait" + bytes(range(100, 132)) * 3)
        found, searched, out = looked_for(vm, [*known.items(), ("bait", bytes(range(100, 132)))])
        expect(any(label == "bait" for label, _ in found), f"the search does not even find what is there: {out}")
        expect(searched > 800 << 20, out)
        keys = [f for f in found if not f[0].startswith("bait")]
        if PLAIN:
            # The same search, where the core is a process: it sees them. So it would see them at VMPL1, were they there.
            expect(keys, "the keys of a core that is a process are not found: the search is blind")
        else:
            equal(keys, [], out)
        # The ways that need no module are no better.
        code, out, _ = vm.guest.run("dd if=/dev/mem bs=4096 skip=65536 count=1")
        expect(code != 0 or not out.strip(b"\0"), "/dev/mem shows the guest's RAM")
        equal(http(vm.port, "GET", "/health", user=None).json()["keys"], KEYS)
        equal(vm.stop(), 0, vm.last_words())


@test("no random-looking value of VMPL0's memory occurs in the guest's: keys, sealing keys, token secrets", "T-293")
def compare_outside():
    """The emulated host sees all memory in the clear, which real hardware prevents; so it can compare."""
    if PLAIN:
        raise Skip("there is no VMPL0 in plain mode")
    store = make_store()
    vm = session.TestVm(idle=False, store=store, conf_files=session.OPEN)
    with session.discarding(vm):
        vm.start().wait_ready(session.PATIENCE)
        use_all(vm)
        ranges = re.findall(r"^ *([0-9a-f]+)-([0-9a-f]+) : Kernel (?:code|rodata)$", vm.guest.sh("cat /proc/iomem"), re.M)
        equal(len(ranges), 2, "the kernel's constant parts")
        pages = {}
        for kind in ("where", "where-answers"):
            said = vm.guest.sh(f"/test/rewrite $(pidof svsm-kms) 0 0 {kind}")
            pages[kind] = {int(a, 16) for a in re.findall(r"^page ([0-9a-f]+)$", said, re.M)}
            expect(pages[kind], f"no pages: {kind}")
        dump = session.fresh_path("memory")
        told = session.fresh_path("told")       # what the core tells everybody: the audit chain, and its public keys
        health = http(vm.port, "GET", "/health", user=None).json()
        with open(told, "wb") as f:
            f.write(vm.guest.get("/data/kms/kms-audit.chain"))
            f.write(bytes.fromhex(health["auditKey"] + health["uploadKey"] + health["auditHead"].partition(":")[2]))
        vm.monitor("stop")
        vm.qmp("pmemsave", 120, val=0, size=1024 << 20, filename=dump)
        vm.monitor("cont")
        try:
            # First: what the store was given is really where it should be, and nowhere else.
            with open(dump, "rb") as f:
                below = f.read(MONITOR[0])
                inside = f.read(MONITOR[1] - MONITOR[0])
                f.seek(HIDDEN[1])
                above = f.read()
            for name, material in list(known.items())[:50]:
                expect(material in inside, f"{name} is nowhere: the core does not hold it")
                expect(material not in below and material not in above, f"{name} is outside of VMPL0's memory")
            del below, inside, above
            # Not secret: what was launched or is stored (the audit chain with it), the kernel's code and constants (packed in the image), the CPUID page,
            # and the guest's own message keys, VMPCK1 to 3: VMPCK0 is not among them.
            public = [store, vm.image, told, session.fresh_path("public")]
            with open(dump, "rb") as f, open(public[-1], "wb") as out:
                for start, end in [*((int(a, 16), int(b, 16) + 1) for a, b in ranges), (0x28002000, 0x28003000),
                                   (0x28001040, 0x280010A0)]:
                    f.seek(start)
                    out.write(f.read(end - start))
            done = subprocess.run([str(machine.BUILD / "tests" / "vm-residue"), dump, f"{MONITOR[0]:x}-{MONITOR[1]:x}",
                                   f"{HIDDEN[0]:x}-{HIDDEN[1]:x}", *map(str, public)], stdout=subprocess.PIPE, text=True)
            equal(done.returncode, 0, done.stdout)
            values, found = map(int, re.search(r"(\d+) values, (\d+) found", done.stdout).groups())
            expect(values > KEYS, done.stdout)
            hits = re.findall(r"^value ([0-9a-f]+) at (0x[0-9a-f]+), in VMPL0 at (0x[0-9a-f]+)$", done.stdout, re.M)
            equal(len(hits), min(found, 50), done.stdout)
            # Three things may be on both sides: what the guest has written into a request page, where the core cannot write; what
            # the core has answered, in the page of the answer (keys that a client asked for: the documented exception; the keys of
            # the store are searched for by their values, above and in the test before this one); and the CPU's features as
            # libcrypto notes them, here as there.
            features = cpu_features(dump)
            shared = pages["where"] | pages["where-answers"]
            equal([h for h in hits if int(h[1], 16) & ~0xFFF not in shared and not h[0].startswith(features)
                   and not made_of(bytes.fromhex(h[0]), public)], [], done.stdout)
            expect(found <= 50, done.stdout)
        finally:
            os.unlink(dump)
        equal(vm.stop(), 0, vm.last_words())


def made_of(value, public):
    """Whether it is public after all: both halves of it are (two neighbours in a structure, or two registers that copied a sealed
    record), or all but zeros behind it (where a sealed record ends in a buffer that was clear)."""
    def found(parts):
        for path in public:
            with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
                parts = {p for p in parts if m.find(p) < 0}
        return not parts

    end = value.rstrip(b"\0")
    return found({value[:8], value[8:]}) or (8 < len(end) < len(value) and found({end}))


def cpu_features(dump):
    """The first two words of libcrypto's capability vector, from the CPUID page: leaf 1's EDX with bit 10 set, and ECX."""
    with open(dump, "rb") as f:
        f.seek(0x28002000)
        page = f.read(4096)
    for at in range(16, 4096 - 48, 48):
        leaf, _, _, _, _, _, _, _, ecx, edx = struct.unpack_from("<10I", page, at)
        if leaf == 1:
            return struct.pack("<II", edx | 1 << 10, ecx).hex()
    raise AssertionError("the CPUID page has no leaf 1")


# Each of these ends the machine, as the access fault would stay for ever on hardware: one boot for each.
FAULTS = (("reads the monitor's first page", "read", 0x28000000), ("reads the secrets page", "read", 0x28001000),
          ("reads the end of VMPL0's memory", "read", 0x2FFFF000), ("writes to the monitor's code", "write", 0x28100000),
          ("reads VMPL0's memory by /dev/mem", "/dev/mem", 0x28000000), ("reads the host's own memory", "read", 0x30000000))


def fault(what, how, address):
    vm = session.TestVm()
    with session.discarding(vm):
        vm.start()
        at = address // 4096
        command = {"read": f"dd if=/dev/probe bs=4096 skip={at} count=1 | hexdump -C | head -n 4",
                   "/dev/mem": f"dd if=/dev/mem bs=4096 skip={at} count=1 | hexdump -C | head -n 4",
                   "write": f"dd if=/dev/zero of=/dev/probe bs=4096 seek={at} count=1"}[how]
        try:
            out = vm.guest.run(command, timeout=60)
        except (OSError, session.guest.Gone):
            out = None
        vm.wait_text(lambda: vm.stop_reason() or not vm.running(), 60, f"the machine goes on: {out}")
        equal(vm.wait(), 2 * 0x11 + 1, vm.last_words())
        reason = vm.stop_reason()
        expect(re.search(rf"\bvmpl=1\b.*\bgpa={address:x}\b", reason), reason)
        expect(re.search(r"\bwhy=(vmpl-permission|unassigned|shared-view|no-memory)", reason), reason)


for number, (what, how, address) in enumerate(FAULTS):
    def fn(what=what, how=how, address=address):
        if PLAIN:
            raise Skip("there is no VMPL0 in plain mode")
        fault(what, how, address)
    fn.__module__ = __name__
    test(f"a kernel that {what} stops the machine", "T-294")(fn)
