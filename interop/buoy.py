#!/usr/bin/env python3
"""Buoy against other people's implementations: its server with the CoAP probe, libcoap, a Leshan device and an aiocoap device;
its device at a Leshan server and at an aiocoap server.

Usage: buoy.py PATH_OF_BUOY. Ends with "N passed, N failed"; everything that it starts it ends.
"""
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

from world import ports_of

HERE = pathlib.Path(__file__).parent
JAVA_PATH = f"{HERE}/leshan/target/leshan-peers.jar:{HERE}/leshan/target/libs/*"
results = []


def check(name, holds, what=""):
    results.append(bool(holds))
    print(f"{'PASS' if holds else 'FAIL'} {name}{'' if holds else f' {what}'}", flush=True)


def http(base, path, method="GET", body=None, kind="application/json"):
    request = urllib.request.Request(base + path, data=body, method=method, headers={"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read() or b"null")


def probe(coap):
    done = subprocess.run([sys.executable, HERE / "aiocoap/probe.py", "--server", coap],
                          capture_output=True, text=True, timeout=120)
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    check("the CoAP probe finds nothing", done.returncode == 0 and not failed, failed or done.stderr)


def libcoap(coap, base, folder):
    def get(path, *options):
        target = folder / "got"
        target.unlink(missing_ok=True)
        subprocess.run(["coap-client-notls", *options, "-o", target, coap + path], capture_output=True, timeout=60)
        return target.read_bytes() if target.exists() else b""

    check("libcoap reads /.well-known/core", b'rt="core.rd"' in get("/.well-known/core"))
    image = bytes(range(256)) * 200
    firmware = http(base, "/api/v1/firmware?name=blocks", "POST", image, "application/octet-stream")
    path = "/" + firmware["coap_uri"].split("/", 3)[3]
    got = get(path, "-b", "1024")
    check("libcoap downloads an image by Block2", hashlib.sha256(got).hexdigest() == firmware["digest"],
          f"{len(got)} bytes")


def device(name, command, base):
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        first = process.stdout.readline()
        check(f"{name} registers", first.startswith("REGISTERED"), first)
        client = f"/api/clients/{name}"
        answer = http(base, f"{client}/3/0/0")
        check(f"{name} is read", answer["status"] == "CONTENT(205)" and answer["content"]["type"] == "STRING", answer)
        node = json.dumps({"kind": "singleResource", "id": 5850, "type": "boolean", "value": True}).encode()
        check(f"{name} is written", http(base, f"{client}/3311/0/5850", "PUT", node)["success"])
        check(f"{name} says what was written", http(base, f"{client}/3311/0/5850")["content"]["value"] is True)
        check(f"{name} is observed", http(base, f"{client}/3303/0/5700/observe", "POST", b"")["success"])
        deadline = time.monotonic() + 15
        values = []
        while len(values) < 2 and time.monotonic() < deadline:
            time.sleep(0.3)
            values = http(base, f"/api/v1/devices/{name}/series/3303/0/5700")["items"]
        check(f"{name} reports values", len(values) >= 2, values)
        check(f"{name} executes", http(base, f"{client}/3/0/4", "POST", b"0")["success"])
        links = http(base, f"{client}/3/0/discover")["objectLinks"]
        check(f"{name} is discovered", any(link["url"] == "/3/0/9" for link in links), links)
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


class LineServer:
    """A server that takes commands by lines: one JSON line answers each, and events come between."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        _, self.port, *secure = self.process.stdout.readline().split()
        self.secure_port = secure[0] if secure else None
        self.events = []

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        while (answer := self.process.stdout.readline()).startswith("EVENT"):
            self.events.append(json.loads(answer[6:]))
        return json.loads(answer or "{}")

    def wait_for(self, event, count=1):
        """Asks for the list until so many events of the kind have come."""
        for _ in range(100):
            self.ask("list")
            if sum(known["event"] == event for known in self.events) >= count:
                return True
            time.sleep(0.2)
        return False


PSK = ["--psk-identity", "buoy-1", "--psk-key", "0f" * 16]


def our_device(name, command, buoy, folder, keys=()):
    """With keys, at the server's secure port: its lines must tell of one handshake, though the device reboots."""
    server = LineServer(command)
    run = subprocess.run
    image, prefix = folder / "fw.bin", folder / "key"
    if not image.exists():
        run([buoy, "fw", "keygen", "--kind", "p256", prefix], check=True, capture_output=True)
        run([buoy, "fw", "build", "--release", "1.0.0", image], check=True)
        run([buoy, "fw", "sign", "--key", f"{prefix}.key.pem", image], check=True, capture_output=True)
    uri = f"coaps://127.0.0.1:{server.secure_port}" if keys else f"coap://127.0.0.1:{server.port}"
    lines = folder / f"{name}.lines"
    device = subprocess.Popen([buoy, "device", "--server", uri, "--endpoint", "buoy-1", "--trust", f"{prefix}.pub.pem",
                               "--flash", folder / f"{name}.flash", "--factory", image, *keys], stdout=lines.open("w"))
    try:
        check(f"buoy device registers at {name}", server.wait_for("registered"))
        answer = server.ask("read buoy-1 /3/0/3")
        check(f"{name} reads it", answer.get("values", {}).get("/3/0/3") == "1.0.0", answer)
        answer = server.ask("write buoy-1 /3311/0/5850 boolean true")
        check(f"{name} writes it", answer.get("code") == "2.04", answer)
        answer = server.ask("read buoy-1 /3311/0/5850")
        check(f"{name} reads what it wrote", answer.get("values", {}).get("/3311/0/5850") is True, answer)
        answer = server.ask("observe buoy-1 /3303/0/5700")
        check(f"{name} observes it", answer.get("success") and server.wait_for("notification", 2), answer)
        answer = server.ask("execute buoy-1 /3/0/4")
        check(f"{name} reboots it", answer.get("code") == "2.04" and server.wait_for("registered", 2), answer)
        if keys:
            said = [line for line in lines.read_text().splitlines() if line.startswith(("HANDSHAKE", "SESSION"))]
            check(f"{name}: one session for both lives", said == ["HANDSHAKE full", "SESSION restored"], said)
    finally:
        device.terminate()
        device.wait(10)
        server.process.stdin.close()
        server.process.wait(20)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        server = subprocess.Popen([sys.argv[1], "serve", "--data", folder / "data", "--coaps", "off", "--coap", "127.0.0.1:0",
                                   "--http", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True,
                                  stderr=subprocess.DEVNULL)
        try:
            ports = ports_of(server)
            coap, base = ports["CoAP"], ports["REST"]
            probe(coap)
            libcoap(coap, base, folder)
            device("leshan-1", ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", JAVA_PATH,
                                "buoy.interop.LeshanDevice", "--server", coap, "--endpoint", "leshan-1",
                                "--lifetime", "300"], base)
            device("aiocoap-1", [sys.executable, HERE / "aiocoap/device.py", "--server", coap,
                                 "--endpoint", "aiocoap-1", "--lifetime", "300"], base)
        finally:
            server.terminate()
            server.wait(20)
        our_device("Leshan", ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", JAVA_PATH,
                              "buoy.interop.LeshanServer", "--port", "0"], sys.argv[1], folder)
        our_device("Leshan by DTLS", ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", JAVA_PATH,
                                      "buoy.interop.LeshanServer", "--port", "0", "--secure-port", "0", "--psk",
                                      f"{PSK[1]}:{PSK[3]}", "--cid", "6"], sys.argv[1], folder, PSK)
        our_device("aiocoap", [sys.executable, HERE / "aiocoap/server.py", "--port", "0"], sys.argv[1], folder)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
