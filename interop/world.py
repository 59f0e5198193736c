"""What the scripts about DTLS share: Buoy's server and device as processes, keys and certificates, and a NAT."""

import json
import pathlib
import select
import socket
import subprocess
import sys
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "aiocoap")]
from peer import Peer  # noqa: E402

# Text, since libcoap's programs take a key as a word of the command line.
PSK = b"sixteen bytes: k"


def eventually(holds, seconds=15):
    """Whether it holds within the time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def run(*command):
    """A command that must succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"{command[:4]}: {done.stdout}{done.stderr}")
    return done.stdout


def ports_of(server):
    """The places that a starting `buoy serve` names, by name. The REST interface is the last."""
    ports = {}
    while "REST" not in ports:
        line = server.stdout.readline()
        if not line:
            raise RuntimeError(f"the server ended before it served; it named {ports}")
        name, place = line.split()[:2]
        ports[name] = place
    return ports


class Authority:
    """A fleet's authority by `buoy ca`, and what it makes; each file also in the forms that other libraries want."""

    def __init__(self, buoy, folder):
        self.buoy, self.folder = buoy, folder
        run(buoy, "ca", "init", "--dir", folder)
        self.ca = folder / "ca.cert.pem"

    def issue(self, kind, name, *more):
        """The prefix of `.key.pem`, `.cert.pem`, `.pub.pem`, and of `.key.der` and so on; `.rpk.pem` is GnuTLS's."""
        run(self.buoy, "ca", "issue", "--dir", self.folder, kind, name, *more)
        prefix = self.folder / name
        key = f"{prefix}.key.pem"
        run("openssl", "pkey", "-in", key, "-pubout", "-out", f"{prefix}.pub.pem")
        run("openssl", "pkey", "-in", key, "-pubout", "-outform", "DER", "-out", f"{prefix}.pub.der")
        run("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", key, "-outform", "DER", "-out", f"{prefix}.key.der")
        run("openssl", "x509", "-in", f"{prefix}.cert.pem", "-outform", "DER", "-out", f"{prefix}.cert.der")
        sec1 = run("openssl", "ec", "-in", key)
        pathlib.Path(f"{prefix}.rpk.pem").write_text(pathlib.Path(f"{prefix}.pub.pem").read_text() + sec1)
        return prefix

    def ca_der(self):
        der = self.folder / "ca.cert.der"
        run("openssl", "x509", "-in", self.ca, "-outform", "DER", "-out", der)
        return der


class BuoyServer:
    """`buoy serve` with certificates of an authority, at ports of its own."""

    def __init__(self, buoy, folder, authority):
        self.buoy, self.authority = buoy, authority
        self.identity = authority.issue("server", "localhost", "--dns", "localhost", "--dns", "127.0.0.1")
        self.command = [buoy, "serve", "--data", folder / "data", "--server-key", f"{self.identity}.key.pem",
                        "--server-cert", f"{self.identity}.cert.pem", "--client-ca", authority.ca]
        self.log_file = folder / "serve.log"

    def __enter__(self):
        self.start(*["127.0.0.1:0"] * 3)
        return self

    def start(self, *addresses):
        flags = ("--coaps", "--bootstraps", "--http")
        places = [word for pair in zip(flags, addresses, strict=True) for word in pair]
        self.process = subprocess.Popen([*self.command, *places], stdout=subprocess.PIPE, text=True,
                                        stderr=self.log_file.open("a"))
        ports = ports_of(self.process)
        self.coaps, self.bootstraps, self.http = ports["CoAPS"], ports["BootstrapS"], ports["REST"]
        self.port = int(self.coaps.rsplit(":", 1)[1])

    def kill_and_restart(self):
        """SIGKILL, and the same data at the same ports."""
        self.process.kill()
        self.process.wait()
        self.start(*(uri.split("//")[1] for uri in (self.coaps, self.bootstraps, self.http)))

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def log(self):
        return self.log_file.read_text()

    def ctl(self, *words):
        return run(self.buoy, "ctl", "--server", self.http, *words)

    def add_psk(self, endpoint, *more):
        self.ctl("credentials", "add", endpoint, "--key", PSK.hex(), *more)

    def add_rpk(self, endpoint, prefix):
        self.ctl("credentials", "add", endpoint, "--kind", "rpk", "--public-key", f"{prefix}.pub.pem")

    def rest(self, path, method="GET", body=None):
        request = urllib.request.Request(self.http + path, data=body, method=method,
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    def write(self, endpoint, path, kind, value):
        node = {"kind": "singleResource", "id": int(path.rsplit("/", 1)[1]), "type": kind, "value": value}
        return self.rest(f"/api/clients/{endpoint}{path}", "PUT", json.dumps(node).encode())["success"]

    def read(self, endpoint, path):
        return self.rest(f"/api/clients/{endpoint}{path}").get("content", {}).get("value")

    def is_registered(self, endpoint):
        return any(known["endpoint"] == endpoint and known["secure"] for known in self.rest("/api/clients"))


class Firmware:
    """Signed images: the one that devices leave the factory with, and a next one."""

    def __init__(self, buoy, folder):
        self.buoy, self.folder, self.key = buoy, folder, folder / "release"
        self.trust = f"{self.key}.pub.pem"
        run(buoy, "fw", "keygen", "--kind", "p256", self.key)
        self.image = self.release("1.0.0")

    def release(self, version):
        """The image; its signature lies beside it as `.sig`."""
        image = self.folder / f"fw-{version}.bin"
        run(self.buoy, "fw", "build", "--release", version, "--size", "8192", image)
        run(self.buoy, "fw", "sign", "--key", f"{self.key}.key.pem", image)
        return image


class BuoyDevice(Peer):
    """`buoy device`, and what it says."""

    def __init__(self, buoy, folder, firmware, endpoint, flash, *arguments):
        super().__init__(endpoint, [str(word) for word in (
            buoy, "device", "--endpoint", endpoint, "--flash", folder / f"{flash}.flash", "--trust", firmware.trust,
            "--factory", firmware.image, *arguments)])

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


class Nat:
    """A relay in front of a server that can forget the device: from then on the server sees another address.

    Keeps the type of each datagram's first record, which is never encrypted. `lost` are the numbers, from 0, of the datagrams that
    don't reach the device.
    """

    HANDSHAKE, DATA, WITH_CONNECTION_ID = 22, 23, 25

    def __init__(self, port, lost=()):
        self.server, self.lost = ("127.0.0.1", port), lost
        self.inside = self.bound()
        self.outside = self.bound()
        self.port = self.inside.getsockname()[1]
        self.device = None
        self.to_server, self.to_device = [], []
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.relay, daemon=True)
        self.thread.start()

    @staticmethod
    def bound():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("127.0.0.1", 0))
        return made

    def relay(self):
        while not self.ends.is_set():
            outside = self.outside
            for ready in select.select([self.inside, outside], [], [], 0.1)[0]:
                if ready is self.inside:
                    data, self.device = self.inside.recvfrom(65535)
                    self.to_server.append(data[0])
                    self.outside.sendto(data, self.server)
                else:
                    data = outside.recv(65535)
                    self.to_device.append(data[0])
                    if len(self.to_device) - 1 not in self.lost:
                        self.inside.sendto(data, self.device)

    def forget(self):
        """Counts from here on."""
        self.to_server, self.to_device = [], []

    def move(self):
        """The device has another address from now on, and nothing reaches it at the old one."""
        self.forget()
        self.outside = self.bound()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.thread.join()
