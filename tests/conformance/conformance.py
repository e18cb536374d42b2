"""Runs real MCP clients against the server, on stdio and over HTTP: the Python SDK and the MCP
Inspector's command line.

Usage: conformance.py SERVER INSPECTOR

SERVER is the program mcp-v8, INSPECTOR the program mcp-inspector. Every check prints a line; the last
line is the summary. Exits with 1 when a check failed.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from contextlib import asynccontextmanager

from jsonschema import Draft202012Validator
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client

TOOLS = [
    "cancel_execution",
    "get_execution",
    "get_execution_output",
    "list_executions",
    "run_js",
]
# Of the server, whatever the transport.
ARGUMENTS = ["--stateless", "--max-concurrent-executions", "4"]
LEGACY, MODERN = "2025-11-25", "2026-07-28"
# How the SDK opens a conversation, and the version that comes of it.
SDK_MODES = [("legacy", LEGACY), ("auto", MODERN), (MODERN, MODERN)]
INSPECTOR_ERAS = [("legacy", LEGACY), ("auto", MODERN), ("modern", MODERN)]
ANSWER_SECS = 60
ENDLESS = "console.log('runs'); for (;;) {}"
UNKNOWN_ID = "01234567-89ab-4cde-8f01-23456789abcd"


class Score:
    """Counts checks and prints them."""

    def __init__(self):
        self.passed = self.failed = 0

    def note(self, name, error=None):
        if error is None:
            self.passed += 1
            print(f"ok    {name}", flush=True)
        else:
            self.failed += 1
            print(f"FAIL  {name}\n{error}", flush=True)


def equal(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: found {found!r}, wanted {wanted!r}")


def holds(condition, what):
    if not condition:
        raise AssertionError(what)


def children_of(pid):
    """The processes whose parent is `pid`, zombies included."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(entry))
    return found


# The Python SDK


class Session:
    """One conversation of the SDK with a server."""

    def __init__(self, client, schemas):
        self.client = client
        self.schemas = schemas

    async def call(self, tool, arguments, **options):
        """Calls a tool that succeeds; its value, checked against the tool's own schema."""
        result = await self.client.call_tool(tool, arguments, **options)
        holds(not result.is_error, f"{tool} failed: {result.content}")
        value = result.structured_content
        holds(isinstance(value, dict), f"{tool} gave no structured content")
        Draft202012Validator(self.schemas[tool]).validate(value)
        equal(json.loads(result.content[0].text), value, "the text block")
        return value

    async def refused(self, tool, arguments, *words):
        """Calls a tool that fails, with these words in its text."""
        result = await self.client.call_tool(tool, arguments)
        holds(result.is_error, f"{tool} did not fail: {result.structured_content}")
        text = result.content[0].text
        for word in words:
            holds(word in text, f"{word!r} is not in: {text}")


class Listening:
    """The server on a free port of HTTP; `port` is the flag."""

    def __init__(self, server, port):
        command = [server, *ARGUMENTS, port, "0"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.log = []
        for line in self.process.stderr:
            self.log.append(line)
            found = re.search(r"MCP at (http://[^/]*/(?:mcp|sse));", line)
            if found:
                self.url = found.group(1)
                break
        else:
            raise AssertionError("it does not listen: " + "".join(self.log))
        threading.Thread(target=lambda: self.log.extend(self.process.stderr)).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(ANSWER_SECS)


def on_stdio(server, log):
    parameters = StdioServerParameters(command=server, args=ARGUMENTS)
    return stdio_client(parameters, errlog=log)


@asynccontextmanager
async def connected(transport, mode):
    async with Client(transport, mode=mode) as client:
        listed = await client.list_tools()
        yield Session(client, {tool.name: tool.output_schema for tool in listed.tools})


async def sdk_introduces_itself(session, mode, version):
    client = session.client
    equal(client.protocol_version, version, "the protocol")
    if mode == MODERN:
        # The client does not ask who is there.
        return
    equal(client.server_info.name, "mcp-v8", "the name")
    holds(client.server_info.version, "the server has no version")
    holds(client.server_capabilities.tools is not None, "it announces no tools")
    holds("run_js" in client.instructions, "instructions name no tool")


async def sdk_lists_tools(session, *_):
    tools = (await session.client.list_tools()).tools
    equal(sorted(tool.name for tool in tools), TOOLS, "the tools")
    for tool in tools:
        for schema in (tool.input_schema, tool.output_schema):
            Draft202012Validator.check_schema(schema)
            equal(schema["type"], "object", tool.name)
        equal(tool.input_schema["additionalProperties"], False, tool.name)
        holds(tool.title and tool.description and tool.annotations, f"{tool.name} is bare")


async def sdk_runs_code(session, *_):
    code = "const xs: number[] = [1, 2, 3]; console.log('sum of', xs); xs.reduce((a, b) => a + b)"
    seen = await session.call("run_js", {"code": code, "wait_ms": 30000})
    equal((seen["status"], seen["result"]), ("completed", "6"), "the end")
    equal(seen["output"]["data"], "sum of [ 1, 2, 3 ]", "the output")
    accepted = await session.call("run_js", {"code": "'later'"})
    equal(list(accepted), ["execution_id"], "without a wait")
    one = {"execution_id": accepted["execution_id"]}
    seen = await session.call("get_execution", {**one, "wait_ms": 30000})
    equal(seen["result"], "later", "the result")
    page = await session.call("get_execution_output", one)
    equal((page["data"], page["has_more"]), ("", False), "the output")
    listed = await session.call("list_executions", {"limit": 1})
    equal(listed["executions"][0]["execution_id"], one["execution_id"], "the newest")
    holds(listed["next_cursor"], "there is a second page")
    await session.call("list_executions", {"cursor": listed["next_cursor"], "status": "completed"})


async def sdk_sees_failures(session, *_):
    seen = await session.call("run_js", {"code": "\nnull.x", "wait_ms": 30000})
    equal((seen["status"], seen["error_kind"]), ("failed", "exception"), "the end")
    holds("TypeError" in seen["error"] and ":2:" in seen["error"], seen["error"])
    seen = await session.call("run_js", {"code": "let = ", "wait_ms": 30000})
    equal(seen["error_kind"], "syntax", "the kind")
    limits = {"execution_timeout_secs": 1, "wait_ms": 30000}
    seen = await session.call("run_js", {"code": ENDLESS, **limits})
    equal((seen["status"], seen["output"]["data"]), ("timed_out", "runs"), "the end")


async def sdk_sees_errors(session, *_):
    await session.refused("run_js", {}, "code", "missing")
    await session.refused("run_js", {"code": "1", "wait_ms": 50001}, "wait_ms", "50000")
    await session.refused("run_js", {"code": "1", "wait": 1}, "no parameter wait", "wait_ms")
    await session.refused("get_execution", {"execution_id": UNKNOWN_ID}, UNKNOWN_ID)
    await session.refused("cancel_execution", {"execution_id": "nonsense"}, "execution_id")
    try:
        await session.client.call_tool("run_python", {})
    except MCPError as error:
        equal(error.error.code, -32602, "the code of an unknown tool")
        holds("run_js" in error.error.message, error.error.message)
    else:
        raise AssertionError("an unknown tool was called")


async def sdk_is_told_progress(session, *_):
    told = []

    async def note(progress, total, message):
        told.append((progress, total, message))

    code = "await new Promise(r => setTimeout(r, 3500)); 'done'"
    arguments = {"code": code, "wait_ms": 30000}
    seen = await session.call("run_js", arguments, progress_callback=note)
    equal(seen["result"], "done", "the result")
    holds(len(told) >= 2, f"told {told}")
    equal(told, sorted(told), "growing progress")
    holds(all(total == 30000 and "running" in message for _, total, message in told), f"{told}")


async def sdk_cancels(session, *_):
    accepted = await session.call("run_js", {"code": ENDLESS})
    equal(await session.call("cancel_execution", accepted), {"ok": True}, "the cancel")
    await session.refused("cancel_execution", accepted, "not running", "cancelled")
    # A call that the client gives up takes its execution along.
    try:
        arguments = {"code": ENDLESS, "wait_ms": 40000}
        await session.client.call_tool("run_js", arguments, read_timeout_seconds=1)
    except MCPError:
        pass
    else:
        raise AssertionError("the call did not time out")
    until = time.monotonic() + ANSWER_SECS
    while (await session.call("list_executions", {"status": "running"}))["executions"]:
        holds(time.monotonic() < until, "the abandoned execution goes on")
        await asyncio.sleep(0.05)


async def sdk_calls_many_at_once(session, *_):
    async def one(number):
        seen = await session.call("run_js", {"code": f"{number} * 2", "wait_ms": 50000})
        equal(seen["result"], str(number * 2), "the result")

    await asyncio.gather(*(one(number) for number in range(24)))


SDK_CHECKS = [
    sdk_introduces_itself,
    sdk_lists_tools,
    sdk_runs_code,
    sdk_sees_failures,
    sdk_sees_errors,
    sdk_is_told_progress,
    sdk_cancels,
    sdk_calls_many_at_once,
]


async def check_sdk(score, server):
    for mode, version in SDK_MODES:
        with tempfile.TemporaryFile("w+") as log:
            for check in SDK_CHECKS:
                name = f"python sdk, {mode}: {check.__name__.removeprefix('sdk_')}"
                try:
                    await check_once(check, on_stdio(server, log), mode, version)
                    holds(not children_of(os.getpid()), "a process is left behind")
                    score.note(name)
                except Exception:
                    log.seek(0)
                    score.note(name, traceback.format_exc() + log.read())


async def check_once(check, transport, mode, version):
    async with asyncio.timeout(2 * ANSWER_SECS):
        async with connected(transport, mode) as session:
            await check(session, mode, version)


async def check_sdk_over_http(score, streamable, legacy):
    """The same over HTTP: the SDK takes an address for Streamable HTTP."""
    ways = [("http", mode, version, lambda: streamable.url) for mode, version in SDK_MODES]
    ways.append(("sse", "legacy", LEGACY, lambda: sse_client(legacy.url)))
    for transport, mode, version, open_transport in ways:
        for check in SDK_CHECKS:
            name = f"python sdk, {transport}, {mode}: {check.__name__.removeprefix('sdk_')}"
            try:
                await check_once(check, open_transport(), mode, version)
                score.note(name)
            except Exception:
                log = "".join(streamable.log + legacy.log)
                score.note(name, traceback.format_exc() + log)


# The MCP Inspector's command line


class Inspector:
    """The program, and the server that it starts or calls each time."""

    def __init__(self, program, target, era, home):
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

    def call(self, tool, arguments):
        return ["tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments)]


def inspector_initializes(inspector, version):
    result = inspector.result("initialize")
    equal(result["serverInfo"]["name"], "mcp-v8", "the name")
    equal(result["protocolVersion"], version, "the protocol")
    holds("run_js" in result["instructions"], "instructions name no tool")


def inspector_finds_no_fault_in_the_schemas(inspector, _):
    result = inspector.result("tools/list", "--strict")
    equal(sorted(tool["name"] for tool in result["tools"]), TOOLS, "the tools")


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
    inspector_bears_load,
]


def check_inspector(score, program, targets):
    ways = [(name, target, era) for name, target in targets for era in INSPECTOR_ERAS]
    with tempfile.TemporaryDirectory() as home:
        for transport, target, (era, version) in ways:
            if transport == "sse" and era != "legacy":
                continue
            inspector = Inspector(program, target, era, home)
            for check in INSPECTOR_CHECKS:
                name = f"inspector, {transport}, {era}: {check.__name__.removeprefix('inspector_')}"
                try:
                    check(inspector, version)
                    score.note(name)
                except Exception:
                    score.note(name, traceback.format_exc())


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    server, inspector = sys.argv[1:]
    score = Score()
    asyncio.run(check_sdk(score, server))
    with Listening(server, "--http-port") as streamable, Listening(server, "--sse-port") as legacy:
        asyncio.run(check_sdk_over_http(score, streamable, legacy))
        targets = [
            ("stdio", [server, "--stateless"]),
            ("http", ["--server-url", streamable.url, "--transport", "http"]),
            ("sse", ["--server-url", legacy.url, "--transport", "sse"]),
        ]
        check_inspector(score, inspector, targets)
    print(f"{score.passed} passed, {score.failed} failed")
    sys.exit(1 if score.failed else 0)


if __name__ == "__main__":
    main()
