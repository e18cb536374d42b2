"""Runs real MCP clients against the server, on stdio and over HTTP, with state and without: the SDKs
of Python and TypeScript, FastMCP, the MCP Inspector and Claude Code.

Usage: conformance.py SERVER CLIENTS

SERVER is the program mcp-v8; CLIENTS the folder in which scripts/conformance installs the clients.
Every check prints a line; the last line is the summary. Exits with 1 when a check failed.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

from score import Score
from served import MODES, served

HERE = Path(__file__).resolve().parent
# Far longer than any takes: one that hangs fails.
PART_SECS = 300
# They wait most of the time, for scripts that take a while.
PARTS_AT_ONCE = 3

# Parts that run, and whether no more are to begin.
running = set()
lock = threading.Lock()
stopped = threading.Event()


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


def begin(command):
    """Starts a part. What it starts ends with it: the group is its own."""
    with lock:
        if stopped.is_set():
            raise InterruptedError("it was stopped before it began")
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        running.add(process)
        return process


def end(process):
    """Ends whatever of a part is left, once."""
    with lock:
        if process in running:
            running.remove(process)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def stop(*_):
    """Ends everything, when the program itself is told to end."""
    stopped.set()
    for process in list(running):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def run(name, start):
    """Runs a part; how long it took, and all it said."""
    began = time.monotonic()
    said = ""
    try:
        with ExitStack() as stack:
            process = begin(start(stack))
            try:
                said, _ = process.communicate(timeout=PART_SECS)
            except subprocess.TimeoutExpired:
                end(process)
                said, _ = process.communicate()
                said += f"\n{name} took more than {PART_SECS} s"
            finally:
                end(process)
    except Exception:
        said += f"\n{name} could not run:\n{traceback.format_exc()}"
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
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    score = Score()
    with (
        tempfile.TemporaryDirectory(prefix="mcp-v8-conformance-") as scratch,
        ThreadPoolExecutor(PARTS_AT_ONCE) as pool,
    ):
        # A part that is killed leaves things behind: they go with this directory.
        tempfile.tempdir = os.environ["TMPDIR"] = scratch
        begun = [pool.submit(run, *part) for part in parts(str(server), clients)]
        for one in begun:
            tell(score, *one.result())
    sys.exit(score.close())


if __name__ == "__main__":
    main()
