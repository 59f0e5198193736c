#!/usr/bin/env python3
"""Buoy's REST interface in Leshan's dialect, as the scripts use it that people have for Leshan's demo server: Zephyr's interoperability
tests above all. The requests are in their shapes, with ids as text, slashes at the end of paths, and `format` on every call; bootstrap
credentials go to the bootstrap server's own address. The other end is `buoy device`, bootstrapped over DTLS.

Usage: leshan_scripts.py PATH_OF_BUOY. Needs Python's own library alone. Ends with "N passed, N failed"; everything that it starts it ends.
"""

import json
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request

from world import BuoyDevice, Firmware, eventually, ports_of
from peer import Checks

FORMAT = "SENML_CBOR"
TIMEOUT = 10
ENDPOINT = "zephyr-1"


class Api:
    """Calls as the scripts make them."""

    def __init__(self, base):
        self.base = f"{base}/api"

    def call(self, method, path, body=None, query=None):
        """The JSON of an answer; a refusal is an error."""
        query = {"timeout": TIMEOUT, "format": FORMAT} if query is None else query
        data = body if body is None or isinstance(body, str) else json.dumps(body)
        url = f"{self.base}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        request = urllib.request.Request(url, data=None if data is None else data.encode(), method=method)
        if data is not None:
            request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=TIMEOUT * 2) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def give_key(self, endpoint, key):
        details = {"identity": endpoint, "key": key.encode().hex()}
        self.call("PUT", "/security/clients/", {"endpoint": endpoint, "tls": {"mode": "psk", "details": details}})

    def write(self, path, value, kind="singleResource", type_="string"):
        node = {"id": path.split("/")[-1], "kind": kind, "value": value, "type": type_}
        return self.call("PUT", f"/clients/{ENDPOINT}/{path}", node)

    def read(self, path):
        return self.call("GET", f"/clients/{ENDPOINT}/{path}")["content"]

    def composite(self, method, place, paths, body=None):
        query = {"pathformat": FORMAT, "nodeformat": FORMAT, "timeout": TIMEOUT}
        if paths is not None:
            query["paths"] = ",".join(paths)
        return self.call(method, f"/clients/{ENDPOINT}/composite{place}", body, query)


class Events:
    """The event stream of the device."""

    def __init__(self, api):
        request = urllib.request.Request(f"{api.base}/event?ep={ENDPOINT}", headers={"Accept": "text/event-stream"})
        self.stream = urllib.request.urlopen(request, timeout=120)
        self.events = queue.Queue()
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        name = ""
        for line in self.stream:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                self.events.put((name, json.loads(value)))

    def next_of(self, wanted):
        while True:
            name, data = self.events.get(timeout=30)
            if name == wanted:
                return data


def bootstrap_config(server_uri, endpoint, key):
    """As the scripts write it: bytes as lists of numbers."""
    return {
        "servers": {"0": {"binding": "U", "defaultMinPeriod": 1, "lifetime": 86400, "notifIfDisabled": False, "shortId": 1}},
        "security": {"1": {
            "bootstrapServer": False, "clientOldOffTime": 1, "publicKeyOrId": list(endpoint.encode()),
            "secretKey": list(key.encode()), "securityMode": "PSK", "serverId": 1, "serverSmsNumber": "",
            "smsBindingKeyParam": [], "smsBindingKeySecret": [], "smsSecurityMode": "NO_SEC", "uri": server_uri}},
        "oscore": {}, "toDelete": ["/0", "/1"],
    }


def reads_and_writes(check, api):
    check.equal("a resource is read", api.read("3/0/0")["value"], "Buoy")
    check.equal("an instance is read", api.read("3/0")["kind"], "instance")
    check.equal("an object is read", api.read("3")["instances"][0]["id"], 0)
    check.equal("several values are read", api.read("3/0/11")["values"], {"0": "0"})
    check.equal("one of several is read", api.read("3/0/11/0")["kind"], "resourceInstance")
    absent = api.call("GET", f"/clients/{ENDPOINT}/3/0/77")
    check.equal("what isn't there", (absent["success"], absent["status"]), (False, "NOT_FOUND(404)"))
    check.equal("a boolean is written", api.write("3311/0/5850", True, type_="boolean")["status"], "CHANGED(204)")
    check.equal("and read", api.read("3311/0/5850")["value"], True)
    check.equal("a text is written", api.write("3/0/15", "Europe/Berlin")["success"], True)
    instance = {"kind": "instance", "id": 0, "resources": [
        {"id": "5850", "kind": "singleResource", "value": False, "type": "boolean"},
        {"id": "5851", "kind": "singleResource", "value": 40, "type": "integer"}]}
    for replace in ("false", "true"):
        query = {"timeout": TIMEOUT, "format": FORMAT, "replace": replace}
        answer = api.call("PUT", f"/clients/{ENDPOINT}/3311/0", instance, query)
        check.equal(f"an instance is written, replace={replace}", answer["status"], "CHANGED(204)")
    check.equal("its value is read", api.read("3311/0/5851")["value"], "40")
    executed = api.call("POST", f"/clients/{ENDPOINT}/3/0/12", query={})
    check.equal("a resource is executed", executed["status"], "CHANGED(204)")
    links = api.call("GET", f"/clients/{ENDPOINT}/3/0/discover", query={})["objectLinks"]
    check.that("an instance is discovered", any(link["url"] == "/3/0/9" for link in links), links)
    query = {"pmin": 1, "pmax": 10}
    attributes = api.call("PUT", f"/clients/{ENDPOINT}/3303/0/5700/attributes", "", query)
    check.equal("attributes are written", attributes["status"], "CHANGED(204)")


def composites(check, api):
    content = api.composite("GET", "", ["/3/0/0", "/3/0/77", "/1/0/1"])["content"]
    check.equal("a composite leaves out what isn't there", sorted(content), ["/1/0/1", "/3/0/0"])
    nodes = {
        "/1/0/1": {"id": 1, "kind": "singleResource", "value": 300, "type": "integer"},
        "/3/0/15": {"id": 15, "kind": "singleResource", "value": "UTC", "type": "string"},
    }
    check.equal("a composite is written", api.composite("PUT", "", None, nodes)["status"], "CHANGED(204)")
    observed = api.composite("POST", "/observe", ["/3/0/0", "/3/0/77"])["content"]
    check.equal("a composite is observed", sorted(observed), ["/3/0/0"])
    api.call("DELETE", f"/clients/{ENDPOINT}/composite/observe", query={"paths": "/3/0/0,/3/0/77"})
    api.call("DELETE", f"/clients/{ENDPOINT}/composite/observe", query={"paths": "/3/0/0,/3/0/77"})
    check.that("and cancelled, twice", True)


def observations(check, api):
    events = Events(api)
    first = api.call("POST", f"/clients/{ENDPOINT}/3303/0/5700/observe", "")
    check.equal("a resource is observed", first["content"]["type"], "FLOAT")
    told = events.next_of("NOTIFICATION")
    check.equal("a notification comes as an event", (told["ep"], told["res"], told["val"]["kind"]),
                (ENDPOINT, "/3303/0/5700", "singleResource"))
    check.that("CoAP messages come as events", "token" in events.next_of("COAPLOG"))
    api.call("DELETE", f"/clients/{ENDPOINT}/3303/0/5700/observe", query={})
    api.call("POST", f"/clients/{ENDPOINT}/1/0/8", query={})
    check.equal("an update comes as an event", events.next_of("UPDATED")["registration"]["endpoint"], ENDPOINT)
    api.composite("POST", "/observe", ["/3303/0/5700", "/3303/0/9999"])
    values = events.next_of("NOTIFICATION")["val"]
    check.equal("a composite notification leaves out what isn't there", sorted(values), ["/3303/0/5700"])


def is_refused(call):
    try:
        call()
    except urllib.error.HTTPError as error:
        return error.code
    return None


def main(buoy):
    check = Checks()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        server = subprocess.Popen(
            [buoy, "serve", "--data", folder / "data", "--coaps", "127.0.0.1:0", "--bootstraps", "127.0.0.1:0",
             "--http", "127.0.0.1:0", "--bootstrap-http", "127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            ports = ports_of(server)
            api, bootstrap = Api(ports["REST"]), Api(ports["BootREST"])
            check.equal("no client has a key yet", api.call("GET", "/security/clients"), [])
            key, bootstrap_key = "the key of the LwM2M server", "the key of bootstrap"
            bootstrap.give_key(ENDPOINT, bootstrap_key)
            api.give_key(ENDPOINT, key)
            bootstrap.call("POST", f"/bootstrap/{ENDPOINT}", bootstrap_config(ports["CoAPS"], ENDPOINT, key))
            firmware = Firmware(buoy, folder)
            arguments = ["--bootstrap", ports["BootstrapS"], "--psk-key", bootstrap_key.encode().hex()]
            with BuoyDevice(buoy, folder, firmware, ENDPOINT, "z", *arguments) as device:
                device.wait_for(lambda line: line == "BOOTSTRAPPED", 30)
                listed = eventually(lambda: any(one["endpoint"] == ENDPOINT for one in api.call("GET", "/clients/")))
                check.that("a device is bootstrapped with the credentials of the dialect, and registers", listed)
                check.equal("it is shown with a slash behind it too",
                            api.call("GET", f"/clients/{ENDPOINT}/")["secure"], True)
                reads_and_writes(check, api)
                composites(check, api)
                observations(check, api)
            for one in (bootstrap, api):
                one.call("DELETE", f"/security/clients/{ENDPOINT}", query={})
                check.equal("a key is taken back", one.call("GET", "/security/clients"), [])
            bootstrap.call("DELETE", f"/bootstrap/{ENDPOINT}", query={})
            check.equal("a device without a key is nobody",
                        is_refused(lambda: api.call("GET", "/clients/nobody/3/0/0")), 400)
        finally:
            server.terminate()
            server.wait(20)
    return check.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
