"""The Python SDK as a client of the server, over every transport and in every way to begin.

Usage: python_sdk.py SERVER MODE

MODE is stateless or stateful. Every check prints a line; the last line is the summary. Exits with 1
when a check failed.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
import traceback
from contextlib import asynccontextmanager

from jsonschema import Draft202012Validator
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from score import ANSWER_SECS, ENDLESS, LEGACY, LINES, MANY_LINES, MODERN, Score, equal, holds
from served import served

# How the SDK opens a conversation, and the version that comes of it.
SDK_MODES = [("legacy", LEGACY), ("auto", MODERN), (MODERN, MODERN)]
UNKNOWN_ID = "01234567-89ab-4cde-8f01-23456789abcd"


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


class Session:
    """One conversation of the SDK with a server."""

    def __init__(self, client, schemas, server):
        self.client = client
        self.schemas = schemas
        self.server = server

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


def on_stdio(command, log):
    parameters = StdioServerParameters(command=command[0], args=command[1:])
    return stdio_client(parameters, errlog=log)


@asynccontextmanager
async def connected(transport, mode, server):
    async with Client(transport, mode=mode) as client:
        listed = await client.list_tools()
        schemas = {tool.name: tool.output_schema for tool in listed.tools}
        yield Session(client, schemas, server)


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
    equal(sorted(tool.name for tool in tools), session.server.tools, "the tools")
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


async def sdk_reads_pages_of_output(session, *_):
    ran = await session.call("run_js", {"code": MANY_LINES, "wait_ms": 30000})
    holds(ran["output"]["has_more"], "all is on the first page")
    one = {"execution_id": ran["execution_id"]}
    lines, pages, page = [], 0, {"next_line_offset": 1, "has_more": True}
    while page["has_more"]:
        offset = page["next_line_offset"]
        page = await session.call("get_execution_output", {**one, "line_offset": offset})
        lines += page["data"].split("\n")
        pages += 1
    equal((pages, lines), (3, LINES), "the pages")
    tail = await session.call(
        "get_execution_output", {**one, "byte_offset": page["total_bytes"] - 9, "byte_limit": 9}
    )
    equal(tail["data"].strip(), "line 250", "the last bytes")


async def sdk_reads_resources(session, *_):
    client = session.client
    ran = await session.call("run_js", {"code": "console.log('kept'); 7", "wait_ms": 30000})
    uri = f"v8://executions/{ran['execution_id']}"
    listed = [str(resource.uri) for resource in (await client.list_resources()).resources]
    holds(uri in listed and f"{uri}/output" in listed, f"listed {listed}")
    read = (await client.read_resource(uri)).contents[0]
    equal(json.loads(read.text)["result"], "7", "the result")
    output = (await client.read_resource(f"{uri}/output")).contents[0]
    equal((output.text.rstrip("\n"), output.mime_type), ("kept", "text/plain"), "the output")
    equal(len((await client.list_resource_templates()).resource_templates), 2, "the templates")
    for unknown in [f"v8://executions/{UNKNOWN_ID}", "file:///etc/passwd"]:
        try:
            await client.read_resource(unknown)
        except MCPError:
            continue
        raise AssertionError(f"{unknown} was read")


async def sdk_goes_on_from_a_heap(session, *_):
    # Each conversation names its own: over HTTP they share a server.
    name = f"sdk {time.monotonic_ns()}"
    at = {"session": name, "wait_ms": 30000}
    if not session.server.is_stateful:
        await session.refused("run_js", {"code": "1", **at}, "session")
        return
    first = await session.call("run_js", {"code": "let n = 41;", "tags": {"of": name}, **at})
    second = await session.call("run_js", {"code": "++n", "heap": "latest", **at})
    equal((second["result"], second["input_heap"]), ("42", first["heap"]), "the end")
    listed = await session.call("list_session_snapshots", {"session": name})
    heaps = [entry["output_heap"] for entry in listed["entries"]]
    equal(heaps, [first["heap"], second["heap"]], "the session")
    found = await session.call("query_heaps_by_tags", {"tags": {"of": name}})
    holds(first["heap"] in json.dumps(found), f"found {found}")


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
    sdk_reads_pages_of_output,
    sdk_reads_resources,
    sdk_goes_on_from_a_heap,
    sdk_sees_failures,
    sdk_sees_errors,
    sdk_is_told_progress,
    sdk_cancels,
    sdk_calls_many_at_once,
]


def ways(server, log):
    """A name, how the SDK begins, the version that comes of it, and what opens the transport."""
    for mode, version in SDK_MODES:
        yield "stdio", mode, version, lambda: on_stdio(server.command, log)
    for mode, version in SDK_MODES:
        # The SDK takes an address for Streamable HTTP.
        yield "http", mode, version, lambda: server.streamable
    yield "sse", "legacy", LEGACY, lambda: sse_client(server.legacy)


async def check_all(score, server):
    with tempfile.TemporaryFile("w+") as log:
        for transport, mode, version, open_transport in ways(server, log):
            for check in SDK_CHECKS:
                what = check.__name__.removeprefix("sdk_")
                name = f"python sdk, {server.mode}, {transport}, {mode}: {what}"
                before = set(children_of(os.getpid()))
                try:
                    async with asyncio.timeout(2 * ANSWER_SECS):
                        async with connected(open_transport(), mode, server) as session:
                            await check(session, mode, version)
                    holds(set(children_of(os.getpid())) <= before, "a process is left behind")
                    score.note(name)
                except Exception:
                    log.seek(0)
                    score.note(name, traceback.format_exc() + log.read() + server.log())


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    score = Score()
    with served(*sys.argv[1:]) as server:
        asyncio.run(check_all(score, server))
    sys.exit(score.close())


if __name__ == "__main__":
    main()
