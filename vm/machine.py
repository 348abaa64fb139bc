# SPDX-License-Identifier: Apache-2.0
"""One VM under QEMU: its files, its command line, what it says, how it ended. vm/run and tests/vm use it.

Nothing here is trusted by the VM; what is read from its consoles is untrusted text. All files of a run
(logs, sockets) are in a directory of its own. No KVM: everything runs on QEMU's software CPU.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("SVSM_BUILD") or ROOT / "build").resolve()
VM = BUILD / "vm"
PORT = 9600
CMDLINE = "console=hvc0 quiet loglevel=4 panic=-1"
READY = re.compile(r"svsm-kms (\S+) ready on https?://(\S+):(\d+)/kms isolation=(\S+) data=(.*) keys=(\d+) epoch=(\d+)")
NOISE = re.compile(r"warning: (TCG doesn't support requested feature|This feature depends on other features)")

# QEMU's exit status for the codes that L0 writes to the debug-exit port, and what they mean.
ENDINGS = {
    0: "powered off",
    2 * 0x10 + 1: "the guest terminated itself by a GHCB request",
    2 * 0x11 + 1: "an access that the hardware would not let through stopped the machine",
    2 * 0x12 + 1: "the launch image is malformed",
    2 * 0x13 + 1: "the emulator failed: a bug of its own",
    2 * 0x14 + 1: "triple fault at VMPL0",
}


class Failed(Exception):
    """The VM did not do what was asked; what it said last."""


def kernel_dir():
    return VM / "kernel"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_store(path, megabytes=256):
    """An empty ext4 file system in a sparse file; needs no root."""
    path = pathlib.Path(path)
    new = path.with_name(path.name + ".new")
    with open(new, "wb") as f:
        f.truncate(megabytes << 20)
    new.chmod(0o600)
    env = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    done = subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0",
                           str(new)], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Failed(f"mkfs.ext4: {done.stdout}")
    new.rename(path)
    return path


def make_conf(path, directory):
    """The configuration disk: a tar archive of a directory's files, a whole number of 4 KiB blocks."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for file in sorted(pathlib.Path(directory).iterdir()):
            if file.is_file():
                tar.add(file, arcname=file.name)
    size = os.path.getsize(path)
    os.truncate(path, size + -size % 4096)
    return path


class Machine:
    """A VM. `plain` boots the kernel directly, without emulator: then the core is a process in it.

    forwards: host port -> port in the VM, all on the loopback address. l0: options for the emulator.
    """

    def __init__(self, plain=False, store=None, conf=None, forwards=None, cpus=1, memory=1024, l0=("io=fast",),
                 image=None, initramfs=None, chip=None, cmdline="", directory=None, binary=None):
        self.plain, self.store, self.conf = plain, store, conf
        self.forwards = dict(forwards or {})
        self.cpus, self.memory, self.l0, self.cmdline = cpus, memory, tuple(l0), cmdline
        self.image = image or VM / "svsm-kms.igvm"
        self.initramfs = initramfs or VM / "plain.cpio.gz"
        self.chip = pathlib.Path(chip or VM / "chip" / "chip.bin")
        self.binary = binary or os.environ.get("QEMU", "qemu-system-x86_64")
        self.own_directory = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="svsm-vm-"))
        self.directory.mkdir(parents=True, exist_ok=True)
        self.process = None
        self.control = None

    # -- the command line

    def needed(self):
        """The files it boots from."""
        if self.plain:
            return [kernel_dir() / "vmlinuz", pathlib.Path(self.initramfs)]
        return [VM / "l0.elf", pathlib.Path(self.image), self.chip, VM / "psp"]

    def accel(self):
        """Several virtual CPUs take turns on one thread: on threads of their own QEMU damages the first one (emulator/README.md)."""
        return "tcg,thread=" + ("single" if self.cpus > 1 else "multi")

    def command(self):
        def device(text):
            return ["-device", text + ",disable-legacy=on,iommu_platform=on"]

        d = self.directory
        argv = [self.binary, "-accel", self.accel(), "-machine", "q35,smm=off", "-cpu", "EPYC-Milan,+svm,+npt",
                "-smp", str(self.cpus), "-m", str(self.memory), "-nodefaults", "-display", "none", "-no-reboot",
                "-serial", f"file:{d}/serial.log", "-qmp", f"unix:{d}/qmp.sock,server=on,wait=off",
                "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        argv += ["-chardev", f"file,id=console,path={d}/console.log",
                 "-chardev", f"socket,id=control,path={d}/control.sock,server=on,wait=off"]
        argv += device("virtio-serial-pci,id=ports")
        argv += ["-device", "virtconsole,bus=ports.0,nr=0,chardev=console",
                 "-device", "virtserialport,bus=ports.0,nr=1,chardev=control,name=svsm.control"]
        disks = [(self.store, "off"), (self.conf, "on")]
        for i, (path, read_only) in enumerate(disks):
            if path:
                argv += ["-drive", f"if=none,id=disk{i},format=raw,read-only={read_only},file={path}"]
                argv += device(f"virtio-blk-pci,drive=disk{i}")
        net = "user,id=net,restrict=on,ipv6=off"
        for host, guest in self.forwards.items():
            net += f",hostfwd=tcp:127.0.0.1:{host}-10.0.2.15:{guest}"
        argv += ["-netdev", net] + device("virtio-net-pci,netdev=net,romfile=")
        if self.plain:
            cmdline = f"{CMDLINE} svsm.channel=process {self.cmdline}".strip()
            argv += ["-kernel", str(kernel_dir() / "vmlinuz"), "-initrd", str(self.initramfs), "-append", cmdline]
        else:
            l0, image, chip, psp = map(str, self.needed())
            argv += ["-kernel", l0, "-initrd", ",".join((image, chip, psp)), "-append", " ".join(self.l0)]
        return argv

    # -- its life

    def start(self):
        missing = [str(p) for p in self.needed() if not p.exists()]
        if missing:
            raise Failed("not built: " + ", ".join(missing))
        for name in ("serial.log", "console.log", "qemu.log"):
            (self.directory / name).write_bytes(b"")
        with open(self.directory / "qemu.log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        self.control = self.connect("control.sock")
        return self

    def connect(self, name, seconds=20):
        """A socket of QEMU's; it makes them while it starts."""
        end = time.monotonic() + seconds
        while True:
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(str(self.directory / name))
                return s
            except OSError:
                s.close()
            if not self.running():
                raise Failed(f"QEMU ended with {self.process.returncode}: {self.complaints()}")
            if time.monotonic() > end:
                raise Failed(f"QEMU does not make {name}")
            time.sleep(0.02)

    def qmp(self, command, seconds=60, **arguments):
        """One command of QEMU's own protocol; its answer."""
        s = self.connect("qmp.sock")
        s.settimeout(seconds)
        with s, s.makefile("rwb") as f:
            def ask(message):
                f.write(json.dumps(message).encode() + b"\n")
                f.flush()
                while True:
                    line = f.readline()
                    if not line:
                        raise Failed("QEMU hung up")
                    answer = json.loads(line)
                    if "return" in answer:
                        return answer["return"]
                    if "error" in answer:
                        raise Failed(f"{command}: {answer['error']}")

            f.readline()
            ask({"execute": "qmp_capabilities"})
            return ask({"execute": command, "arguments": arguments})

    def monitor(self, line, seconds=60):
        return self.qmp("human-monitor-command", seconds, **{"command-line": line})

    def forward(self, host, guest):
        """Forwards one more port of the loopback address."""
        said = self.monitor(f"hostfwd_add net tcp:127.0.0.1:{host}-10.0.2.15:{guest}")
        if said.strip():
            raise Failed(said.strip())

    def unforward(self, host):
        self.monitor(f"hostfwd_remove net tcp:127.0.0.1:{host}")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def ask_stop(self):
        """Asks the VM to end the server, unmount the store and power off."""
        try:
            self.control.sendall(b"stop\n")
        except OSError:
            pass

    def wait(self, seconds=60):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"the VM does not end: {self.last_words()}") from None

    def stop(self, seconds=60):
        if self.running():
            self.ask_stop()
        return self.wait(seconds)

    def kill(self):
        """A power cut."""
        if self.running():
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if self.control:
            self.control.close()
            self.control = None

    def discard(self):
        """Ends it and removes its directory, if that was made for it."""
        self.kill()
        if self.own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    # -- what it says

    def text(self, name):
        try:
            return (self.directory / name).read_text("utf-8", "replace").replace("\r", "")
        except FileNotFoundError:
            return ""

    def serial(self):
        return self.text("serial.log")

    def console(self):
        return self.text("console.log")

    def complaints(self):
        return "\n".join(line for line in self.text("qemu.log").splitlines() if not NOISE.search(line))

    def last_words(self):
        return "\n".join(f"{name}: {text[-1500:]}" for name, text in (
            ("qemu", self.complaints()), ("serial", self.serial()), ("console", self.console())) if text.strip())

    def wait_ready(self, seconds=120):
        """Until the server in it says that it is; the match of READY."""
        return self.wait_text(lambda: READY.search(self.console()), seconds, "the server in the VM is not ready")

    def wait_text(self, look, seconds, what):
        end = time.monotonic() + seconds
        while True:
            alive = self.running()
            found = look()
            if found:
                return found
            if not alive:
                raise Failed(f"{what}; {self.ending()}\n{self.last_words()}")
            if time.monotonic() > end:
                raise Failed(f"{what}\n{self.last_words()}")
            time.sleep(0.05)

    def digest(self):
        """The launch digest as the emulator says it."""
        found = re.search(r"L0: launch digest ([0-9a-f]{96})\b", self.serial())
        return found and found.group(1)

    def stop_reason(self):
        """The emulator's `L0: stop: ...` line, without its head."""
        found = re.search(r"^L0: stop: (.*)$", self.serial(), re.M)
        return found and found.group(1)

    def ending(self):
        """How it ended, in words."""
        code = self.process.poll()
        if code is None:
            return "running"
        text = ENDINGS.get(code) or (f"ended by signal {-code}" if code < 0 else f"QEMU ended with exit code {code}")
        reason = self.stop_reason()
        return text + (f" ({reason})" if reason else "")
