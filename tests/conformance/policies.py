"""Compares the server's evaluation of policies with OPA's own: the tests of the shipped policies, and
every request of policies/vectors.json, which `mcp-v8 policy check` asks the server's evaluator and, over
the data API, OPA's.

Usage: policies.py SERVER OPA

SERVER is the program mcp-v8; OPA the folder in which scripts/conformance installs OPA's evaluator.
Every check prints a line; the last line is the summary. Exits with 1 when a check failed.
"""

import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

POLICIES = Path(__file__).resolve().parents[2] / "policies"
# Far longer than any takes.
CHECK_SECS = 60


def engine_of(directory, with_tests):
    """OPA's evaluator with the policies of a directory."""
    engine = OpaEngine()
    for file in sorted(directory.glob("*.rego")):
        if with_tests or not file.name.endswith("_test.rego"):
            engine.add_policy(file.name, file.read_text())
    data = directory / "data.json"
    if data.exists():
        engine.add_data(json.loads(data.read_text()))
    return engine


class DataApi(BaseHTTPRequestHandler):
    """OPA's data API, as far as it is asked here."""

    protocol_version = "HTTP/1.1"
    engine = None

    def do_POST(self):
        length = int(self.headers["content-length"])
        question = json.loads(self.rfile.read(length))
        path = self.path.removeprefix("/v1/data/").replace("/", ".")
        try:
            answer = {"result": self.engine.eval_document(path, question["input"])}
        except OpaUndefinedError:
            answer = {}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def asked(server, source, request):
    """What `policy check` decides: (allowed, private addresses), and what it says."""
    ran = subprocess.run(
        [server, "policy", "check", "--input", "-", *source],
        input=json.dumps(request), capture_output=True, text=True, timeout=CHECK_SECS, env={},
    )
    said = ran.stdout + ran.stderr
    if ran.returncode not in (0, 1) or "no answer" in said:
        return None, said
    return (ran.returncode == 0, "also to private addresses" in said), said


def main(server):
    failures = count = 0

    def check(name, is_good, detail=""):
        nonlocal failures, count
        count += 1
        failures += not is_good
        print(f"{'ok  ' if is_good else 'FAIL'} {name}{'' if is_good else f': {detail}'}")

    directories = [POLICIES, *sorted((POLICIES / "examples").iterdir())]
    for directory in directories:
        names = re.findall(r"^test_\w+", (directory / "fetch_test.rego").read_text(), re.MULTILINE)
        results = engine_of(directory, True).eval_document("mcp.fetch_test", {})
        for name in names:
            check(f"opa {directory.name} {name}", results.get(name) is True, results.get(name))

    api = ThreadingHTTPServer(("127.0.0.1", 0), DataApi)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{api.server_port}"
    for vector in json.loads((POLICIES / "vectors.json").read_text()):
        directory = POLICIES / vector["policy"]
        DataApi.engine = engine_of(directory, False)
        for case in vector["cases"]:
            request, expected = case["input"], (case["allow"], case["allow_private"])
            for source in (["--policy-dir", str(directory)], ["--opa-url", url]):
                found, said = asked(server, source, request)
                name = f"{source[0]} {vector['policy']} {request['method']} {request['url']}"
                check(name, found == expected, said)
    print(f"policies: {count - failures} of {count} passed")
    return failures > 0


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[2])
    from opa_bindings import OpaEngine
    from opa_bindings.engine import OpaUndefinedError

    sys.exit(main(sys.argv[1]))
