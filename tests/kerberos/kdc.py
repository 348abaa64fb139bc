#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A private MIT Kerberos realm on the loopback address, for tests: its own directory, port and configuration.

In Python:

    with Realm(directory, "EXAMPLE.COM") as realm:
        realm.add("alice", password="secret")
        realm.keytab("http.keytab", "HTTP/localhost")
        cache = realm.kinit("alice", password="secret")
        subprocess.run([...], env=realm.env(cache))

In shell:

    kdc.py start --dir DIR [--realm NAME] [--enctypes LIST]     prints what to `eval`: KRB5_CONFIG, KRB5CCNAME
    kdc.py add --dir DIR alice --password secret
    kdc.py keytab --dir DIR --out FILE HTTP/localhost [--enctypes LIST]
    kdc.py stop --dir DIR

Nothing outside the directory is read or written, no name is looked up, and the daemon is ended by its number. A
machine without the programs (Debian: krb5-kdc krb5-admin-server krb5-user) raises Missing; exit code 77.
"""

import argparse
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
PROGRAMS = ("krb5kdc", "kdb5_util", "kadmin.local", "kinit")
SHA1 = "aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96"
SHA2 = "aes256-cts-hmac-sha384-192 aes128-cts-hmac-sha256-128"
AES = f"{SHA1} {SHA2}"
RC4 = "arcfour-hmac"
EVERY = f"{AES} {RC4}"
PATIENCE = 30


class Missing(Exception):
    """A program that this needs is not installed."""


class Failed(Exception):
    """A Kerberos program ended with an error; what it said."""


def program(name):
    found = shutil.which(name, path=PATH)
    if not found:
        raise Missing(f"{name} is not installed (tools/deps test)")
    return found


def free_port():
    """A port that is free for TCP and UDP alike."""
    for _ in range(100):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            return tcp.getsockname()[1]
    raise Failed("no free port")


def is_kdc(pid):
    try:
        return b"krb5kdc" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


class Realm:
    """One realm with its KDC. `enctypes` are the kinds of keys that its principals get; the last lifetimes are seconds."""

    def __init__(self, directory, name="EXAMPLE.COM", enctypes=AES, life="1h", domains=("localhost",)):
        for needed in PROGRAMS:
            program(needed)
        self.dir = pathlib.Path(directory).resolve()
        self.name, self.enctypes, self.life, self.domains = name, enctypes, life, domains
        self.port, self.process, self.caches = None, None, 0
        self.conf = self.dir / "krb5.conf"

    # --- life ------------------------------------------------------------------------------------

    def start(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        (self.dir / "kdc.conf").write_text(self._kdc_conf())
        self.conf.write_text(self.client_conf())
        self._run("kdb5_util", "create", "-s", "-W", "-r", self.name, "-P", os.urandom(12).hex())
        self.launch()
        return self

    def launch(self, environment=None):
        """The daemon alone, on a database that exists; `environment` may hold another clock."""
        with open(self.dir / "kdc.out", "ab") as out:
            self.process = subprocess.Popen([program("krb5kdc"), "-n", "-r", self.name], stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=out, start_new_session=True,
                                            env={**self.env(), **(environment or {})})
        (self.dir / "kdc.pid").write_text(f"{self.process.pid}\n")
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Failed(f"krb5kdc ended with code {self.process.returncode}: {self._said()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Failed(f"krb5kdc does not listen: {self._said()}")

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _said(self):
        return " ".join((self.dir / f).read_text(errors="replace")[-400:] for f in ("kdc.out", "kdc.log")
                        if (self.dir / f).exists())

    # --- configuration ---------------------------------------------------------------------------

    def _kdc_conf(self):
        salts = " ".join(f"{e}:normal" for e in self.enctypes.split())
        return f"""[kdcdefaults]
	kdc_listen = 127.0.0.1:{self.port}
	kdc_tcp_listen = 127.0.0.1:{self.port}
[realms]
	{self.name} = {{
		database_name = {self.dir}/principal
		key_stash_file = {self.dir}/stash
		acl_file = {self.dir}/kadm5.acl
		master_key_type = aes256-cts-hmac-sha1-96
		supported_enctypes = {salts}
		max_life = 24h
		max_renewable_life = 7d
	}}
[logging]
	kdc = FILE:{self.dir}/kdc.log
	admin_server = FILE:{self.dir}/kadmin.log
	default = FILE:{self.dir}/default.log
"""

    def client_conf(self, enctypes=EVERY, extra=""):
        """A krb5.conf; `enctypes` are those the client asks for."""
        domains = "\n".join(f"\t{d} = {self.name}\n\t.{d} = {self.name}" for d in self.domains)
        return f"""[libdefaults]
	default_realm = {self.name}
	dns_lookup_kdc = false
	dns_lookup_realm = false
	dns_canonicalize_hostname = false
	dns_uri_lookup = false
	rdns = false
	kdc_timesync = 0
	udp_preference_limit = 1
	kdc_timeout = 5000
	max_retries = 2
	ticket_lifetime = {self.life}
	forwardable = true
	allow_weak_crypto = true
	allow_rc4 = true
	permitted_enctypes = {enctypes}
	default_tkt_enctypes = {enctypes}
	default_tgs_enctypes = {enctypes}
{extra}[realms]
	{self.name} = {{
		kdc = 127.0.0.1:{self.port}
	}}
[domain_realm]
{domains}
"""

    def env(self, cache=None, conf=None):
        """The environment for Kerberos programs; `cache` is a credential cache, `conf` another krb5.conf."""
        made = {name: value for name, value in os.environ.items() if not name.startswith("KRB5")}
        made.update({"KRB5_CONFIG": str(conf or self.conf), "KRB5_KDC_PROFILE": str(self.dir / "kdc.conf"),
                     "KRB5CCNAME": f"FILE:{cache or self.dir / 'nobody.cc'}", "KRB5RCACHETYPE": "none",
                     "LC_ALL": "C", "PATH": PATH})
        return made

    def _run(self, name, *args, stdin="", cache=None, conf=None, environment=None):
        done = subprocess.run([program(name), *map(str, args)], input=stdin, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120,
                              env={**self.env(cache, conf), **(environment or {})})
        if done.returncode:
            raise Failed(f"{name} {' '.join(map(str, args))}: {done.stdout.strip()[-600:]}")
        return done.stdout

    # --- principals ------------------------------------------------------------------------------

    def admin(self, *commands):
        """kadmin.local: one command a string. It ends with 0 whatever happens, so what it says is read."""
        said = self._run("kadmin.local", "-r", self.name, stdin="\n".join(commands) + "\n")
        wrong = [line for line in said.splitlines()
                 if line.startswith(("add_principal:", "modify_principal:", "change_password:", "ktadd:", "get_", "kadmin",
                                     "delete_principal:")) and "while" in line or "does not exist" in line]
        if wrong:
            raise Failed("; ".join(wrong))
        return said

    def add(self, *names, password=None, enctypes=None, options=""):
        """Principals with a password, or a random key without one."""
        how = f"-pw {password}" if password else "-randkey"
        kinds = "-e " + ",".join(f"{e}:normal" for e in enctypes.split()) if enctypes else ""
        self.admin(*(f"addprinc {kinds} {how} {options} {name}" for name in names))

    def keytab(self, file, *names, enctypes=None):
        """
        A keytab with the present keys of principals, which are made (with `enctypes`) if they are not there. Returns its
        path; a relative one is in the realm's directory.
        """
        path = self.dir / file
        known = {line.split("@")[0] for line in self.admin("listprincs").splitlines()}
        new = [name for name in names if name not in known]
        if new:
            self.add(*new, enctypes=enctypes)
        self.admin(*(f"ktadd -q -norandkey -k {path} {name}" for name in names))
        path.chmod(0o600)
        return str(path)

    def rekey(self, *names):
        """New keys, the next kvno; keytabs taken before have become old."""
        self.admin(*(f"cpw -randkey {name}" for name in names))

    def kinit(self, name, password=None, keytab=None, cache=None, life=None, start=None, conf=None, environment=None):
        """A ticket of `name` in a credential cache of its own, whose path is returned."""
        self.caches += 1
        cache = cache or str(self.dir / f"{name.replace('/', '_')}-{self.caches}.cc")
        args = ["-c", f"FILE:{cache}"]
        args += ["-l", life] if life else []
        args += ["-s", start] if start else []
        args += ["-k", "-t", keytab] if keytab else []
        self._run("kinit", *args, name, stdin=f"{password}\n" if password else "", conf=conf, environment=environment)
        return cache


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["start", "stop", "add", "keytab", "kinit", "rekey"])
    parser.add_argument("names", nargs="*", metavar="PRINCIPAL")
    parser.add_argument("--dir", required=True, type=pathlib.Path)
    parser.add_argument("--realm", default="EXAMPLE.COM")
    parser.add_argument("--enctypes", help=f"default at start: {AES}")
    parser.add_argument("--password")
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_intermixed_args()
    remembered = args.dir / "realm"
    name = remembered.read_text().strip() if remembered.exists() else args.realm
    try:
        realm = Realm(args.dir, name, (args.verb == "start" and args.enctypes) or AES)
        if args.verb == "start":
            realm.start()
            remembered.write_text(name)
            print(f"export KRB5_CONFIG={shlex.quote(str(realm.conf))} KRB5CCNAME=FILE:{shlex.quote(str(args.dir / 'cc'))}")
        elif args.verb == "stop":
            pid = int((args.dir / "kdc.pid").read_text())
            if is_kdc(pid):     # the number may have been given to another process since
                os.kill(pid, signal.SIGTERM)
        elif args.verb == "add":
            realm.add(*args.names, password=args.password, enctypes=args.enctypes)
        elif args.verb == "rekey":
            realm.rekey(*args.names)
        elif args.verb == "keytab":
            print(realm.keytab(args.out.resolve(), *args.names, enctypes=args.enctypes))
        else:
            print(realm.kinit(args.names[0], password=args.password, cache=args.out and str(args.out.resolve())))
    except Missing as why:
        print(why, file=sys.stderr)
        return 77
    except (Failed, OSError) as why:
        print(f"kdc.py: {why}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
