"""What the programs of this folder count checks with."""

LEGACY, MODERN = "2025-11-25", "2026-07-28"
ANSWER_SECS = 60
ENDLESS = "console.log('runs'); for (;;) {}"
# More than one page of output, which is 100 lines.
MANY_LINES = "for (let i = 1; i <= 250; i++) console.log(`line ${i}`)"
LINES = [f"line {i}" for i in range(1, 251)]


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

    def close(self):
        """The last line; the exit code."""
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed else 0


def equal(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: found {found!r}, wanted {wanted!r}")


def holds(condition, what):
    if not condition:
        raise AssertionError(what)
