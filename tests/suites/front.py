"""A plugin of pytest: moto's tests meet `turnlock lab` wherever they mean Secrets Manager, and moto's own server elsewhere.

It is used by `cargo xtask suites`, which says in LAB where the lab's program is. Each reset that a test asks for starts
a lab without secrets. The tests that moto.toml lists have to fail, and no other may.
"""

import http.client
import http.server
import json
import os
import subprocess
import threading
import tomllib
from pathlib import Path

# moto reads its mode when it is loaded.
os.environ.update(
    TEST_SERVER_MODE="true", AWS_ACCESS_KEY_ID="lab", AWS_SECRET_ACCESS_KEY="lab", AWS_DEFAULT_REGION="us-east-1"
)

import pytest  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402

# A lab's account and moto's: each side sees its own.
OURS, THEIRS = b"000000000000", b"123456789012"


class Lab:
    """A running lab and the port it listens on."""

    def __init__(self):
        command = [os.environ["LAB"], "lab", "--port", "0", "--json"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        ready = json.loads(self.process.stdout.readline())
        self.port = int(ready["endpoint"].rsplit(":", 1)[1])
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def end(self):
        self.process.kill()
        self.process.wait()


class Front(http.server.BaseHTTPRequestHandler):
    """Sends a request to the lab if its target is Secrets Manager, else to moto."""

    protocol_version = "HTTP/1.1"
    lab = None
    moto = None

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/moto-api/reset":
            self.reset()
        if self.headers.get("x-amz-target", "").startswith("secretsmanager."):
            status, headers, answer = self.ask(Front.lab.port, body.replace(b":" + THEIRS + b":", b":" + OURS + b":"))
            answer = answer.replace(b":" + OURS + b":", b":" + THEIRS + b":")
        else:
            status, headers, answer = self.ask(Front.moto, body)
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = answer

    def ask(self, port, body):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()

    @staticmethod
    def reset():
        Front.lab.end()
        Front.lab = Lab()

    def log_message(self, *_):
        pass


def pytest_configure(config):
    moto = ThreadedMotoServer(port=0, verbose=False)
    moto.start()
    Front.lab, Front.moto = Lab(), moto.get_host_and_port()[1]
    front = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front)
    threading.Thread(target=front.serve_forever, daemon=True).start()
    os.environ["TEST_SERVER_MODE_ENDPOINT"] = f"http://127.0.0.1:{front.server_port}"


def pytest_unconfigure(config):
    Front.lab.end()


def pytest_collection_modifyitems(items):
    listed = {}
    for entry in tomllib.loads(Path(__file__).with_name("moto.toml").read_text())["differs"]:
        listed |= {test: entry["because"] for test in entry["tests"]}
    # test_server.py asks moto's own code, without a wire: its names must not be taken for those of the tests listed here.
    for item in items:
        if item.name in listed and item.path.name != "test_server.py":
            item.add_marker(pytest.mark.xfail(strict=True, reason=listed.pop(item.name)))
    if listed:
        raise pytest.UsageError(f"moto.toml lists tests that moto does not have: {', '.join(listed)}")
