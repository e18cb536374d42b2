"""Runs a program as a container would: as nobody, without capabilities or new privileges, under a seccomp
profile of Docker's kind. What is said about containers is tried by it, where there is no Docker.

    packaging/confined.py [--without-namespaces] PROFILE PROGRAM [ARGUMENT...]

`--without-namespaces` takes from the profile what Docker's own forbids an ordinary container: unshare, mounts,
keyrings, and new processes with namespaces of their own.
"""

import ctypes
import json
import os
import sys
from pathlib import Path

import pyseccomp

# Nobody's number; any would do that is not root's.
USER = 65534
# linux/prctl.h
PR_SET_NO_NEW_PRIVS = 38
PR_CAPBSET_DROP = 24
# linux/sched.h: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
NAMESPACES = 0x7E020000
DENIED = {"unshare", "mount", "umount2", "pivot_root", "chroot", "keyctl", "clone3"}
ENOSYS, EPERM = 38, 1


def comparison(argument):
    kinds = {"SCMP_CMP_EQ": pyseccomp.EQ}
    return pyseccomp.Arg(argument["index"], kinds[argument["op"]], argument["value"])


def load(profile, with_namespaces):
    """Puts the profile around this process and what it starts."""
    if profile["defaultAction"] != "SCMP_ACT_ERRNO":
        sys.exit("confined: the profile allows what it does not name")
    filter = pyseccomp.SyscallFilter(pyseccomp.ERRNO(profile["defaultErrnoRet"]))
    for rule in profile["syscalls"]:
        if rule["action"] != "SCMP_ACT_ALLOW":
            sys.exit(f"confined: {rule['action']} is not understood")
        comparisons = [comparison(argument) for argument in rule.get("args", [])]
        for name in rule["names"]:
            if not with_namespaces and name in DENIED:
                continue
            more = []
            if not with_namespaces and name == "clone":
                more = [pyseccomp.Arg(0, pyseccomp.MASKED_EQ, NAMESPACES, 0)]
            try:
                filter.add_rule(pyseccomp.ALLOW, name, *comparisons, *more)
            except OSError as problem:
                # A call that this machine's processor or library does not have is none to allow.
                print(f"confined: {name} is left out: {problem}", file=sys.stderr)
    filter.load()


def give_up():
    """No privilege, for good."""
    libc = ctypes.CDLL(None, use_errno=True)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            sys.exit("confined: it must be started as root")
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        sys.exit("confined: new privileges cannot be given up")


def main(arguments):
    with_namespaces = arguments[:1] != ["--without-namespaces"]
    if not with_namespaces:
        arguments = arguments[1:]
    if len(arguments) < 2:
        sys.exit(__doc__)
    profile, *command = arguments
    profile = json.loads(Path(profile).read_text())
    give_up()
    load(profile, with_namespaces)
    os.execve(command[0], command, {"PATH": "/usr/bin:/bin", "TMPDIR": "/tmp"})


if __name__ == "__main__":
    main(sys.argv[1:])
