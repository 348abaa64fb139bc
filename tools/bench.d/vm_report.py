# SPDX-License-Identifier: Apache-2.0
"""Tables of `make bench-vm` for people, out of the raw figures."""

from common import median, spread
from report import table

CONNECTIONS = (1, 16, 64)
WHO = {"vmpl0": "at VMPL0", "process": "process in the VM"}
# The emulator names exits by their codes.
CODES = {"exit-81": "VMGEXIT", "exit-7c": "RDMSR, WRMSR", "exit-46": "PVALIDATE, RMPADJUST", "exit-72": "CPUID",
         "exit-7b": "port I/O", "exit-400": "nested page faults (devices)", "exit-61": "NMI: vCPU kicked by the emulator"}


def middle(runs, field):
    return median([r[field] for r in runs])


def show_requests(results):
    lines = []
    for n in CONNECTIONS:
        runs = results["runs"]
        for who, name in WHO.items():
            mine, other = runs[f"{n} {who}"], runs[f"{n} vmpl0"]
            lines.append([f"decrypt {n}", name, str(sum(r["requests"] for r in mine)), f"{middle(mine, 'per_s'):.0f}",
                          f"{spread([r['per_s'] for r in mine]) * 100:.0f} %", f"{middle(mine, 'us'):.0f}",
                          f"{middle(mine, 'crossings'):.3f}",
                          "" if mine is other else f"{middle(other, 'per_s') / middle(mine, 'per_s'):.2f}",
                          "" if mine is other else f"{middle(mine, 'us') / middle(other, 'us'):.2f}"])
    table("Both isolations in the same VM, in turn", ["operation, connections", "core", "requests", "requests/s", "spread",
                                                     "CPU us/request", "crossings/request", "VMPL0/this", "by CPU time"], lines)
    print("CPU: of the whole QEMU process. An emulated machine: only the ratios of one line to another mean anything.")


def show_counted(fast, strict):
    lines = []
    for io, part in (("fast", fast), ("strict", strict)):
        for n in CONNECTIONS if part else ():
            runs = part[str(n)]
            by = {k: median([r["exits_by"].get(k, 0) for r in runs]) for k in runs[0]["exits_by"]}
            lines.append([f"decrypt {n}", io, str(sum(int(r["requests"]) for r in runs)), f"{middle(runs, 'crossings'):.3f}",
                          f"{middle(runs, 'driver_crossings'):.3f}", f"{middle(runs, 'exits'):.2f}",
                          ", ".join(f"{CODES.get(k, k)} {v:.2f}" for k, v in sorted(by.items(), key=lambda i: -i[1])
                                    if k.startswith("exit-") and v >= 0.005)])
    table("Crossings and exits a request", ["operation, connections", "I/O", "requests", "crossings, proxy's count",
                                            "driver's count", "all VM exits, emulator's count", "of them"], lines)
    print("fast: devices are reached directly, so exits are what SEV-SNP itself costs; strict: each access to a device is a "
          "#VC exception and a GHCB request, as on hardware without passed-through devices.")


def show_places(p):
    table("Where the bytes of one request are, in the whole machine's memory", ["", ""], [
        ["request", f"{p['units']} encrypted keys, {p['bytes']} bytes of JSON, {p['crossings']} crossing(s)"],
        ["places in the pages that the driver registered (the proxy writes, the service reads)", str(p["shared"])],
        ["places anywhere else in the guest: copies on the way", str(p["guest"])],
        ["places in VMPL0's memory after the answer", str(p["vmpl0"])]])
    table("Memory of VMPL0: monitor, page states, services", ["", "MiB"], [
        ["reserved", f"{p['vmpl0_bytes'] / 2**20:.0f}"], ["pages that hold anything", f"{p['vmpl0_used'] / 2**20:.1f}"]])


def show_boot(b, kernel):
    lines = [[p["what"], f"{p['s']:.1f}", f"{p['cpu_s']:.2f}", f"{p['cpu_s'] / b['cpu_s'] * 100:.0f} %"]
             for p in b["parts"]]
    lines.append(["all", f"{b['s']:.1f}", f"{b['cpu_s']:.2f}", ""])
    table("Boot to first answer", ["part", "s", "CPU s", "of CPU"], lines)
    if {"init", "driver"} <= kernel.keys():
        print(f"Inside the kernel's part, by its own log: {kernel['init']:.1f} s to init,"
              f" {kernel['driver'] - kernel['init']:.1f} s more to the driver with its service started.")


def parts_of(c):
    """What an empty call to the service is made of: name, instructions, exits."""
    def instructions(kind, level):
        return c[kind].get(f"ticks-vmpl{level}", 0)

    def exits(kind):
        return sum(v for k, v in c[kind].items() if k.startswith("exit-"))

    loop = instructions("nothing", 1)
    yield "ioctl into the driver and back", instructions("driver", 1) - loop, exits("driver")
    yield "kernel's and driver's way to the exit, and back", instructions("service", 1) - instructions("driver", 1), ""
    yield "VMPL0 entered, no call there, back (RUN_VMPL)", instructions("switch", 0), ""
    yield "monitor takes the call, checks and answers it", instructions("monitor", 0) - instructions("switch", 0), ""
    yield "CPL3 entered, the service looks and sleeps, back", instructions("service", 0) - instructions("monitor", 0), ""
    total = instructions("service", 1) + instructions("service", 0) - loop
    yield "all of it", total, exits("service")
    yield "emulator, for these exits (hardware and host have their own)", c["service"]["ticks-l0"], ""


def show_calls(c):
    table("An empty call to the service, by its parts", ["part", "instructions", "exits"],
          [[what, f"{n:.0f}", e if e == "" else f"{e:.2f}"] for what, n, e in parts_of(c)])
    print(f"Counted over {c['count']} calls of each kind on a virtual CPU whose time stamp advances by one each instruction.")


def targets(results):
    r, p = results.get("requests"), (results.get("requests") or {}).get("places")
    lines = results.get("sizes", {}).get("lines", {})

    def row(what, reach, value, met):
        return [what, reach, "not measured" if value is None else str(value), "" if value is None else "yes" if met else "NO"]

    crossings = middle(r["counted"]["64"], "driver_crossings") if r else None
    yield row("crossings a request, 64 connections", "<= 0.15", crossings and f"{crossings:.3f}", r and crossings <= 0.15)
    yield row("copies of a body between proxy and service", "0", p and p["guest"] / p["units"],
              p and p["guest"] == 0 and p["shared"] >= p["units"])
    for name, most in (("monitor", 6000), ("service", 8000)):
        yield row(f"trusted lines, {name}", f"<= {most}", lines.get(name), lines.get(name, 0) <= most)


def show(results):
    m = results["machine"]
    print(f"\n{m['cpus']} CPUs ({m['model']}), {m['qemu']}, load average {m['load_before']:.1f} before and {m['load_after']:.1f} "
          f"after; {results['took_s']:.0f} s{'; QUICK: rough figures' if results['quick'] else ''}")
    r = results.get("requests")
    if r:
        show_requests(r)
    if r or "strict" in results:
        show_counted(r and r["counted"], results.get("strict"))
    if r:
        show_places(r["places"])
    if "calls" in results:
        show_calls(results["calls"])
    if "boot" in results:
        show_boot(results["boot"], (r or {}).get("kernel_s", {}))
    if "sizes" in results:
        s = results["sizes"]
        table("Sizes", ["", "KiB"], [[name, f"{size / 1024:.0f}"] for name, size in s["bytes"].items()])
        table("Trusted source lines", ["", ""], [[name, str(count)] for name, count in s["lines"].items()])
    table("Reached?", ["what", "reach", "measured", "met?"], list(targets(results)))
