# SPDX-License-Identifier: Apache-2.0
"""The server on /dev/svsm, without a VM: tests/fake/svsm_preload.c is the device, the service behind it the real one.
The same in a real VM is tested in tests/vm."""
import os
import pathlib
import shutil
import signal
import subprocess
import threading

from kms import (BIN, BUILD, NotReady, Server, Skip, conf_dir, equal, expect, fresh_dir, refused, sanitized, test, wait_for,
                 write)
from recovery import key_pair

LIB = os.path.join(BUILD, "tests", "libfake-svsm.so")
DEVICE = "/dev/fake-svsm"
CHANNEL = "svsm:" + DEVICE


def fake(root=9, lanes=3):
    if sanitized():
        raise Skip("a sanitizer wants to be loaded first")
    if not os.path.exists(LIB):
        raise Skip("libfake-svsm.so is not built")
    return {"LD_PRELOAD": LIB, "FAKE_SVSM_DEVICE": DEVICE, "FAKE_SVSM_SERVICE": os.path.join(BUILD, "svsm-kms-service"),
            "FAKE_SVSM_ROOT": str(root), "FAKE_SVSM_LANES": str(lanes)}


def vmpl0(root=9, lanes=3, **more):
    return Server(args=["--channel", CHANNEL], env=fake(root, lanes), **more)


def run(*args, root=9):
    r = subprocess.run([BIN, *args], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
                       env={**os.environ, **fake(root)})
    expect(r.returncode >= 0, f"ended by signal {-r.returncode}: {r.stderr.decode()[-1500:]}")
    return r.returncode, r.stdout.decode(), r.stderr.decode()


def die(s):
    """The service dies of a fault, seen when the next call meets it."""
    s.signal(signal.SIGUSR2)
    wait_for(lambda: s.service() is None or s.health()["serviceRestarts"] > 0)


@test("on /dev/svsm the start-up line, /health and the metrics name the isolation that the monitor names")
def named():
    with vmpl0() as s:
        equal(s.isolation, "vmpl0-emulated")
        h = s.health()
        equal(h["isolation"], "vmpl0-emulated")
        expect("from nobody" in h["protects"], h)
        expect('isolation="vmpl0-emulated"' in s.call("GET", "/metrics", user=None).body.decode())
        s.create("k")
        s.healthy()


@test("on /dev/svsm no platform.key is made, and one that lies there is not used")
def no_key_file():
    with vmpl0() as s:
        s.create("k")
        path = os.path.join(s.data, "platform.key")
        expect(not os.path.exists(path), "platform.key was made")
        equal(s.stop(), 0)
        write(path, bytes(32))
        s.start()
        equal(s.names(), ["k"])
        equal(s.stop(), 0)
        with open(path, "rb") as f:
            equal(f.read(), bytes(32))


@test("the setting svsm.kms.channel does what --channel does, and anything else is refused")
def setting():
    with Server(site={"svsm.kms.channel": CHANNEL}, env=fake()) as s:
        equal(s.isolation, "vmpl0-emulated")
    with Server(site={"svsm.kms.channel": CHANNEL}, args=["--channel", "process"], env=fake()) as s:
        equal(s.isolation, "process")
    for wrong in ("", "svsm:", "svsm:dev", "vmpl0", "process ", "svsm:" + "/x" * 200):
        try:
            with Server(args=["--channel", wrong]):
                raise AssertionError(f"{wrong!r} was accepted")
        except NotReady as e:
            equal(e.code, 78, wrong)
            expect("--channel" in e.err, e.err)


@test("without the driver the server does not start, says what to load, and falls back to nothing")
def no_driver():
    for device, words in (("/dev/no-such-svsm", "modprobe svsm"), ("/dev/null", "not the driver's device")):
        try:
            with Server(args=["--channel", "svsm:" + device]):
                raise AssertionError("it started")
        except NotReady as e:
            equal(e.code, 70)
            expect(words in e.err and device in e.err, e.err)


@test("workers are as many as the device has lanes, or fewer if told so")
def lanes():
    for lanes_, told, wanted in ((2, "0", 1), (5, "2", 2), (3, "64", 2)):
        with vmpl0(lanes=lanes_, site={"svsm.kms.workers": told}) as s:
            names = [p.read_text().strip() for p in pathlib.Path(f"/proc/{s.process.pid}/task").glob("*/comm")]
            equal(names.count("http"), wanted, f"workers among {names}")
            for i in range(20):
                s.create(f"k{i}")
            s.healthy()


@test("nothing acknowledged is lost when the service at VMPL0 dies again and again", "T-272")
def deaths():
    with vmpl0() as s:
        known, stop = [], threading.Event()

        def create(n):
            i = 0
            while not stop.is_set():
                name = f"k{n}-{i}"
                r = s.call("POST", "/keys", {"name": name})
                if r.status == 201:
                    known.append((name, r.json()["material"]))
                else:
                    expect(r.status >= 500, f"{r}")
                i += 1

        threads = [threading.Thread(target=create, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        for i in range(4):
            have = len(known)
            wait_for(lambda: len(known) > have + 20)
            s.signal(signal.SIGUSR2)
            wait_for(lambda: s.health()["serviceRestarts"] > i, 30)
            wait_for(lambda: s.health()["store"] == "ready", 30)
        stop.set()
        for t in threads:
            t.join()
        s.healthy()
        for name, material in known:
            equal(s.versions(name)[-1]["material"], material, name)


@test("nothing acknowledged is lost when the server is killed", "T-272")
def killed():
    with vmpl0() as s:
        materials = {f"k{i}": s.create(f"k{i}")["material"] for i in range(50)}
        s.kill()
        s.start()
        for name, material in materials.items():
            equal(s.versions(name)[-1]["material"], material, name)


@test("a large batch fits into the pages of the device")
def batch():
    with vmpl0() as s:
        s.create("k")
        r = s.call("GET", "/key/k/_eek?eek_op=generate&num_keys=5000")
        equal(r.status, 200)
        keys = r.json()
        equal(len(keys), 5000)
        r = s.call("POST", "/key/k/_reencryptbatch", keys)
        equal(r.status, 200)
        equal(len(r.json()), 5000)


@test("a store sealed under another measurement does not open, and says what that means", "T-273")
def other_image():
    with vmpl0(root=1) as s:
        s.create("k")
        equal(s.stop(), 0)
        code, out, err = run("store", "verify", "--data", s.data, "--channel", CHANNEL, root=2)
        expect(code != 0 and "another image" in out + err and "platform.key" not in out + err, out + err)
        s.env = fake(root=2)
        try:
            s.start()
            raise AssertionError("it opened")
        except NotReady as e:
            equal(e.code, 65)
            expect("another image" in e.err, e.err)
        s.env = fake(root=1)
        s.start()
        equal(s.names(), ["k"])


@test("the recovery key brings a store from one isolation to the other, and to the next image")
def recover():
    private, public = key_pair()
    with Server(site={"svsm.kms.recovery.public-key": public}) as s:
        material = s.create("k")["material"]
        equal(s.stop(), 0)
        data = os.path.join(fresh_dir("vm"), "data")
        shutil.copytree(s.data, data)
    os.unlink(os.path.join(data, "platform.key"))
    code, out, err = run("store", "verify", "--data", data, "--channel", CHANNEL)
    expect(code != 0, out)
    for root in (1, 2):
        code, out, err = run("store", "recover", "--data", data, "--key", private, "--channel", CHANNEL, root=root)
        equal(code, 0, out + err)
        expect("vmpl0-emulated" in out and not os.path.exists(os.path.join(data, "platform.key")), out)
        code, out, err = run("store", "verify", "--data", data, "--channel", CHANNEL, root=root)
        equal(code, 0, out + err)
    with vmpl0(root=2, data=data, conf=conf_dir()) as s:
        equal(s.versions("k")[0]["material"], material)
        s.healthy()
