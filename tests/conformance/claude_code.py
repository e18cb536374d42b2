"""Claude Code's command line as a client of the server: it is told of a server, and says whether it
could talk to it. That needs no login.

Usage: claude_code.py SERVER CLAUDE

CLAUDE is the program claude. Every check prints a line; the last line is the summary. Exits with 1
when a check failed.
"""

import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

from score import ANSWER_SECS, Score, holds
from served import MODES, served


class Claude:
    """The program, with a home of its own and nothing of the caller's environment."""

    def __init__(self, program, home):
        self.program = program
        self.home = home
        self.environment = {
            "HOME": home,
            "PATH": os.environ["PATH"],
            # It is to talk to the server, and to nobody else.
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        }

    def mcp(self, *arguments):
        done = subprocess.run(
            [self.program, "mcp", *arguments],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * ANSWER_SECS,
        )
        said = done.stdout + done.stderr
        holds(done.returncode == 0, f"claude mcp {arguments} ended with {done.returncode}: {said}")
        return said


def standing(list_, name):
    """What it says of a server in its list."""
    lines = [line for line in list_.splitlines() if line.startswith(f"{name}:")]
    holds(len(lines) == 1, f"{name} is not in: {list_}")
    return lines[0]


def check_all(score, claude, servers):
    added = {"nobody": ["--", "false"]}
    for mode, server in servers.items():
        added[f"stdio-{mode}"] = ["--", *server.command]
        added[f"http-{mode}"] = [server.streamable]
        added[f"sse-{mode}"] = [server.legacy]
    there = {}
    for name, arguments in added.items():
        transport = name.partition("-")[0] if len(arguments) == 1 else "stdio"
        try:
            claude.mcp("add", "--transport", transport, name, *arguments)
            there[name] = True
            score.note(f"claude code: adds {name}")
        except Exception:
            score.note(f"claude code: adds {name}", traceback.format_exc())
    try:
        list_ = claude.mcp("list")
    except Exception:
        score.note("claude code: lists its servers", traceback.format_exc())
        return
    for name in there:
        is_server = name != "nobody"
        title = f"claude code: {'is' if is_server else 'is not'} connected to {name}"
        try:
            said = standing(list_, name)
            holds(said.endswith("Connected") == is_server, said)
            score.note(title)
        except Exception:
            logs = "".join(server.log() for server in servers.values())
            score.note(title, traceback.format_exc() + logs)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    server, program = (str(Path(path).absolute()) for path in sys.argv[1:])
    score = Score()
    with (
        tempfile.TemporaryDirectory() as home,
        served(server, MODES[0]) as stateless,
        served(server, MODES[1]) as stateful,
    ):
        servers = {one.mode: one for one in [stateless, stateful]}
        check_all(score, Claude(program, home), servers)
    sys.exit(score.close())


if __name__ == "__main__":
    main()
