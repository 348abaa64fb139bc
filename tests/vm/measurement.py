# SPDX-License-Identifier: Apache-2.0
"""Every byte that runs below or at VMPL0 counts: another one, another measurement, and the store stays closed."""
import json
import os
import pathlib
import re
import subprocess

import machine
import session
from kms import Skip, equal, expect, test
from session import PLAIN, http

state = {}


def measured(image):
    done = subprocess.run([str(machine.BUILD / "svsm-kms"), "measure", "--image", str(image), "-o", "json"], check=True,
                          stdout=subprocess.PIPE, text=True)
    return re.search(r"\b[0-9a-f]{96}\b", json.dumps(json.loads(done.stdout))).group(0)


def changed_copy(path, old, new):
    """A copy of a file with one place changed, or bytes appended where old is empty."""
    data = pathlib.Path(path).read_bytes()
    if old:
        expect(old in data and len(old) == len(new), f"{old!r} is not in {path}")
        data = data.replace(old, new, 1)
    else:
        data += new
    out = session.fresh_path(os.path.basename(str(path)))
    pathlib.Path(out).write_bytes(data)
    return out


def sealed_store():
    """A store with a key in it, made by the unchanged image; made once, copied for each test."""
    if PLAIN:
        raise Skip("there is no measurement in plain mode")
    if not state:
        store = machine.make_store(session.fresh_path("sealed.img"), 64)
        vm = session.TestVm(idle=False, store=store, conf_files=session.OPEN)
        with session.discarding(vm):
            vm.start(wait=False).wait_ready(session.PATIENCE)
            equal(http(vm.port, "POST", "/keys", {"name": "k"}).status, 201)
            state["versions"] = http(vm.port, "GET", "/key/k/_versions").json()
            state["digest"] = vm.digest()
            equal(state["digest"], measured(vm.image), "the digest the machine computed, and the one of the files")
            equal(vm.stop(), 0, vm.last_words())
        state["store"] = store
    copy = session.fresh_path("copy.img")
    subprocess.run(["cp", "--sparse=always", str(state["store"]), copy], check=True)
    return copy


def stays_closed(what, chip=None, **parts):
    store = sealed_store()
    image = session.make_image(session.fresh_path("other.igvm"), **parts)
    if chip is None:
        expect(measured(image) != state["digest"], f"another {what}, and the same measurement")
    vm = session.TestVm(idle=False, store=store, conf_files=session.OPEN, image=image, chip=chip)
    with session.discarding(vm):
        vm.start(wait=False)
        ended = vm.wait_text(lambda: re.search(r"^vm: server ended: code (\d+)", vm.console(), re.M), session.PATIENCE,
                             "the server does not end")
        equal(vm.wait(), 0, vm.last_words())
        equal(ended.group(1), "65", vm.console()[-1500:])
        expect("does not open with the key that the secure processor gives" in vm.console(), vm.console()[-1500:])
        equal(vm.digest(), measured(image))
    # Refusing has changed nothing: the right image opens it.
    return store


@test("another kernel command line changes the measurement, and the sealed store stays closed", "T-299")
def cmdline():
    stays_closed("command line", cmdline=machine.CMDLINE + " svsm.other=1")


@test("another byte of the initramfs changes the measurement, and the sealed store stays closed", "T-299")
def initramfs():
    stays_closed("initramfs", initrd=changed_copy(session.TEST / "initramfs.cpio.gz", b"", bytes(4)))


@test("another byte of the service changes the measurement, and the sealed store stays closed", "T-299")
def service():
    stays_closed("service", service=changed_copy(machine.BUILD / "svsm-kms-service", b"", b"\0"))


@test("another byte of the monitor changes the measurement, and the sealed store stays closed", "T-299")
def monitor():
    path = machine.VM / "monitor.elf"
    stays_closed("monitor", monitor=changed_copy(path, b"starts at VMPL0", b"Starts at VMPL0"))


@test("another chip gives the same image another key, and the right chip and image open the store as it was", "T-299")
def chip():
    other = session.fresh_dir("chip")
    subprocess.run([str(machine.VM / "mkchip"), other], check=True, stdout=subprocess.DEVNULL)
    store = stays_closed("chip", chip=os.path.join(other, "chip.bin"))
    vm = session.TestVm(idle=False, store=store, conf_files=session.OPEN)
    with session.discarding(vm):
        vm.start(wait=False).wait_ready(session.PATIENCE)
        equal(http(vm.port, "GET", "/key/k/_versions").json(), state["versions"])
        equal(vm.stop(), 0, vm.last_words())
