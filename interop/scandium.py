#!/usr/bin/env python3
"""Buoy over DTLS with Scandium, the DTLS of Eclipse's Californium and Leshan, with connection IDs in both directions: a Leshan
device at `buoy serve`, bootstrapped too, and `buoy device` at a Leshan server. Shared keys, raw public keys and certificates; a NAT
forgets the device in the middle of each session.

Usage: scandium.py PATH_OF_BUOY. Ends with "N passed, N failed"; everything that it starts it ends.
"""

import pathlib
import sys
import tempfile

from world import HERE, PSK, Authority, BuoyDevice, BuoyServer, Firmware, Nat, eventually

from peer import Checks, Peer  # isort: skip

JAVA = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp",
        f"{HERE}/leshan/target/leshan-peers.jar:{HERE}/leshan/target/libs/*"]


def same_session(check, name, nat, to_device):
    """After the address change no record of a handshake passed, and all that did to the server had a connection ID."""
    records = set(nat.to_server), set(nat.to_device)
    check.equal(f"{name}: no handshake, and each record is of the session", records,
                ({Nat.WITH_CONNECTION_ID}, {to_device}))


class LeshanDevice(Peer):
    def __init__(self, uri, endpoint, *arguments):
        super().__init__(endpoint, JAVA + ["buoy.interop.LeshanDevice", "--server", uri, "--endpoint", endpoint, "--cid",
                                           "6", "--tick", "0", *(str(word) for word in arguments)])


def manage(check, name, server, device):
    """What a server does with a device: Read, Write, Observe."""
    client = f"/api/clients/{device.name}"
    answer = server.rest(f"{client}/3/0/9")
    check.that(f"{name}: is read", answer["success"] and answer["content"]["value"] in ("75", 75), answer)
    check.that(f"{name}: is written", server.write(device.name, "/3311/0/5850", "boolean", True))
    check.equal(f"{name}: tells the write", device.line("WRITE"), "WRITE /3311/0/5850 true")
    check.that(f"{name}: is observed", server.rest(f"{client}/3303/0/5700/observe", "POST", b"")["success"])


def notifies(check, name, server, device, value):
    device.say(f"set /3303/0/5700 {value}")

    def has_come():
        values = server.rest(f"/api/v1/devices/{device.name}/series/3303/0/5700")["items"]
        return any(value in (sample["value"], *([*sample["value"].values()] if isinstance(sample["value"], dict) else []))
                   for sample in values)

    check.that(f"{name}: notifies", eventually(has_come), value)


def leshan_device(check, server, kind, endpoint, arguments):
    name = f"Leshan device, {kind}"
    with Nat(server.port) as nat, LeshanDevice(f"coaps://127.0.0.1:{nat.port}", endpoint, *arguments) as device:
        device.line("REGISTERED")
        check.that(f"{name}: is registered, and secure", server.is_registered(endpoint))
        manage(check, name, server, device)
        notifies(check, name, server, device, 21.5)
        before = server.rest(f"/api/clients/{endpoint}")["address"]
        nat.move()
        device.say("update")
        device.line("UPDATED")
        after = server.rest(f"/api/clients/{endpoint}")["address"]
        check.that(f"{name}: goes on from another address", before != after, after)
        manage(check, f"{name}, there", server, device)
        notifies(check, f"{name}, there", server, device, 22.5)
        same_session(check, name, nat, Nat.WITH_CONNECTION_ID)
        device.say("quit")
        check.equal(f"{name}: deregisters", device.line("DEREGISTERED"), "DEREGISTERED")


def devices(check, server, authority):
    device = authority.issue("device", "leshan-x509")
    server.add_psk("leshan-psk")
    server.add_rpk("leshan-rpk", device)
    own = ["--key", f"{device}.key.der"]
    raw = [*own, "--public-key", f"{device}.pub.der", "--server-public-key", f"{server.identity}.pub.der"]
    certified = [*own, "--certificate", f"{device}.cert.der"]
    shared = ["--psk-identity", "leshan-psk", "--psk-key", PSK.hex()]
    leshan_device(check, server, "PSK", "leshan-psk", shared)
    leshan_device(check, server, "RPK", "leshan-rpk", raw)
    leshan_device(check, server, "X.509", "leshan-x509", [*certified, "--server-ca", authority.ca_der()])
    with LeshanDevice(server.coaps, "leshan-x509", *certified, "--server-certificate",
                      f"{server.identity}.cert.der") as pinned:
        check.that("Leshan device that pins the server's certificate: registers", pinned.line("REGISTERED"))
    with LeshanDevice(server.coaps, "leshan-rpk", *shared) as liar:
        failure = liar.line("REGISTER_FAILED")
        check.that("Leshan device in another's name: is refused", "4.00" in failure, failure)


def bootstrap(check, server, authority):
    device = authority.issue("device", "claimed-x509")
    server.add_psk("claimed-psk", "--purpose", "bootstrap")
    server.ctl("credentials", "add", "claimed-rpk", "--kind", "rpk", "--purpose", "bootstrap", "--public-key",
               f"{device}.pub.pem")
    server.ctl("bootstrap", "add", "claimed-*", "--lifetime", "300")
    own = ["--key", f"{device}.key.der"]
    factory = {
        "psk": ["--psk-identity", "claimed-psk", "--psk-key", PSK.hex()],
        "rpk": [*own, "--public-key", f"{device}.pub.der", "--server-public-key", f"{server.identity}.pub.der"],
        "x509": [*own, "--certificate", f"{device}.cert.der", "--server-ca", authority.ca_der()],
    }
    for kind, keys in factory.items():
        endpoint, name = f"claimed-{kind}", f"Leshan device with a factory key ({kind})"
        with LeshanDevice(server.bootstraps, endpoint, "--bootstrap", *keys) as claimed:
            check.equal(f"{name}: is bootstrapped over DTLS", claimed.line("BOOTSTRAP"), "BOOTSTRAPPED")
            claimed.line("REGISTERED")
            check.that(f"{name}: registers by DTLS", server.is_registered(endpoint))
            minted = server.rest(f"/api/v1/credentials?purpose=lwm2m&endpoint={endpoint}")["items"]
            check.equal(f"{name}: by the key that was made for it", [known["kind"] for known in minted], ["psk"])
            answer = server.rest(f"/api/clients/{endpoint}/3/0/9")
            check.that(f"{name}: is read", answer["success"], answer)


def buoy_device(check, server, kind, endpoint, device, nat):
    name = f"buoy device at Leshan, {kind}"
    with device:
        registered = server.event("registered", endpoint=endpoint)
        check.that(f"{name}: registers", registered["objects"])
        check.equal(f"{name}: is read", server.ask(f"read {endpoint} /3/0/3").get("values"), {"/3/0/3": "1.0.0"})
        check.equal(f"{name}: is written", server.ask(f"write {endpoint} /3311/0/5850 boolean true")["code"], "2.04")
        check.equal(f"{name}: says so", device.line("LIGHT"), "LIGHT on")
        check.equal(f"{name}: is observed", server.ask(f"observe {endpoint} /3303/0/5700")["code"], "2.05")
        check.that(f"{name}: notifies", server.event("notification", endpoint=endpoint))
        nat.move()
        # One that was on its way from the old address may come first.
        for _ in range(2):
            server.event("notification", endpoint=endpoint)
        check.that(f"{name}: notifies from another address", nat.to_server)
        answer = server.ask(f"read {endpoint} /3311/0/5850")
        check.equal(f"{name}: is read there", answer.get("values"), {"/3311/0/5850": True})
        answer = server.ask(f"write {endpoint} /3311/0/5850 boolean false")
        check.equal(f"{name}: is written there", answer.get("code"), "2.04")
        # It stays where it is, as seen from itself, and asks for no connection ID of its own.
        same_session(check, name, nat, Nat.DATA)


def leshan_server(check, buoy, folder, authority):
    device, identity = authority.issue("device", "buoy-x509"), authority.folder / "localhost"
    firmware = Firmware(buoy, folder)
    own = ["--key", f"{device}.key.pem"]
    keys = {"psk": ["--psk-key", PSK.hex()], "rpk": [*own, "--server-public-key", f"{identity}.pub.pem"],
            "x509": [*own, "--certificate", f"{device}.cert.pem", "--server-ca", authority.ca]}
    with Peer("Leshan server", JAVA + [
            "buoy.interop.LeshanServer", "--port", "0", "--secure-port", "0", "--cid", "6", "--follow", "--psk",
            f"buoy-psk:{PSK.hex()}", "--rpk", f"buoy-rpk={device}.pub.der", "--x509", "buoy-x509", "--key",
            f"{identity}.key.der", "--certificate", f"{identity}.cert.der", "--trust", str(authority.ca_der())]) as server:
        port = int(server.line("READY").split()[2])
        for kind, own_keys in keys.items():
            endpoint = f"buoy-{kind}"
            with Nat(port) as nat:
                ours = BuoyDevice(buoy, folder, firmware, endpoint, endpoint, "--server",
                                  f"coaps://127.0.0.1:{nat.port}", *own_keys)
                buoy_device(check, server, kind, endpoint, ours, nat)


def main():
    check = Checks()
    buoy = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        authority = Authority(buoy, folder / "ca")
        with BuoyServer(buoy, folder, authority) as server:
            parts = {"devices": (devices, check, server, authority), "bootstrap": (bootstrap, check, server, authority),
                     "leshan_server": (leshan_server, check, buoy, folder, authority)}
            for part, (does, *arguments) in parts.items():
                if len(sys.argv) < 3 or sys.argv[2] == part:
                    try:
                        does(*arguments)
                    except Exception as error:  # noqa: BLE001: the other parts are to be heard too
                        check.that(f"{part} comes to its end", False, repr(error))
            if check.failed:
                print(server.log()[-3000:], file=sys.stderr)
    return check.end()


if __name__ == "__main__":
    sys.exit(main())
