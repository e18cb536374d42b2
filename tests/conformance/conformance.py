"""Runs real MCP clients against the server, on stdio and over HTTP, with state and without: the SDKs
of Python and TypeScript, FastMCP, the MCP Inspector and Claude Code.

Usage: conformance.py SERVER CLIENTS

SERVER is the program mcp-v8; CLIENTS the folder in which scripts/conformance installs the clients.
Every check prints a line; the last line is the summary. Exits with 1 when a check failed.
"""

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from score import Score
from served import MODES, served

HERE = Path(__file__).resolve().parent
# Far longer than any takes: one that hangs fails.
PART_SECS = 300
# They wait most of the time, for scripts that take a while.
PARTS_AT_ONCE = 3


def program(name, *arguments):
    """A part that starts its servers itself."""
    return lambda _stack: [sys.executable, HERE / f"{name}.py", *arguments]


def client(server, mode, *command):
    """A part that is told of servers that run already."""

    def start(stack):
        there = stack.enter_context(served(server, mode))
        tools = ",".join(there.tools)
        return [*command, there.streamable, there.legacy, tools, *there.command]

    return start


def parts(server, clients):
    modules = clients / "npm/node_modules"
    fastmcp = [clients / "fastmcp/bin/python", HERE / "fastmcp_client.py"]
    typescript = [modules / ".bin/node", HERE / "typescript.mjs", modules]
    for mode in reversed(MODES):
        yield f"python sdk, {mode}", program("python_sdk", server, mode)
    yield "inspector", program("inspector", server, modules / ".bin/mcp-inspector")
    for mode in MODES:
        yield f"typescript, {mode}", client(server, mode, *typescript)
        yield f"fastmcp, {mode}", client(server, mode, *fastmcp)
    yield "claude code", program("claude_code", server, modules / ".bin/claude")


def run(name, start):
    """Runs a part; how long it took, and all it said."""
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            # What it starts ends with it, so that the group is its own.
            process = subprocess.Popen(
                start(stack),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            try:
                said, _ = process.communicate(timeout=PART_SECS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                said, _ = process.communicate()
                said += f"\n{name} took more than {PART_SECS} s"
    except Exception as error:
        said = f"{name} could not run: {error!r}"
    return name, time.monotonic() - began, said


def tell(score, name, took, said):
    """Prints what a part said, and adds its checks to the score."""
    *lines, last = said.rstrip("\n").split("\n")
    counted = re.fullmatch(r"(\d+) passed, (\d+) failed", last)
    print("\n".join(lines if counted else [*lines, last]))
    if not counted or counted[1] == counted[2] == "0":
        score.note(f"{name}: comes to its end", "it did not, or checked nothing")
        return
    passed, failed = (int(count) for count in counted.groups())
    score.passed += passed
    score.failed += failed
    print(f"conformance: {name}: {passed} of {passed + failed} checks passed in {took:.0f} s")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    server, clients = (Path(path).absolute() for path in sys.argv[1:])
    score = Score()
    with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
        running = [pool.submit(run, *part) for part in parts(str(server), clients)]
        for one in running:
            tell(score, *one.result())
    sys.exit(score.close())


if __name__ == "__main__":
    main()
