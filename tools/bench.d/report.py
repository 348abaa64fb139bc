# SPDX-License-Identifier: Apache-2.0
"""Tables for people, out of the raw figures."""

from common import median, spread

OURS, NGINX, HADOOP = "svsm-kms", "nginx", "Hadoop KMS"


def rows_of(lines):
    """Columns as wide as they need to be."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print("| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths)) + " |")
    print()


def table(title, head, lines):
    print(f"\n## {title}\n")
    rows_of([head, ["-" * max(3, len(h)) for h in head], *lines])


def us(value):
    return f"{value:.0f} us" if value < 1000 else f"{value / 1000:.1f} ms" if value < 1e6 else f"{value / 1e6:.1f} s"


def mib(kib):
    return f"{kib / 1024:.1f}"


class Http:
    """Medians over the runs of one operation, number of connections and server."""

    def __init__(self, results):
        self.raw = results.get("http", {}).get("runs", {})

    def value(self, key, who, field):
        runs = self.raw.get(f"{key} {who}")
        return median([r[field] for r in runs]) if runs else None

    def ratio(self, key, who, other, field):
        a, b = self.value(key, who, field), self.value(key, other, field)
        return a / b if a is not None and b else None


def show_http(results, h):
    raw = results["http"]
    lines = []
    for key in dict.fromkeys(name.removesuffix(f" {OURS}") for name in raw["runs"] if name.endswith(OURS)):
        for who in (OURS, NGINX, HADOOP):
            if h.value(key, who, "per_s") is None:
                continue
            if not h.value(key, who, "requests"):
                lines.append([key, who, "none finished", "", "", "", "", ""])
                continue
            ratio = h.ratio(key, OURS, who, "per_s")
            lines.append([key, who, f"{h.value(key, who, 'per_s'):.0f}",
                          f"{spread([r['per_s'] for r in raw['runs'][f'{key} {who}']]) * 100:.0f} %",
                          us(h.value(key, who, "p50_us")), us(h.value(key, who, "p99_us")),
                          f"{h.value(key, who, 'us'):.1f}", "" if who == OURS or ratio is None else f"{ratio:.2f}"])
    table("Over HTTP, keep-alive",
          ["operation, connections", "server", "requests/s", "spread", "p50", "p99", "CPU us/request", "ours/this"],
          lines)
    print("Medians; spread: largest minus smallest of the runs. Our audit log is on, nginx's access log is off.")
    lines = [[name, mib(m["rss"]), mib(m["pss"]), mib(m["private"])] for name, m in raw["memory"].items()]
    table("Memory of the servers' processes, MiB", ["", "RSS", "PSS", "private"], lines)
    lines = [[key, f"{median(values):.3f}"] for key, values in raw["crossings"].items()]
    table("Crossings into the service for each call", ["operation, connections", "crossings/call"], lines)


def show_identity(runs):
    lines, base = [], {"OPTIONS": runs["nobody, refused"], "decrypt": runs["decrypt by cookie"]}
    for name, r in runs.items():
        to = base["decrypt" if name.startswith("decrypt") else "OPTIONS"]
        rate, cpu = median([x["per_s"] for x in r]), median([x["us"] for x in r])
        lines.append([name, f"{rate:.0f}", f"{cpu:.1f}", f"{rate / median([x['per_s'] for x in to]):.2f}",
                      f"{cpu / median([x['us'] for x in to]):.2f}"])
    table("Who is asking, 64 connections", ["credential", "requests/s", "CPU us/request", "rate", "CPU"], lines)
    print("Rate and CPU relative to a request of nobody, which is refused; of decrypt, to the one by cookie.")


def show_logins(runs):
    lines = []
    for name in ("SPNEGO", "cookie"):
        rate, cpu, base = (median([r[who][field] for r in runs])
                           for who, field in ((name, "per_s"), (name, "us"), ("cookie", "us")))
        lines.append([name, f"{rate:.0f}", f"{cpu:.1f}", f"{cpu / base:.2f}"])
    table("Kerberos logins, 64 connections", ["shown", "requests/s", "CPU us/request", "CPU to cookie"], lines)
    print("The client is Python here and takes a CPU for itself: the server's CPU time is the figure.")


def show_tls(raw):
    def value(key, who, field):
        runs = raw["runs"].get(f"{key} {who}")
        return median([r[field] for r in runs]) if runs else None

    lines, shakes = [], []
    for key in dict.fromkeys(name.removesuffix(f" {OURS}") for name in raw["runs"] if name.endswith(OURS)):
        per_s, cpu = value(key, OURS, "per_s"), value(key, OURS, "us")
        other = "plain text" if key.startswith("decrypt") else NGINX
        cells = [key, f"{per_s:.0f}", f"{cpu:.1f}"]
        for who in ("plain text", NGINX) if other == "plain text" else (NGINX,):
            theirs = value(key, who, "per_s")
            cells += [f"{theirs:.0f}", f"{value(key, who, 'us'):.1f}", f"{per_s / theirs:.2f}"] if theirs else ["", "", ""]
        (lines if other == "plain text" else shakes).append(cells)
    table("TLS, keep-alive", ["operation, connections", "TLS/s", "CPU us", "plain text/s", "CPU us", "TLS/plain", "nginx TLS/s",
                              "CPU us", "ours/nginx"], lines)
    alone = []
    for n in dict.fromkeys(name.split()[0] for name in raw.get("alone", {})):
        plain, over = (raw["alone"][f"{n} {who}"] for who in ("plain", "tls"))
        cells = [[median([r[field] for r in runs]) for field in ("per_s", "us", "client_us")] for runs in (over, plain)]
        alone.append([f"decrypt {n}", *(f"{v:.0f}" if i == 0 else f"{v:.1f}" for c in cells for i, v in enumerate(c)),
                      f"{cells[0][0] / cells[1][0]:.2f}"])
    if alone:
        table("TLS, keep-alive, the server on one processor and the load on another",
              ["operation, connections", "TLS/s", "CPU us", "client's", "plain text/s", "CPU us", "client's", "TLS/plain"], alone)
    table("TLS connections with a handshake and one request each", ["version, kind", "svsm-kms/s", "CPU us", "nginx/s", "CPU us",
                                                                 "ours/nginx"], shakes)


def show_core(c):
    names = [n.removesuffix("_ns") for n in c if n.endswith("_ns")]
    lines = [[n.replace("_", " "), f"{c[n + '_ns']:.0f}", f"{c[n + '_ns_least']:.0f}",
              f"{c[n + '_keys_per_s']:.0f}" if n + "_keys_per_s" in c else ""] for n in names]
    table("Inside the core, one CPU", ["call", "ns, median", "ns, least", "encrypted keys/s"], lines)


def show_rest(results):
    d, k, i, s = (results.get(n, {}) for n in ("durable", "keys", "instructions", "start"))
    lines = []
    if d.get("create_per_s"):
        lines += [["fdatasync of 4 KiB, per second", f"{median(d['fdatasync_per_s']):.0f}"],
                  ["durable creates per second, 64 connections", f"{median(d['create_per_s']):.0f}"],
                  ["commits per second", f"{median(d['commits_per_s']):.0f}"],
                  ["changes in a commit", f"{median(d['changes_per_commit']):.1f}"],
                  ["CPU us a create", f"{median(d['us']):.0f}"]]
    if k.get("start_ms"):
        n = k["keys"]
        lines += [[f"start to first answer, {n} keys", f"{median(k['start_ms']):.0f} ms"],
                  ["CPU of that, proxy and service", f"{median(k['start_cpu_s']):.2f} s"],
                  ["service memory a key", f"{k['service_bytes_per_key']:.0f} bytes"],
                  ["proxy memory a key, private", f"{k['proxy_private_bytes_per_key']:.0f} bytes"],
                  ["proxy memory a key, with the mapped file", f"{k['proxy_bytes_per_key']:.0f} bytes"],
                  ["store file a key", f"{k['file_bytes'] / n:.0f} bytes"],
                  ["names of all keys", f"{k['list_ms']:.0f} ms, {k['list_bytes'] / 1e6:.1f} MB"],
                  ["decrypt, 16 connections, CPU us: all keys / one key",
                   f"{median([r['us'] for r in k['decrypt_many']]):.1f} / "
                   f"{median([r['us'] for r in k['decrypt_few']]):.1f}"]]
    if s.get("start_ms"):
        lines.append(["start to first answer, empty store", f"{median(s['start_ms']):.0f} ms"])
    if i.get("service_per_decrypt"):
        lines += [["instructions a decrypt, service", f"{i['service_per_decrypt']:.0f}"],
                  ["instructions a decrypt, proxy (user mode)", f"{i['proxy_per_decrypt']:.0f}"]]
    if lines:
        table("Durability, many keys, start, instructions", ["", ""], lines)


def targets(results, h):
    """what, reach, measured (text), met (or None when it was not measured)"""
    core, d, k, s, i = (results.get(n, {}) for n in ("core", "durable", "keys", "start", "lines"))
    crossings = results.get("http", {}).get("crossings", {}).get("decrypt 64")

    def row(what, reach, value, text, met):
        return [what, reach, text(value) if value is not None else "not measured",
                "" if value is None else "yes" if met(value) else "NO"]

    fast = h.ratio("decrypt 64", OURS, NGINX, "per_s")
    cpu = h.ratio("decrypt 64", NGINX, OURS, "us")
    yield row("decrypt, 64 connections, against nginx", ">= 0.8", fast,
              lambda v: f"{v:.2f} (by CPU time {cpu:.2f})", lambda v: v >= 0.8)
    yield row("the same against Hadoop KMS", ">= 3", h.ratio("decrypt 64", OURS, HADOOP, "per_s"),
              lambda v: f"{v:.1f}", lambda v: v >= 3)
    yield row("p99 of the same against Hadoop KMS", "<= 0.1", h.ratio("decrypt 64", OURS, HADOOP, "p99_us"),
              lambda v: f"{v:.3f}", lambda v: v <= 0.1)
    tls = results.get("tls", {})
    kept = [[median([r[field] for r in tls["alone"][f"64 {who}"]]) for field in ("per_s", "us")]
            for who in ("tls", "plain")] if tls.get("alone") else None
    yield row("decrypt over TLS, 64 connections, against plain text", ">= 0.7", kept and kept[0][0] / kept[1][0],
              lambda v: f"{v:.2f} (by CPU time {kept[1][1] / kept[0][1]:.2f})", lambda v: v >= 0.7)
    for name, what in (("generate_150", "generate 150"), ("reencrypt_1000", "batch re-encrypt")):
        yield row(f"{what}, encrypted keys/s on one CPU", ">= 1 000 000", core.get(f"{name}_keys_per_s"),
                  lambda v: f"{v / 1e6:.1f} million", lambda v: v >= 1e6)
    sync = median(d["create_per_s"]) / median(d["fdatasync_per_s"]) if d.get("create_per_s") else None
    yield row("durable creates, 64 connections, against single fdatasync", ">= 20", sync, lambda v: f"{v:.1f}",
              lambda v: v >= 20)
    # The reach is for a million keys; a smaller store counts in proportion.
    many = median(k["start_ms"]) / 1000 if k.get("start_ms") else None
    scale = k.get("keys", 1e6) / 1e6
    yield row(f"{k.get('keys', 1000000)} keys: open and verified", f"<= {3 * scale:.1f} s", many,
              lambda v: f"{v:.1f} s ({median(k['start_cpu_s']):.1f} s of CPU)", lambda v: v <= 3 * scale)
    yield row("memory a key, proxy and service", "<= 400 bytes",
              k["service_bytes_per_key"] + k["proxy_private_bytes_per_key"] if k.get("start_ms") else None,
              lambda v: f"{v:.0f}", lambda v: v <= 400)
    # The least of each: whatever else the machine does can only add.
    grows = (min(r["us"] for r in k["decrypt_many"]) / min(r["us"] for r in k["decrypt_few"])
             if k.get("decrypt_many") else None)
    yield row("cost of a decrypt, many keys against one", "does not grow", grows, lambda v: f"{v:.2f}",
              lambda v: v <= 1.15)
    yield row("idle, proxy and service", "<= 16 MiB", s.get("idle_kib", {}).get("pss"), lambda v: f"{mib(v)} MiB",
              lambda v: v <= 16 * 1024)
    yield row("start to first answer, empty store", "<= 50 ms", median(s["start_ms"]) if s.get("start_ms") else None,
              lambda v: f"{v:.0f} ms", lambda v: v <= 50)
    yield row("crossings a request, 64 connections", "<= 0.15", median(crossings) if crossings else None,
              lambda v: f"{v:.3f}", lambda v: v <= 0.15)
    yield row("trusted lines, service", "<= 8 000", i.get("service"), str, lambda v: v <= 8000)
    yield row("trusted lines, monitor", "<= 6 000", i.get("monitor") or None, str, lambda v: v <= 6000)


def show(results):
    m = results["machine"]
    print(f"\n{m['cpus']} CPUs ({m['model']}), load average {m['load_before']:.1f} before and {m['load_after']:.1f} "
          f"after; {results['took_s']:.0f} s{'; QUICK: rough figures' if results['quick'] else ''}")
    h = Http(results)
    if h.raw:
        show_http(results, h)
    if results.get("identity", {}).get("runs"):
        show_identity(results["identity"]["runs"])
    if results.get("logins", {}).get("runs"):
        show_logins(results["logins"]["runs"])
    if results.get("tls", {}).get("runs"):
        show_tls(results["tls"])
    if "auth_ns" in results.get("core", {}):
        show_core(results["core"])
    show_rest(results)
    table("Reached?", ["what", "reach", "measured", "met?"], list(targets(results, h)))
    for part in results.values():
        for name, why in (part.get("skipped", {}) if isinstance(part, dict) else {}).items():
            print(f"not measured: {name}: {why}")
