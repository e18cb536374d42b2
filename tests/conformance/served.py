"""The server, as clients find it: a command for standard input and output, and two addresses."""

import os
import re
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

from score import ANSWER_SECS

STATELESS_TOOLS = [
    "cancel_execution",
    "get_execution",
    "get_execution_output",
    "list_executions",
    "run_js",
]
STATEFUL_TOOLS = sorted(
    [
        *STATELESS_TOOLS,
        "delete_heap_tags",
        "get_heap_tags",
        "list_session_snapshots",
        "list_sessions",
        "query_heaps_by_tags",
        "set_heap_tags",
    ]
)
MODES = ["stateless", "stateful"]
LIMITS = ["--max-concurrent-executions", "4"]


class Listening:
    """The server on a free port; `flag` says for which transport."""

    def __init__(self, command, flag):
        # No variable of the caller changes what it is.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MCP_V8_")}
        self.process = subprocess.Popen(
            [*command, flag, "0"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log = []
        self.url = None
        for line in self.process.stderr:
            self.log.append(line)
            found = re.search(r"MCP at (http://[^/]*/(?:mcp|sse));", line)
            if found:
                self.url = found.group(1)
                break
        # It must not wait for a reader of its log.
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr))
        self.reader.start()
        if self.url is None:
            self.end()
            raise AssertionError("it does not listen: " + "".join(self.log))

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(ANSWER_SECS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.reader.join()


@dataclass
class Served:
    """One server for each way to reach it, none of which knows of the others."""

    mode: str
    # What starts it on standard input and output.
    command: list
    streamable: str
    legacy: str
    listening: list = field(repr=False)

    @property
    def tools(self):
        return STATEFUL_TOOLS if self.is_stateful else STATELESS_TOOLS

    @property
    def is_stateful(self):
        return self.mode == "stateful"

    def log(self):
        return "".join(line for one in self.listening for line in one.log)


@contextmanager
def served(program, mode, options=()):
    with tempfile.TemporaryDirectory(prefix="mcp-v8-conformance-") as scratch:

        def command(name):
            if mode == "stateless":
                return [program, *LIMITS, *options, "--stateless"]
            places = [f"--session-db-path={scratch}/{name}/data"]
            return [program, *LIMITS, *options, *places, f"--directory-path={scratch}/{name}/heaps"]

        listening = []
        try:
            for name, flag in [("http", "--http-port"), ("sse", "--sse-port")]:
                listening.append(Listening(command(name), flag))
            urls = [one.url for one in listening]
            yield Served(mode, command("stdio"), *urls, listening)
        finally:
            for one in listening:
                one.end()
