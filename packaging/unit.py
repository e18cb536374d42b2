"""Prints what the systemd unit allows of system calls, as a seccomp profile of Docker's kind: packaging/confined.py
can then try the programs under it, where there is no systemd to run them.

    packaging/unit.py packaging/systemd/mcp-v8.service > unit.json
"""

import json
import socket
import subprocess
import sys
from pathlib import Path

EPERM = 1


def values(lines, key):
    return [line.split("=", 1)[1].strip() for line in lines if line.startswith(key + "=")]


def calls(name):
    """A call by its name; those of a group, as this machine's systemd has it."""
    if not name.startswith("@"):
        return {name}
    shown = subprocess.run(
        ["systemd-analyze", "--no-pager", "syscall-filter", name], check=True, stdout=subprocess.PIPE, text=True
    )
    inner = (line.strip() for line in shown.stdout.splitlines()[1:])
    return set().union(*(calls(line) for line in inner if line and not line.startswith("#")))


def allowed(filters):
    """What a list of filters leaves: those that begin with ~ take away. systemd itself allows what starts and
    ends a process (@default)."""
    found = calls("@default")
    for text in filters:
        is_taken, names = text.startswith("~"), text.lstrip("~").split()
        for name in names:
            found = found - calls(name) if is_taken else found | calls(name)
    return found


def main():
    lines = Path(sys.argv[1]).read_text().splitlines()
    (refusal,) = values(lines, "SystemCallErrorNumber")
    if refusal != "EPERM":
        sys.exit(f"unit: {refusal} is not understood")
    names = allowed(values(lines, "SystemCallFilter")) - {"socket"}
    families = [getattr(socket, name) for text in values(lines, "RestrictAddressFamilies") for name in text.split()]
    rules = [{"names": sorted(names), "action": "SCMP_ACT_ALLOW"}]
    rules += [
        {
            "names": ["socket"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": int(family), "op": "SCMP_CMP_EQ"}],
        }
        for family in families
    ]
    profile = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": EPERM, "syscalls": rules}
    json.dump(profile, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
