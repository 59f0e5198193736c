#!/usr/bin/env python3
"""Runs device.py against server.py on loopback, and each against Leshan's peer where that is built."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from peer import Checks, Peer  # noqa: E402

SERVER = [sys.executable, str(HERE / "server.py"), "--port", "0"]
DEVICE = [sys.executable, str(HERE / "device.py"), "--tick", "0"]

LESHAN = HERE.parent / "leshan" / "target"
JAVA = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{LESHAN}/leshan-peers.jar:{LESHAN}/libs/*"]
LESHAN_SERVER = JAVA + ["buoy.interop.LeshanServer", "--port", "0"]
LESHAN_DEVICE = JAVA + ["buoy.interop.LeshanDevice", "--tick", "0"]


def pair(check, who, server_command, device_command):
    def equal(what, seen, expected):
        check.equal(f"{who}: {what}", seen, expected)

    with Peer("server", server_command) as server:
        port = server.line("READY").split()[1]
        address = ["--server", f"coap://127.0.0.1:{port}", "--endpoint", "d1", "--lifetime", "60"]
        with Peer("device", device_command + address) as device:
            registered = server.event("registered", endpoint="d1")
            equal("the device learns its id", device.line("REGISTERED"), "REGISTERED " + registered["id"])
            for form in ("", "text", "tlv", "senml_json", "senml_cbor"):
                equal(f"read of a resource, {form or 'any format'}", server.ask(f"read d1 /3/0/9 {form}")["values"],
                      {"/3/0/9": 75})
            for form in ("tlv", "senml_json", "senml_cbor"):
                values = server.ask(f"read d1 /3/0 {form}")["values"]
                equal(f"read of an instance, {form}", (values["/3/0/2"], values["/3/0/7/1"]), ("345000123", 5000))
                equal(f"write, {form}", server.ask(f"write d1 /3311/0/5851 integer:{form} 40")["code"], "2.04")
            equal("read of nothing", server.ask("read d1 /3/0/77")["code"], "4.04")
            equal("write of a boolean", server.ask("write d1 /3311/0/5850 boolean true")["code"], "2.04")
            equal("its line", device.wait_for(lambda line: "5850" in line), "WRITE /3311/0/5850 true")
            equal("write of what is read-only", server.ask("write d1 /3/0/9 integer 1")["code"], "4.05")
            equal("execute", server.ask("execute d1 /3/0/4 0='a'")["code"], "2.04")
            equal("its line", device.line("EXECUTE"), "EXECUTE /3/0/4 0='a'")
            equal("write of attributes", server.ask("attributes d1 /3303/0/5700 pmin=0 pmax=60")["code"], "2.04")
            equal("discover", "</3303/0/5700>;pmin=0;pmax=60" in server.ask("discover d1 /3303/0")["links"], True)
            equal("observe", server.ask("observe d1 /3303/0/5700")["code"], "2.05")
            device.say("set /3303/0/5700 21.5")
            equal("a notification", server.event("notification", path="/3303/0/5700")["values"],
                  {"/3303/0/5700": 21.5})
            equal("cancel", server.ask("cancel d1 /3303/0/5700")["cancelled"], 1)
            device.say("send /3303/0/5700")
            equal("send", server.event("send")["values"], {"/3303/0/5700": 21.5})
            device.line("SENT 2.04")
            device.say("update")
            server.event("updated", endpoint="d1")
            device.line("UPDATED")
            device.say("quit")
            equal("the end", server.event("deregistered", endpoint="d1")["expired"], False)
            equal("the device ends when told", device.process.wait(10), 0)


def main():
    check = Checks()
    pair(check, "aiocoap, aiocoap", SERVER, DEVICE)
    if (LESHAN / "leshan-peers.jar").exists():
        pair(check, "Leshan's server, aiocoap's device", LESHAN_SERVER, DEVICE)
        pair(check, "aiocoap's server, Leshan's device", SERVER, LESHAN_DEVICE)
    return check.end()


if __name__ == "__main__":
    sys.exit(main())
