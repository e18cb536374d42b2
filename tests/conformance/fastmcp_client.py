"""The client of FastMCP with a running server. It lives in an environment of its own.

Usage: fastmcp_client.py STREAMABLE_URL SSE_URL TOOLS SERVER [ARGUMENT...]

TOOLS are the names of the tools that the server must have, separated by commas. SERVER with its
arguments is the command for stdio. Every check prints a line; the last line is the summary. Exits with
1 when a check failed.
"""

import asyncio
import json
import os
import sys
import traceback
from pathlib import Path

from fastmcp import Client
from fastmcp.client.transports import SSETransport, StdioTransport, StreamableHttpTransport
from fastmcp.exceptions import ToolError
from score import ANSWER_SECS, ENDLESS, LEGACY, LINES, MANY_LINES, MODERN, Score, equal, holds


async def call(client, tool, arguments, **options):
    result = await client.call_tool(tool, arguments, **options)
    value = result.structured_content
    holds(isinstance(value, dict), f"{tool} gave no structured content")
    equal(json.loads(result.content[0].text), value, "the text block")
    return value


async def refused(client, tool, arguments, *words):
    try:
        await client.call_tool(tool, arguments)
    except ToolError as error:
        for word in words:
            holds(word in str(error), f"{word!r} is not in: {error}")
    else:
        raise AssertionError(f"{tool} did not fail")


async def lists_tools(client, version, tools):
    equal(client.protocol_version, version, "the protocol")
    equal(sorted(tool.name for tool in await client.list_tools()), tools, "the tools")


async def runs_code(client, *_):
    code = "const n: number = 6; console.log('x', n); await Promise.resolve(n * 7)"
    seen = await call(client, "run_js", {"code": code, "wait_ms": 30000})
    equal((seen["result"], seen["output"]["data"]), ("42", "x 6"), "the end")


async def reads_pages_of_output(client, *_):
    seen = await call(client, "run_js", {"code": MANY_LINES, "wait_ms": 30000})
    lines, page, pages = [], {"next_line_offset": 1, "has_more": True}, 0
    while page["has_more"]:
        one = {"execution_id": seen["execution_id"], "line_offset": page["next_line_offset"]}
        page = await call(client, "get_execution_output", one)
        lines += page["data"].split("\n")
        pages += 1
    equal((pages, lines), (3, LINES), "the pages")


async def sees_failures_and_errors(client, *_):
    seen = await call(client, "run_js", {"code": "\nnull.x", "wait_ms": 30000})
    equal((seen["status"], seen["error_kind"]), ("failed", "exception"), "the end")
    await refused(client, "run_js", {"code": 5}, "code is 5")
    await refused(client, "cancel_execution", {"execution_id": "nonsense"}, "execution_id")


async def is_told_progress(client, *_):
    told = []

    async def note(progress, total, message):
        told.append((progress, total, message))

    arguments = {"code": "await new Promise(r => setTimeout(r, 3500)); 'done'", "wait_ms": 30000}
    seen = await call(client, "run_js", arguments, progress_handler=note)
    equal(seen["result"], "done", "the result")
    holds(len(told) >= 2 and all("running" in message for _, _, message in told), f"told {told}")


async def cancels(client, *_):
    accepted = await call(client, "run_js", {"code": ENDLESS})
    equal(await call(client, "cancel_execution", accepted), {"ok": True}, "the cancel")
    # A call that the client gives up takes its execution along.
    abandoned = {"code": ENDLESS, "wait_ms": 40000}
    try:
        await client.call_tool("run_js", abandoned, timeout=1)
    except Exception:
        pass
    else:
        raise AssertionError("the call did not time out")
    while (await call(client, "list_executions", {"status": "running"}))["executions"]:
        await asyncio.sleep(0.05)


async def reads_resources(client, *_):
    ran = await call(client, "run_js", {"code": "console.log('kept'); 7", "wait_ms": 30000})
    uri = f"v8://executions/{ran['execution_id']}"
    listed = [str(resource.uri) for resource in await client.list_resources()]
    holds(uri in listed and f"{uri}/output" in listed, f"listed {listed}")
    equal(json.loads((await client.read_resource(uri))[0].text)["result"], "7", "the result")
    output = await client.read_resource(f"{uri}/output")
    equal(output[0].text.rstrip("\n"), "kept", "the output")
    equal(len(await client.list_resource_templates()), 2, "the templates")


CHECKS = [
    lists_tools,
    runs_code,
    reads_pages_of_output,
    sees_failures_and_errors,
    is_told_progress,
    cancels,
    reads_resources,
]


async def main():
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    streamable, sse, tools, server, *arguments = sys.argv[1:]
    tools = sorted(tools.split(","))

    def stdio():
        silence = Path(os.devnull)
        return StdioTransport(server, arguments, keep_alive=False, log_file=silence)

    ways = [
        ("stdio", stdio, "auto", MODERN),
        ("http", lambda: StreamableHttpTransport(streamable), "legacy", LEGACY),
        ("http", lambda: StreamableHttpTransport(streamable), "auto", MODERN),
        ("sse", lambda: SSETransport(sse), "legacy", LEGACY),
    ]
    score = Score()
    for name, transport, mode, version in ways:
        for check in CHECKS:
            title = f"fastmcp, {name}, {mode}: {check.__name__}"
            try:
                async with asyncio.timeout(ANSWER_SECS), Client(transport(), mode=mode) as client:
                    await check(client, version, tools)
                score.note(title)
            except Exception:
                score.note(title, traceback.format_exc())
    sys.exit(score.close())


asyncio.run(main())
