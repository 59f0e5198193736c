#!/usr/bin/env python3
"""Buoy's secure port with other people's DTLS: OpenSSL, libcoap (OpenSSL and GnuTLS), tinydtls and mbed TLS; as clients of
`buoy serve`, and as servers of `buoy device`.

Usage: dtls.py PATH_OF_BUOY [PART]. Ends with "N passed, N failed"; everything that it starts it ends.
"""

import contextlib
import os
import pathlib
import select
import socket
import subprocess
import sys
import tempfile
import time

from mbedtls import pk, tls, x509
from mbedtls.exceptions import TLSError

import tinydtls
from world import PSK, Authority, BuoyDevice, BuoyServer, Firmware, Nat, eventually
# `world` has said where these are.
from coap_wire import ACK, CON, CONTENT_FORMAT, LOCATION_PATH, POST, RST, URI_QUERY, Endpoint, Message, path, uint
from lines import free_port
from peer import Checks

CREATED, BAD_REQUEST = 0x41, 0x80
OBJECTS = b"</1/0>,</3/0>"


def register(endpoint, mid):
    queries = [f"ep={endpoint}", "lt=300", "lwm2m=1.1"]
    options = path("rd") + [(CONTENT_FORMAT, uint(40))] + [(URI_QUERY, query.encode()) for query in queries]
    return Message(CON, POST, mid, b"\x07", options, OBJECTS)


def talk(check, name, channel, endpoint):
    """A client's session at Buoy: a ping, a Register in another's name, and one in its own."""
    channel.send(Message(CON, 0, 1).encode())
    check.equal(f"{name}: a ping is answered", channel.receive(), Message(RST, 0, 1).encode())
    for expected, who in ((BAD_REQUEST, "another"), (CREATED, endpoint)):
        channel.send(register(who, expected).encode())
        answer = channel.receive()
        code = Message.decode(answer).dotted if answer else None
        check.equal(f"{name}: Register as {who}", code, f"{expected >> 5}.{expected & 31:02}")


def welcome(check, name, channel, device):
    """A server's session with `buoy device`: the first Register is answered, and the device must believe it."""
    data = channel.receive(15)
    request = Message.decode(data) if data else None
    is_register = request and request.code == POST and (URI_QUERY, b"ep=buoy-1") in request.options
    check.that(f"{name}: buoy device registers", is_register, request)
    if is_register:
        channel.send(Message(ACK, CREATED, request.mid, request.token,
                             [(LOCATION_PATH, b"rd"), (LOCATION_PATH, b"x1")]).encode())
        check.equal(f"{name}: buoy device is told so", device.line("REGISTERED"), "REGISTERED /rd/x1")


class OpenSsl:
    """`openssl s_client` or `s_server`: what one writes to it is a datagram's content, and so is what it prints."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(["openssl", *(str(word) for word in arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def send(self, data):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def receive(self, seconds=5):
        pipe = self.process.stdout.fileno()
        return os.read(pipe, 65535) or None if select.select([pipe], [], [], seconds)[0] else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Fleet:
    """The keys of this run, and what knows them."""

    def __init__(self, buoy, folder):
        self.buoy, self.folder = buoy, folder
        self.authority, self.stranger = Authority(buoy, folder / "ca"), Authority(buoy, folder / "stranger")
        self.device = self.authority.issue("device", "buoy-1")
        self.outsider = self.stranger.issue("device", "buoy-1")
        self.firmware = Firmware(buoy, folder)
        self.count = 0

    def own_device(self, port, *arguments, endpoint="buoy-1"):
        self.count += 1
        return BuoyDevice(self.buoy, self.folder, self.firmware, endpoint, f"device-{self.count}", "--server",
                          f"coaps://127.0.0.1:{port}", *arguments)

    def psk(self):
        return ["--psk-key", PSK.hex()]

    def rpk(self, server):
        return ["--key", f"{self.device}.key.pem", "--server-public-key", f"{server}.pub.pem"]

    def certificate(self):
        return ["--key", f"{self.device}.key.pem", "--certificate", f"{self.device}.cert.pem", "--server-ca",
                self.authority.ca]


def openssl_suites(fleet, who):
    """Name, cipher and keys of each kind of handshake; `who` is the prefix of the files of the end that OpenSSL is."""
    shared = ["-psk", PSK.hex()]
    certified = ["-cert", f"{who}.cert.pem", "-key", f"{who}.key.pem", "-CAfile", fleet.authority.ca,
                 "-verify_return_error"]
    return [
        ("PSK-AES128-CCM8", shared),
        ("PSK-AES128-GCM-SHA256", shared),
        ("ECDHE-ECDSA-AES128-CCM8", [*certified, "-groups", "P-256"]),
        ("ECDHE-ECDSA-AES128-GCM-SHA256", [*certified, "-groups", "X25519:P-256"]),
    ]


def openssl_client(check, fleet, server):
    def client(cipher, keys):
        return OpenSsl("s_client", "-dtls1_2", "-quiet", "-connect", f"127.0.0.1:{server.port}", "-cipher",
                       f"{cipher}:@SECLEVEL=0", *keys)

    for cipher, keys in openssl_suites(fleet, fleet.device):
        shared = ["-psk_identity", "shared"] if cipher.startswith("PSK") else []
        with client(cipher, [*keys, *shared]) as session:
            talk(check, f"s_client {cipher}", session, "shared" if shared else "buoy-1")
    bad = [("another key", "PSK-AES128-CCM8", ["-psk", "0102", "-psk_identity", "shared"]),
           ("another authority's certificate", "ECDHE-ECDSA-AES128-CCM8",
            ["-cert", f"{fleet.outsider}.cert.pem", "-key", f"{fleet.outsider}.key.pem"]),
           ("no certificate", "ECDHE-ECDSA-AES128-CCM8", [])]
    for what, cipher, keys in bad:
        with client(cipher, keys) as session:
            session.send(register("buoy-1", 1).encode())
            check.equal(f"s_client with {what} is not served", session.receive(), None)
            check.that(f"s_client with {what} is turned away", session.process.wait(5) != 0)


def openssl_server(check, fleet, server):
    for cipher, keys in openssl_suites(fleet, server.identity):
        port = free_port()
        is_shared = cipher.startswith("PSK")
        more = ["-nocert"] if is_shared else ["-Verify", "2"]
        with OpenSsl("s_server", "-dtls1_2", "-quiet", "-accept", f"127.0.0.1:{port}", "-cipher",
                     f"{cipher}:@SECLEVEL=0", *keys, *more) as session:
            with fleet.own_device(port, *(fleet.psk() if is_shared else fleet.certificate())) as device:
                welcome(check, f"s_server {cipher}", session, device)


class Libcoap:
    """libcoap's example programs with one of its DTLS libraries, and the keys for each kind of handshake that it has."""

    def __init__(self, library, fleet, server):
        self.client, self.server = f"coap-client-{library}", f"coap-server-{library}"
        self.fleet, self.identity = fleet, server.identity
        self.kinds = ["PSK", "X.509"] + (["RPK"] if library == "gnutls" else [])

    def client_keys(self, kind):
        # With its own raw public key, GnuTLS still prefers the server's certificate, and so gets it.
        device, authority = self.fleet.device, ["-R", self.fleet.authority.ca]
        return {"PSK": ["-u", "shared", "-k", PSK.decode()],
                "X.509": ["-c", f"{device}.cert.pem", "-j", f"{device}.key.pem", *authority],
                "RPK": ["-M", f"{device}.rpk.pem", *authority]}[kind]

    def server_keys(self, kind):
        return {"PSK": ["-k", PSK.decode()],
                "X.509": ["-c", f"{self.identity}.cert.pem", "-j", f"{self.identity}.key.pem", "-C",
                          self.fleet.authority.ca],
                "RPK": ["-M", f"{self.identity}.rpk.pem"]}[kind]

    def ask(self, keys, *more):
        """What the client says of the messages that go and come."""
        done = subprocess.run([self.client, "-B", "5", "-v", "6", *keys, *more], capture_output=True, timeout=30)
        return (done.stdout + done.stderr).decode("latin-1")

    def register(self, keys, uri, endpoint):
        return self.ask(keys, "-m", "post", "-t", "40", "-e", OBJECTS.decode(),
                        f"{uri}/rd?ep={endpoint}&lt=300&lwm2m=1.1")

    @contextlib.contextmanager
    def serving(self, kind):
        """The secure port of a server that takes what is put."""
        port = two_free_ports()
        process = subprocess.Popen([self.server, "-A", "127.0.0.1", "-p", str(port), "-d", "10", *self.server_keys(kind)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            if not eventually(lambda: answers_pings(port)):
                raise RuntimeError(f"{self.server} does not start")
            yield port + 1
        finally:
            process.kill()
            process.wait()


def answers_pings(port):
    with Endpoint(("127.0.0.1", port)) as client, contextlib.suppress(ConnectionRefusedError):
        return client.ping(0.4)


def two_free_ports():
    """The lower of two neighbours: libcoap's server is secure at the second."""
    while True:
        port = free_port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as neighbour, contextlib.suppress(OSError, OverflowError):
            neighbour.bind(("127.0.0.1", port + 1))
            return port


def libcoap_client(check, fleet, server):
    endpoints = {"PSK": "shared", "X.509": "buoy-1", "RPK": "raw"}
    for library in ("openssl", "gnutls"):
        peer = Libcoap(library, fleet, server)
        for kind in peer.kinds:
            keys, name = peer.client_keys(kind), f"{peer.client} {kind}"
            said = peer.ask(keys, f"{server.coaps}/.well-known/core")
            check.that(f"{name}: reads /.well-known/core", 'rt="core.rd"' in said, said)
            for endpoint, code in ((endpoints[kind], "c:2.01"), ("another", "c:4.00")):
                said = peer.register(keys, server.coaps, endpoint)
                check.that(f"{name}: Register as {endpoint}", code in said, said)
        said = peer.register(["-u", "shared", "-k", "wrong"], server.coaps, "shared")
        check.that(f"{peer.client} with another key is not served", "t:ACK" not in said, said)


def own_keys(fleet, server, kind):
    return {"PSK": fleet.psk(), "X.509": fleet.certificate(), "RPK": fleet.rpk(server.identity)}[kind]


def libcoap_server(check, fleet, server):
    """libcoap's server knows no LwM2M, but takes what is posted to /rd, as it takes what is put."""
    for library in ("openssl", "gnutls"):
        peer = Libcoap(library, fleet, server)
        for kind in peer.kinds:
            with peer.serving(kind) as port, fleet.own_device(port, *own_keys(fleet, server, kind)) as device:
                said = device.line("REGISTER")
                # Its location has the query of the request, which is kept.
                registered = (said or "").startswith("REGISTERED /rd?ep=buoy-1&")
                check.that(f"{peer.server} {kind}: takes buoy device's Register", registered, said)


def libcoap_firmware(check, fleet, server):
    """Buoy's device gets its firmware from libcoap's server over DTLS, with the keys that it has for Buoy's."""
    image = fleet.firmware.release("1.1.0")
    for library, kind, endpoint in (("openssl", "PSK", "shared"), ("openssl", "X.509", "buoy-1"),
                                    ("gnutls", "RPK", "raw")):
        peer = Libcoap(library, fleet, server)
        name = f"{peer.server} {kind}"
        keys = own_keys(fleet, server, kind)
        with peer.serving(kind) as port, fleet.own_device(server.port, *keys, endpoint=endpoint) as device:
            uri = f"coaps://127.0.0.1:{port}/fw.bin"
            for file, target in ((image, uri), (f"{image}.sig", f"{uri}.sig")):
                said = peer.ask(peer.client_keys(kind), "-m", "put", "-t", "42", "-f", file, target)
                check.that(f"{name}: has the file", "c:2.01" in said, said)
            device.line("REGISTERED")
            check.that(f"{name}: buoy device is told of it", server.write(endpoint, "/5/0/1", "string", uri))
            check.that(f"{name}: buoy device has it", eventually(lambda: str(server.read(endpoint, "/5/0/3")) == "2"))
            server.rest(f"/api/clients/{endpoint}/5/0/2", "POST", b"")
            said = device.wait_for(lambda line: line.startswith("BOOT 1.1.0"))
            check.that(f"{name}: buoy device runs it", said)


def a_lost_datagram_costs_a_handshake_no_more_than_one_timeout(check, fleet, server):
    """GnuTLS sends each message in a datagram of its own; a part of its flight is lost, and the rest is there when it comes again."""
    peer = Libcoap("gnutls", fleet, server)
    for kind in peer.kinds:
        with peer.serving(kind) as port, Nat(port, lost={1}) as nat:
            started = time.monotonic()
            with fleet.own_device(nat.port, *own_keys(fleet, server, kind)) as device:
                said, seconds = device.line("REGISTER"), time.monotonic() - started
                registered = (said or "").startswith("REGISTERED /rd?ep=buoy-1&")
                check.that(f"{peer.server} {kind} on a lossy path: takes buoy device's Register", registered, said)
                check.that(f"{peer.server} {kind} on a lossy path: soon", seconds < 6, seconds)
    # Cookie, first flight, last flight.
    for lost in range(3):
        with Nat(server.port, lost={lost}) as nat:
            said = peer.ask(peer.client_keys("PSK"), f"coaps://127.0.0.1:{nat.port}/.well-known/core")
            check.that(f"{peer.client}, datagram {lost} lost: reads /.well-known/core", 'rt="core.rd"' in said, said)
        with Nat(server.port, lost={lost}) as nat:
            client = tinydtls.Endpoint(tinydtls.SharedKey(b"shared", PSK))
            check.that(f"tinydtls, datagram {lost} lost: the handshake ends", client.connect(("127.0.0.1", nat.port)))
            talk(check, f"tinydtls, datagram {lost} lost", client, "shared")
            client.close()


def numbers(prefix):
    """The private number, and both of the public key, of a pair of files."""
    key = pk.ECC.from_DER(pathlib.Path(f"{prefix}.key.der").read_bytes())
    public = pathlib.Path(f"{prefix}.pub.der").read_bytes()[-64:]
    return int(key.export_key("NUM")).to_bytes(32, "big"), (public[:32], public[32:])


def tiny(fleet, server, is_client):
    own, peer = (fleet.device, server.identity) if is_client else (server.identity, fleet.device)
    private, public = numbers(own)
    return [("PSK", "shared", tinydtls.SharedKey(b"shared" if is_client else b"buoy-1", PSK)),
            ("RPK", "raw", tinydtls.RawPublicKey(private, public, numbers(peer)[1]))]


def tinydtls_client(check, fleet, server):
    for kind, endpoint, credentials in tiny(fleet, server, True):
        client = tinydtls.Endpoint(credentials)
        check.that(f"tinydtls {kind}: the handshake ends", client.connect(("127.0.0.1", server.port)))
        if client.is_connected:
            talk(check, f"tinydtls {kind}", client, endpoint)
        client.close()
    client = tinydtls.Endpoint(tinydtls.SharedKey(b"shared", b"wrong"))
    check.that("tinydtls with another key is turned away", not client.connect(("127.0.0.1", server.port), 2))
    client.close()


def no_session_moves_without_a_connection_id(check, fleet, server):
    """Of these libraries none has connection IDs: what comes from another address must not be taken for the device."""
    with Nat(server.port) as nat:
        client = tinydtls.Endpoint(tinydtls.SharedKey(b"shared", PSK))
        check.that("tinydtls behind a NAT: the handshake ends", client.connect(("127.0.0.1", nat.port)))
        talk(check, "tinydtls behind a NAT", client, "shared")
        nat.move()
        client.send(register("shared", 9).encode())
        check.equal("tinydtls from another address is not answered", (client.receive(2), nat.to_device), (None, []))
        client.close()


def tinydtls_server(check, fleet, server):
    for kind, _, credentials in tiny(fleet, server, False):
        peer = tinydtls.Endpoint(credentials)
        with fleet.own_device(peer.port, *own_keys(fleet, server, kind)) as device:
            welcome(check, f"tinydtls {kind}", peer, device)
        peer.close()


class MbedTls:
    """A session of python-mbedtls, with the socket that it goes through."""

    def __init__(self, session):
        self.session = session

    @staticmethod
    def configuration(fleet, who, cipher, shared):
        """Shared keys if there are some, else the certificate of the prefix `who`."""
        common = {"ciphers": (cipher,), "lowest_supported_version": tls.DTLSVersion.DTLSv1_2}
        if shared:
            return tls.DTLSConfiguration(validate_certificates=False, **common, **shared)
        key = pk.ECC.from_DER(pathlib.Path(f"{who}.key.der").read_bytes())
        certificate = x509.CRT.from_file(f"{who}.cert.pem")
        return tls.DTLSConfiguration(certificate_chain=((certificate,), key), **common,
                                     trust_store=tls.TrustStore.from_pem_file(fleet.authority.ca))

    @classmethod
    def connect(cls, configuration, port):
        plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        plain.settimeout(5)
        session = tls.ClientContext(configuration).wrap_socket(plain, "localhost")
        session.connect(("127.0.0.1", port))
        session.do_handshake()
        return cls(session)

    @classmethod
    def accept(cls, listener):
        """The session of the first client, after a cookie."""
        session, address = listener.accept()
        session.settimeout(15)
        session.setcookieparam(address[0].encode())
        with contextlib.suppress(tls.HelloVerifyRequest):
            session.do_handshake()
        session, address = session.accept()
        session.settimeout(15)
        session.setcookieparam(address[0].encode())
        session.do_handshake()
        return cls(session)

    def send(self, data):
        self.session.send(data)

    def receive(self, seconds=5):
        self.session.settimeout(seconds)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                return self.session.recv(4096)
            except tls.WantReadError:
                continue
            except TimeoutError:
                return None
        return None


def mbedtls_suites():
    return [("PSK", "TLS-PSK-WITH-AES-128-CCM-8"), ("PSK", "TLS-PSK-WITH-AES-128-GCM-SHA256"),
            ("X.509", "TLS-ECDHE-ECDSA-WITH-AES-128-CCM-8"), ("X.509", "TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256")]


def mbedtls_client(check, fleet, server):
    for kind, cipher in mbedtls_suites():
        shared = {"pre_shared_key": ("shared", PSK)} if kind == "PSK" else {}
        name = f"mbed TLS {kind} {cipher}"
        try:
            client = MbedTls.connect(MbedTls.configuration(fleet, fleet.device, cipher, shared), server.port)
        except (TLSError, OSError) as error:
            check.that(f"{name}: the handshake ends", False, repr(error))
            continue
        talk(check, name, client, "shared" if shared else "buoy-1")
        client.session.close()
    try:
        wrong = {"pre_shared_key": ("shared", b"wrong")}
        MbedTls.connect(MbedTls.configuration(fleet, None, "TLS-PSK-WITH-AES-128-CCM-8", wrong), server.port)
        check.that("mbed TLS with another key is not served", False, "it is connected")
    except (TLSError, OSError) as error:
        # A Finished that can't be read is discarded, since it may be forged (RFC 6347 section 4.1.2.7), and a second one is answered by
        # an alert. This binding sends none by itself.
        is_not_served = "alert" in str(error) or "timed out" in str(error)
        check.that("mbed TLS with another key is not served", is_not_served, str(error))


def mbedtls_server(check, fleet, server):
    for kind, cipher in mbedtls_suites():
        shared = {"pre_shared_key_store": {"buoy-1": PSK}} if kind == "PSK" else {}
        name = f"mbed TLS {kind} {cipher}"
        plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        plain.settimeout(15)
        # Its `accept` opens the port a second time, and leaves the first socket to the client.
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener = tls.ServerContext(MbedTls.configuration(fleet, server.identity, cipher, shared)).wrap_socket(plain)
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        with fleet.own_device(port, *(fleet.psk() if shared else fleet.certificate())) as device:
            try:
                peer = MbedTls.accept(listener)
            except (TLSError, OSError) as error:
                check.that(f"{name}: the handshake ends", False, repr(error))
                continue
            welcome(check, name, peer, device)
            peer.session.close()


def main():
    check = Checks()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        fleet = Fleet(pathlib.Path(sys.argv[1]).resolve(), folder)
        with BuoyServer(fleet.buoy, folder, fleet.authority) as server:
            server.add_psk("shared")
            server.add_rpk("raw", fleet.device)
            for part in (openssl_client, openssl_server, libcoap_client, libcoap_server, libcoap_firmware,
                         a_lost_datagram_costs_a_handshake_no_more_than_one_timeout,
                         tinydtls_client, no_session_moves_without_a_connection_id, tinydtls_server,
                         mbedtls_client, mbedtls_server):
                if len(sys.argv) < 3 or sys.argv[2] in part.__name__:
                    try:
                        part(check, fleet, server)
                    except Exception as error:  # noqa: BLE001: the other parts are to be heard too
                        check.that(f"{part.__name__} comes to its end", False, repr(error))
    return check.end()


if __name__ == "__main__":
    sys.exit(main())
