# SPDX-License-Identifier: Apache-2.0
"""The suites of the process isolation, run against servers in one VM: `kms-in-vm` stands in for the server."""
import os
import re
import subprocess

import machine
import session
from kms import Skip, equal, expect, test
from session import PLAIN

ROOT = machine.ROOT
TOTALS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.M)
shared = []
WITHOUT_DEVICE = "the server in plain mode needs no device"


def one_vm():
    """The VM of all of these: booted once, ended with the process."""
    if shared and not shared[0].running():
        shared.pop().discard()
    if not shared:
        vm = session.TestVm(cpus=2)
        vm.start()
        shared.append(vm)
    return shared[0]


def hold(argv, least, timeout=900, env=None):
    """Runs a suite; it must end well, and must have run at least so many tests."""
    vm = one_vm()
    done = subprocess.run([str(a) for a in argv], cwd=ROOT, env={**vm.environment(), **(env or {})}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout * session.kms.SLOW)
    totals = TOTALS.findall(done.stdout)
    bad = [line for line in done.stdout.splitlines() if re.match(r"(FAIL|not ok)", line)]
    expect(vm.running(), lambda: f"the VM has ended: {vm.ending()}\n{vm.last_words()}")
    expect(totals and done.returncode in (0, 77), lambda: "\n".join(bad[:20]) + "\n" + done.stdout[-2500:])
    passed, failed, _ = map(int, totals[-1])
    if done.returncode == 77 or (passed == 0 and failed == 0):
        raise Skip(done.stdout.strip().splitlines()[-1])
    equal(failed, 0, done.stdout[-2500:])
    expect(passed >= least, f"only {passed} tests: {done.stdout[-1500:]}")


@test("the differential conversation: the VM answers as Hadoop KMS does")
def differential():
    hold(["python3", "tests/differential/run.py", "--replay", "tests/differential/reference-3.4.1.json", "--subject-command",
          f"{session.HERE / 'kms-in-vm'} serve"], 1400, env={"SVSM_KMS_PEER": "10.0.2.2"})     # QEMU's network: the host


@test("the REST suite: malformed and odd requests over the forwarded port", "T-70")
def rest():
    hold(["tests/system/suite", "malformed requests", "unusual but well-formed", "every byte of a request", "fifty pipelined",
          "a half-closed", "/metrics is"], 6)


@test("forged or edited tokens, and access control lists that the owner did not sign, are refused in the VM", "T-02", "T-122")
def forged():
    hold(["tests/system/suite", "cookies of another secret", "a bad one beside a user name", "cookie expires after",
          "edited access control lists", "recovery key that the owner named"], 5)


@test("tampered stores are refused in the VM as anywhere", "T-298")
def tampered():
    hold(["tests/tamper/suite", "two records swapped", "an old version of a record", "an older head put back",
          "the whole store set back"], 4, env={"TAMPER_FLIPS": "1"})


@test("a real Hadoop client creates, rolls, encrypts and decrypts through the forwarded port")
def hadoop():
    if subprocess.run(["sh", "-c", "command -v mvn && command -v javac"], stdout=subprocess.DEVNULL).returncode:
        raise Skip("no Java here: tools/deps java")
    one_vm()
    hold(["tests/hadoop/run.sh", "--hadoop", "3.4.1", "--suite", "client", "--test", "ProviderTest"], 20, timeout=900,
         env={"SVSM_KMS_CMD": str(session.HERE / "kms-in-vm"), "SVSM_KMS_ABLE": "", "SVSM_KMS_CLOCK_SKEW_MS": "60000"})


@test("the driver keeps its rules towards a program that keeps none, in the VM's kernel and from user space", "T-270")
def driver():
    if PLAIN:
        raise Skip(WITHOUT_DEVICE)
    vm = one_vm()
    for program in ("/test/driver/uapi_selftest --module /lib/modules/svsm.ko", "insmod /test/driver/svsm_selftest.ko"):
        path = program.split()[0] if program.startswith("/") else program.split()[1]
        if vm.guest.run(f"test -e {path}")[0]:
            raise Skip(f"{path} is not built")
        code, out, err = vm.guest.run(f"dmesg -C; {program}; c=$?; dmesg | grep -E '(ok|not ok) ' ; exit $c", timeout=200)
        text = (out + err).decode("utf-8", "replace")
        good, bad = re.findall(r"\bok\b +(.*)", text), re.findall(r"\b(?:not ok|FAILED)\b.*", text)
        equal(bad, [], text[-2500:])
        expect(len(good) >= 3, f"{code}: {text[-2500:]}")


@test("the VM that held all of these stops cleanly")
def stops():
    vm = one_vm()
    try:
        equal(vm.stop(), 0, vm.last_words())
    finally:
        shared.pop().discard()
