# SPDX-License-Identifier: Apache-2.0
"""The servers that are compared: ours, nginx with a static answer, the real Hadoop KMS."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

from common import CPUS, ROOT, Skip, children, request, stop, wait_for_answer

CONF = ROOT / "tests/bench/conf"
KEY = "zone"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def certificate(directory):
    """(certificate, key): P-256, of the minute."""
    pair = directory / "cert.pem", directory / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-keyout", pair[1], "-out", pair[0]], check=True, stderr=subprocess.DEVNULL)
    return pair


def conf_with(directory, props):
    """The benchmark's configuration with more properties."""
    shutil.copytree(CONF, directory, dirs_exist_ok=True)
    text = "".join(f"<property><name>{n}</name><value>{v}</value></property>" for n, v in props.items())
    site = directory / "kms-site.xml"
    site.write_text(site.read_text().replace("</configuration>", text + "</configuration>"))
    return directory


class Server:
    """Started, logged in to, with one key and one encrypted key of it."""
    scheme = "http"

    def request(self, *args, **more):
        return request(self.port, *args, **more, tls=self.scheme == "https")

    def login(self):
        status, headers, _ = self.request("OPTIONS", "/kms/v1/?user.name=bench")
        self.cookie = headers["Set-Cookie"].split(";")[0]
        status, _, body = self.request("POST", "/kms/v1/keys", json.dumps({"name": KEY}), self.cookie)
        if status != 201:
            raise RuntimeError(f"{self.name}: create answered {status}: {body[:300]}")
        status, _, body = self.request("GET", f"/kms/v1/key/{KEY}/_eek?eek_op=generate&num_keys=1", cookie=self.cookie)
        if status != 200:
            raise RuntimeError(f"{self.name}: generate answered {status}: {body[:300]}")
        eek = json.loads(body)[0]
        self.version = eek["versionName"]
        self.eek = json.dumps({"name": KEY, "iv": eek["iv"], "material": eek["encryptedKeyVersion"]["material"]})
        self.answer = self.request("POST", self.decrypt_path(), self.eek, self.cookie)[2].decode()

    def decrypt_path(self):
        return f"/kms/v1/keyversion/{self.version.replace('@', '%40')}/_eek?eek_op=decrypt"

    def pids(self):
        return [self.child.pid] + children(self.child.pid)

    def stop(self):
        stop(self.child)


class Ours(Server):
    name = "svsm-kms"

    def __init__(self, build, data, fresh=True, command=None, pair=None, props=None, env=None):
        """pair: certificate and key, PEM files; then it speaks https. props: settings that differ."""
        if fresh:
            shutil.rmtree(data, ignore_errors=True)
        self.data = pathlib.Path(data)
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.port = free_port()
        self.log = open(self.data / "server.log", "ab")
        props = dict(props or {})
        if pair:
            self.scheme = "https"
            props |= {"hadoop.kms.ssl.enabled": "true", "svsm.kms.ssl.certificate.file": pair[0],
                      "svsm.kms.ssl.key.file": pair[1]}
        conf = conf_with(self.data / "conf", props) if props else CONF
        began = time.monotonic()
        self.child = subprocess.Popen(
            [*(command or [build / "svsm-kms", "serve"]), "--conf", conf, "--data", self.data, "--listen",
             f"127.0.0.1:{self.port}"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env={**os.environ, **(env or {})})
        try:
            wait_for_answer(self.port, self.child, 120, tls=bool(pair))
        except RuntimeError as e:
            stop(self.child)
            raise RuntimeError(f"{e}; its last words are in {self.data / 'server.log'}") from e
        self.start_ms = (time.monotonic() - began) * 1e3

    def metrics(self):
        values = {}
        for line in self.request("GET", "/metrics")[2].decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values


class Nginx(Server):
    """The same requests, the same answer, nothing behind it."""
    name = "nginx"

    def __init__(self, ours, directory, pair=None):
        if not shutil.which("nginx"):
            raise Skip("nginx is not installed")
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self.port = free_port()
        temp = "\n".join(f"  {kind}_temp_path {directory}/{kind};" for kind in
                         ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        listen = f"listen 127.0.0.1:{self.port};"
        if pair:
            self.scheme = "https"
            listen = (f"listen 127.0.0.1:{self.port} ssl; ssl_certificate {pair[0]}; ssl_certificate_key {pair[1]}; "
                      "ssl_protocols TLSv1.2 TLSv1.3; ssl_ecdh_curve X25519;")
        (directory / "nginx.conf").write_text(f"""
daemon off;
worker_processes {CPUS};
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  default_type application/json;
  keepalive_requests 1000000000;
{temp}
  server {{
    {listen}
    location / {{ return 200 '{ours.answer}'; }}
  }}
}}
""")
        self.child = subprocess.Popen(["nginx", "-c", directory / "nginx.conf", "-p", directory],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for_answer(self.port, self.child, tls=bool(pair))
        self.cookie, self.version, self.eek, self.answer = ours.cookie, ours.version, ours.eek, ours.answer


class Hadoop(Server):
    """From Maven, with its defaults; see tests/reference/README.md."""
    name = "Hadoop KMS"

    def __init__(self, build, data, heap):
        command = ROOT / "tests/reference/reference-kms"
        if not command.exists():
            raise Skip("tests/reference/reference-kms is not in this tree")
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(parents=True)
        self.port = free_port()
        self.heap = heap
        env = dict(os.environ)
        env.setdefault("REFERENCE_BUILD_DIR", str(build / "reference"))
        common = ["--conf", CONF, "--data", data, "--listen", f"127.0.0.1:{self.port}", "--heap", heap]
        fetched = subprocess.run([command, "fetch"], env=env, stderr=subprocess.PIPE, text=True)
        if fetched.returncode:
            raise Skip(fetched.stderr.strip().splitlines()[-1] if fetched.stderr.strip() else "fetching it failed")
        log = open(data / "server.log", "wb")
        began = time.monotonic()
        self.child = subprocess.Popen([command, "run", *common], env=env, stdin=subprocess.DEVNULL, stdout=log,
                                      stderr=log)
        try:
            wait_for_answer(self.port, self.child, 120)
        except RuntimeError as e:
            stop(self.child)
            raise Skip(f"{e} (see {data / 'server.log'})") from e
        self.start_ms = (time.monotonic() - began) * 1e3
