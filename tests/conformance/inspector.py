"""The MCP Inspector's command line as a client of the server.

Usage: inspector.py SERVER INSPECTOR

INSPECTOR is the program mcp-inspector, each run of which is one request. Every check prints a line;
the last line is the summary. Exits with 1 when a check failed.
"""

import json
import os
import subprocess
import sys
import tempfile
import traceback

from score import ANSWER_SECS, ENDLESS, LEGACY, LINES, MANY_LINES, MODERN, Score, equal, holds
from served import served

INSPECTOR_ERAS = [("legacy", LEGACY), ("auto", MODERN), ("modern", MODERN)]


class Inspector:
    """The program, and the server that it starts or calls each time."""

    def __init__(self, program, target, era, home, tools):
        self.tools = tools
        self.command = [program, "--cli", *target, "--protocol-era", era, "--format", "json"]
        self.environment = {**os.environ, "HOME": home}

    def run(self, method, *arguments):
        """Runs one method; the exit code, standard output and standard error."""
        command = [*self.command, "--method", method, *arguments]
        done = subprocess.run(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * ANSWER_SECS,
        )
        return done.returncode, done.stdout, done.stderr

    def result(self, method, *arguments):
        code, output, errors = self.run(method, *arguments)
        equal(code, 0, f"the exit code ({errors})")
        return json.loads(output)["result"]

    def value(self, tool, arguments):
        return self.result(*self.call(tool, arguments))["structuredContent"]

    @staticmethod
    def call(tool, arguments):
        return ["tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments)]


def inspector_initializes(inspector, version):
    result = inspector.result("initialize")
    equal(result["serverInfo"]["name"], "mcp-v8", "the name")
    equal(result["protocolVersion"], version, "the protocol")
    holds("run_js" in result["instructions"], "instructions name no tool")


def inspector_finds_no_fault_in_the_schemas(inspector, _):
    result = inspector.result("tools/list", "--strict")
    equal(sorted(tool["name"] for tool in result["tools"]), inspector.tools, "the tools")


def inspector_calls_a_tool(inspector, _):
    arguments = {"code": "console.log('x'); 6 * 7", "wait_ms": 30000}
    result = inspector.result(*inspector.call("run_js", arguments))
    value = result["structuredContent"]
    equal((value["result"], value["output"]["data"]), ("42", "x"), "the end")
    equal(json.loads(result["content"][0]["text"]), value, "the text block")


def inspector_reports_a_tool_error(inspector, _):
    code, output, errors = inspector.run(*inspector.call("run_js", {"code": 5}))
    holds(code != 0, f"the exit code is {code}")
    holds("tool_is_error" in errors, errors)
    result = json.loads(output)["result"]
    holds(result["isError"] and "code is 5" in result["content"][0]["text"], output)


def inspector_reads_pages_of_output(inspector, _):
    ran = inspector.value("run_js", {"code": MANY_LINES, "wait_ms": 30000})
    one = {"execution_id": ran["execution_id"]}
    first = inspector.value("get_execution_output", one)
    rest = {**one, "line_offset": first["next_line_offset"], "line_limit": 1000}
    rest = inspector.value("get_execution_output", rest)
    equal((first["has_more"], rest["has_more"]), (True, False), "whether there is more")
    equal(first["data"].split("\n") + rest["data"].split("\n"), LINES, "the pages")


def inspector_reads_resources(inspector, _):
    listed = [resource["uri"] for resource in inspector.result("resources/list")["resources"]]
    outputs = [uri for uri in listed if uri.endswith("/output")]
    holds(outputs, f"listed {listed}")
    # The newest is that of the check before.
    read = inspector.result("resources/read", "--uri", outputs[0])["contents"]
    equal(read[0]["text"].split("\n")[:250], LINES, "the output")


def inspector_cancels(inspector, _):
    accepted = inspector.value("run_js", {"code": ENDLESS, "wait_ms": 0})
    equal(inspector.value("cancel_execution", accepted), {"ok": True}, "the cancel")
    ended = inspector.value("get_execution", {**accepted, "wait_ms": 30000})
    equal(ended["status"], "cancelled", "the end")


def inspector_waits_for_a_task(inspector, version):
    code = "await new Promise(r => setTimeout(r, 2500)); 'done'"
    seen = inspector.value("run_js", {"code": code})
    if version == MODERN:
        # It declares the extension of tasks, and polls until the end.
        equal((seen["status"], seen["result"]), ("completed", "done"), "the end")
    else:
        equal(list(seen), ["execution_id"], "without a wait")


def inspector_bears_load(inspector, _):
    call = inspector.call("run_js", {"code": "1 + 1", "wait_ms": 30000})
    load = ["--load", "--load-concurrency", "8", "--load-requests", "60"]
    code, output, errors = inspector.run(*call, *load)
    equal(code, 0, f"the exit code ({errors})")
    result = json.loads(output)["result"]
    equal((result["requests"], result["ok"]), (60, 60), f"the load in {output}")


INSPECTOR_CHECKS = [
    inspector_initializes,
    inspector_finds_no_fault_in_the_schemas,
    inspector_calls_a_tool,
    inspector_reports_a_tool_error,
    inspector_reads_pages_of_output,
    inspector_reads_resources,
    inspector_cancels,
    inspector_waits_for_a_task,
    inspector_bears_load,
]


# Over standard input and output each request has a server of its own, which keeps what it is told
# to keep, but ends what runs.
ONE_SERVER_CHECKS = [inspector_cancels]


def ways(stateful, stateless):
    """A name, the arguments that say where the server is, an era, and the tools there."""
    http = ["--transport", "http", "--server-url", stateless.streamable]
    for era in INSPECTOR_ERAS:
        yield "stdio", stateful.command, era, stateful.tools
        yield "http", http, era, stateless.tools
    sse = ["--transport", "sse", "--server-url", stateful.legacy]
    yield "sse", sse, INSPECTOR_ERAS[0], stateful.tools


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    server, program = sys.argv[1:]
    score = Score()
    with (
        tempfile.TemporaryDirectory() as home,
        served(server, "stateful") as stateful,
        served(server, "stateless") as stateless,
    ):
        for transport, target, (era, version), tools in ways(stateful, stateless):
            inspector = Inspector(program, target, era, home, tools)
            for check in INSPECTOR_CHECKS:
                if transport == "stdio" and check in ONE_SERVER_CHECKS:
                    continue
                name = f"inspector, {transport}, {era}: {check.__name__.removeprefix('inspector_')}"
                try:
                    check(inspector, version)
                    score.note(name)
                except Exception:
                    log = stateful.log() + stateless.log()
                    score.note(name, traceback.format_exc() + log)
    sys.exit(score.close())


if __name__ == "__main__":
    main()
