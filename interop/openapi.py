#!/usr/bin/env python3
"""Buoy's REST interface against its own description: schemathesis makes requests from the OpenAPI document, right ones and wrong ones, and
looks whether each answer is one that the document has. An admin's token is used, and there is something of each kind that can be made without a
device.

Usage: openapi.py PATH_OF_BUOY. Needs schemathesis (interop/requirements.txt). Ends with "N passed, N failed"; everything that it starts it
ends.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

# Requests for each operation and phase. More find more, and take longer.
EXAMPLES = 20
SEED = 20
PATIENCE = 600
PASSWORD = "correct horse battery"
# What an answer has to be. Whether a request that fits the schema is granted depends on what there is, which the document cannot say.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
# Streams do not end. The others would take the token away, or change the password that it was made with.
LEFT_OUT = ["/api/v1/events", "/api/v1/devices/{endpoint}/trace", "/api/v1/sign-out", "/api/v1/setup", "/api/v1/tokens/{id}", "/api/v1/accounts/{name}"]


# What is in paths. What is deleted in the course is asked for all the same, and answered by 404.
PARAMETERS = """
[parameters]
"path.endpoint" = "buoy-1"
"path.name" = "north"
"path.id" = 1
"path.pattern" = "buoy-1"
"""


def start(program, data):
    """The server, its address and its one-time token."""
    arguments = ["serve", "--coaps", "off", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", data]
    server = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    setup = None
    for line in server.stdout:
        if found := re.match(r"Setup +(\S+)", line):
            setup = found[1]
        if found := re.match(r"REST +(\S+)", line):
            return server, found[1], setup
    raise SystemExit("the server ended before it was ready")


def call(method, url, body, headers):
    """An answer, which has to be one of success."""
    headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
    return urllib.request.urlopen(request, timeout=30)


def token(base, setup):
    """The token of the first account."""
    account = {"token": setup, "name": "admin", "password": PASSWORD}
    with call("POST", f"{base}/api/v1/setup", account, {}) as answer:
        cookie = answer.headers["Set-Cookie"].split(";")[0]
        csrf = json.load(answer)["csrf"]
    headers = {"Cookie": cookie, "X-CSRF-Token": csrf}
    with call("POST", f"{base}/api/v1/tokens", {"name": "schemathesis"}, headers) as answer:
        return json.load(answer)["secret"]


def fill(base, secret):
    """Something of each kind, under the names that PARAMETERS has."""
    for method, path, body in [
        ("POST", "devices", {"devices": [{"endpoint": "buoy-1", "tags": ["spare"]}]}),
        ("PUT", "groups/north", {"description": "", "filter": "tag = spare"}),
        ("PUT", "filters/north", {"filter": "tag = spare"}),
        ("POST", "credentials", {"endpoint": "buoy-1", "proof": {"psk": {}}}),
        ("PUT", "bootstrap/configs", {"pattern": "buoy-1", "servers": [{"uri": "coaps://127.0.0.1:5684"}]}),
    ]:
        call(method, f"{base}/api/v1/{path}", body, {"Authorization": f"Bearer {secret}"}).close()


def main():
    program = sys.argv[1]
    schemathesis = pathlib.Path(sys.executable).with_name("schemathesis")
    with tempfile.TemporaryDirectory() as folder:
        server, base, setup = start(program, f"{folder}/data")
        try:
            secret = token(base, setup)
            fill(base, secret)
            pathlib.Path(folder, "schemathesis.toml").write_text(PARAMETERS)
            left_out = [part for path in LEFT_OUT for part in ("--exclude-path", path)]
            command = [
                str(schemathesis), "run", f"{base}/api/v1/openapi.json", *left_out,
                "--header", f"Authorization: Bearer {secret}",
                "--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES),
                "--seed", str(SEED), "--continue-on-failure", "--request-timeout", "20",
                "--suppress-health-check", "all", "--warnings", "off", "--no-color",
            ]
            run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=folder)
            print(run.stdout, run.stderr)
            alive = server.poll() is None
        finally:
            server.terminate()
            server.wait(30)
    failed = int(run.returncode != 0) + int(not alive)
    print(f"{2 - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
