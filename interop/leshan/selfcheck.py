#!/usr/bin/env python3
"""Runs LeshanDevice against LeshanServer on loopback: plain CoAP, queue mode and DTLS with PSK.

Needs the build (`mvn -q package`), nothing but Python's own library, and well under a minute.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from peer import Checks, Peer  # noqa: E402

CLASSPATH = f"{HERE}/target/leshan-peers.jar:{HERE}/target/libs/*"
JAVA = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", CLASSPATH]
SERVER = JAVA + ["buoy.interop.LeshanServer", "--port", "0"]
DEVICE = JAVA + ["buoy.interop.LeshanDevice", "--tick", "0"]


def values(answer):
    return answer.get("values")


def plain(check, server, port):
    with Peer("device", DEVICE + ["--server", f"coap://127.0.0.1:{port}", "--endpoint", "d1",
                                  "--lifetime", "60", "--firmware"]) as device:
        registered = server.event("registered", endpoint="d1")
        check.equal("the lifetime is what the device said", registered["lifetime"], 60)
        check.equal("the device learns its registration id", device.line("REGISTERED"),
                    "REGISTERED " + registered["id"])
        check.equal("list has the device", [r["endpoint"] for r in server.ask("list")["registrations"]], ["d1"])

        for form in ("", "text", "tlv", "json", "senml_json", "senml_cbor", "cbor"):
            answer = server.ask(f"read d1 /3/0/9 {form}")
            check.equal(f"read of a resource as {form or 'it likes'}", values(answer), {"/3/0/9": 75})
        for form in ("tlv", "json", "senml_json", "senml_cbor"):
            answer = server.ask(f"read d1 /3/0 {form}")
            check.equal(f"read of an instance as {form}",
                        (answer["code"], values(answer).get("/3/0/7/1")), ("2.05", 5000))
        check.equal("read of nothing", server.ask("read d1 /3/0/77")["code"], "4.04")

        check.equal("write as text", server.ask("write d1 /3311/0/5850 boolean true")["code"], "2.04")
        check.equal("the device tells the write", device.line("WRITE"), "WRITE /3311/0/5850 true")
        for form in ("tlv", "senml_json", "senml_cbor", "cbor"):
            check.equal(f"write as {form}", server.ask(f"write d1 /3311/0/5851 integer:{form} 40")["code"], "2.04")
        check.equal("what was written is read", values(server.ask("read d1 /3311/0/5851")), {"/3311/0/5851": 40})
        check.equal("write of a read-only resource", server.ask("write d1 /3/0/9 integer 1")["code"], "4.05")
        package = server.ask(f"write d1 /5/0/0 opaque @{HERE}/pom.xml", 30)
        check.equal("write in blocks", package["code"], "2.04")

        check.equal("execute", server.ask("execute d1 /3/0/4 0='a'")["code"], "2.04")
        check.equal("the device tells the execute", device.line("EXECUTE"), "EXECUTE /3/0/4 0='a'")
        device.line("REBOOT")

        check.that("discover", "</3303/0/5700>" in server.ask("discover d1 /3303/0")["links"])
        check.equal("write attributes", server.ask("attributes d1 /3303/0/5700 pmin=0 pmax=60")["code"], "2.04")
        check.that("discover shows attributes",
                   "</3303/0/5700>;pmin=0;pmax=60" in server.ask("discover d1 /3303/0")["links"],
                   server.ask("discover d1 /3303/0"))

        check.equal("observe", server.ask("observe d1 /3303/0/5700")["code"], "2.05")
        device.say("set /3303/0/5700 21.5")
        check.equal("a notification comes", values(server.event("notification", path="/3303/0/5700")),
                    {"/3303/0/5700": 21.5})
        check.equal("cancel actively", server.ask("cancel d1 /3303/0/5700 active")["success"], True)
        server.ask("observe d1 /3303/0/5700")
        check.equal("cancel passively", server.ask("cancel d1 /3303/0/5700")["cancelled"], 1)

        composite = server.ask("readcomposite d1 /3/0/9 /3311/0/5850")
        check.equal("read composite", values(composite), {"/3/0/9": 75, "/3311/0/5850": True})
        check.equal("write composite",
                    server.ask("writecomposite d1 senml_json /3311/0/5850=false /3311/0/5851=7")["code"], "2.04")
        check.equal("observe composite", server.ask("observecomposite d1 /3/0/9 /3303/0/5700")["code"], "2.05")

        created = server.ask("create d1 /3311/4 5850=true 5851=9")
        check.equal("create", created["code"], "2.01")
        check.equal("what was created is read", values(server.ask("read d1 /3311/4/5851")), {"/3311/4/5851": 9})
        check.equal("create where the device chooses",
                    server.ask("create d1 /3311 5850=true").get("location"), "3311/5")
        check.equal("delete", server.ask("delete d1 /3311/4")["code"], "2.02")
        check.equal("write an instance",
                    server.ask("writeinstance d1 /3311/0 update tlv 5850=true 5851=3")["code"], "2.04")

        device.say("send /3303/0/5700 /3/0/9")
        check.equal("send", values(server.event("send", endpoint="d1")), {"/3303/0/5700": 21.5, "/3/0/9": 75})
        device.line("SENT 2.04")
        device.say("update")
        server.event("updated", endpoint="d1")
        device.line("UPDATED")
        device.say("deregister")
        check.equal("deregister", server.event("deregistered", endpoint="d1")["expired"], False)
        device.line("DEREGISTERED")
        device.say("register")
        device.line("REGISTERED")
        device.say("quit")
        device.line("DEREGISTERED")
        check.equal("the device ends when told", device.process.wait(10), 0)


def queue_mode(check, server, port):
    with Peer("queue device", DEVICE + ["--server", f"coap://127.0.0.1:{port}", "--endpoint", "q1", "--queue"]):
        registered = server.event("registered", endpoint="q1")
        check.equal("queue mode is registered", registered["queue"], True)
        check.equal("an awake device in queue mode answers", server.ask("read q1 /3/0/9")["code"], "2.05")


def dtls(check, server, port):
    key = "000102030405060708090a0b0c0d0e0f"
    with Peer("DTLS device", DEVICE + ["--server", f"coaps://127.0.0.1:{port}", "--endpoint", "s1",
                                       "--psk-identity", "id1", "--psk-key", key, "--cid", "6"]) as device:
        device.line("REGISTERED")
        check.equal("read over DTLS", values(server.ask("read s1 /3/0/9")), {"/3/0/9": 75})
    with Peer("liar", DEVICE + ["--server", f"coaps://127.0.0.1:{port}", "--endpoint", "other",
                                "--psk-identity", "id1", "--psk-key", key]) as device:
        check.that("another's name is refused", "4.0" in device.line("REGISTER_FAILED"))


def bench(check):
    with Peer("bench", SERVER + ["--bench"]) as server:
        port = server.line("READY").split()[1]
        with Peer("device", DEVICE + ["--server", f"coap://127.0.0.1:{port}", "--endpoint", "b1"]) as device:
            device.line("REGISTERED")
            check.equal("the bench server counts", server.ask("count")["registrations"], 1)
            check.that("the bench server tells its memory", server.ask("memory")["heap"] > 0)


def bootstrap_refused(check, port):
    with Peer("blank device", DEVICE + ["--server", f"coap://127.0.0.1:{port}", "--endpoint", "n1",
                                        "--bootstrap"]) as device:
        check.that("a device tells that it can't bootstrap", "4.0" in device.line("BOOTSTRAP_FAILED"))


def main():
    check = Checks()
    bench(check)
    with Peer("server", SERVER + ["--secure-port", "0", "--cid", "6",
                                  "--psk", "s1=id1:000102030405060708090a0b0c0d0e0f"]) as server:
        _, port, secure_port = server.line("READY").split()
        plain(check, server, port)
        queue_mode(check, server, port)
        dtls(check, server, secure_port)
        bootstrap_refused(check, port)
        check.equal("the server ends when told", server.ask("quit")["success"], True)
        server.process.wait(10)
    return check.end()


if __name__ == "__main__":
    sys.exit(main())
