"""Looks at the console with a real browser, and uses it.

Usage: browser.py SERVER AXE [PICTURES]

SERVER is the program mcp-v8, AXE the file axe.min.js, PICTURES a folder for pictures of what is seen.
The browser is Chromium: the one that CHROMIUM names, or the one that is installed. Every check prints a
line; the last line is the summary. Exits with 1 when a check failed.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "conformance"))

from gate import gate  # noqa: E402
from score import ENDLESS, Score, equal, holds  # noqa: E402
from served import served  # noqa: E402

PATIENCE_MS = 20_000
TOKEN = "correct-horse"
BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
SCHEMES = ["light", "dark"]

# It would run if any of it became markup.
MARKUP = "<img src=x onerror=\"window.owned=1\"><script>window.owned=1</script><svg onload=window.owned=1>"
NASTY = MARKUP + "\0\x1b[31mred\x1b]0;title\x07\u202eevil\u2066\u200b"


class Api:
    """The API, to prepare what is looked at."""

    def __init__(self, url):
        self.url = url

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def run(self, code, **more):
        ended = self.ask("POST", "/api/exec", {"code": code, "wait_ms": 30_000, **more})
        holds(ended.get("completed_at"), f"{code!r} has not ended: {ended}")
        return ended

    def submit(self, code, **more):
        return self.ask("POST", "/api/exec", {"code": code, **more})["execution_id"]


class Tab:
    """A tab of the browser, and whatever goes wrong in it."""

    def __init__(self, page, url, pictures):
        self.page = page
        self.url = url
        self.pictures = pictures
        self.wrongs = []
        self.asked = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.wrongs.append(f"error: {error}"))
        page.on("console", self.said)
        page.on("dialog", lambda dialog: (self.wrongs.append("a dialog"), dialog.dismiss()))
        page.on("request", lambda request: self.asked.append(request.url))

    def said(self, message):
        # A browser says of each answer above 400 that it is one.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.wrongs.append(f"{message.type}: {message.text}")

    def open(self, path="/"):
        self.page.goto(f"{self.url}/console#{path}")

    def at(self, path):
        self.page.evaluate("path => { location.hash = path }", path)

    def role(self, role, name=None, **more):
        return self.page.get_by_role(role, name=name, **more)

    def type_and_run(self, code):
        self.page.get_by_label("JavaScript or TypeScript").fill(code)
        self.page.keyboard.press("Control+Enter")

    def picture(self, name, **more):
        if self.pictures:
            self.page.screenshot(path=self.pictures / f"{name}.png", **more)

    def fine(self):
        equal(self.wrongs, [], "what went wrong in the page")
        foreign = [url for url in self.asked if not url.startswith((self.url, "blob:", "data:"))]
        equal(foreign, [], "requests for other places")
        equal(self.page.evaluate("window.owned"), None, "whether a script of others ran")


class Checks:
    """What is checked; `here` is a server with state, and its API."""

    def __init__(self, browser, server, url, axe, pictures):
        self.browser = browser
        self.server = server
        self.url = url
        self.api = Api(url)
        self.axe = Path(axe).read_text(encoding="utf-8")
        self.pictures = pictures

    @contextmanager
    def tab(self, url=None, **more):
        options = {"viewport": {"width": 1180, "height": 820}, "accept_downloads": True, **more}
        context = self.browser.new_context(**options)
        try:
            tab = Tab(context.new_page(), url or self.url, self.pictures)
            yield tab
            tab.fine()
        finally:
            context.close()

    def accessible(self, tab, what):
        tab.page.evaluate(self.axe)
        found = tab.page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice']})")
        wrong = [
            f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes']]}: "
            f"{one['nodes'][0].get('failureSummary')}"
            for one in found["violations"]
        ]
        equal(wrong, [], f"violations in {what}")
        holds(len(found["passes"]) > 10, f"axe looked at nothing in {what}")

    # What the API is asked, the browser shows.

    def check_runs_code(self):
        with self.tab() as tab:
            tab.open("/run")
            tab.type_and_run("const answer: number = 6 * 7;\nconsole.log('so it is');\n({ answer })")
            expect(tab.page.locator(".badge")).to_have_text("completed")
            expect(tab.role("region", "Result", exact=True)).to_contain_text("[object Object]")
            expect(tab.role("region", "Preview", exact=True)).to_contain_text("{ answer: 42 }")
            expect(tab.role("region", "Console output")).to_have_text("so it is")
            expect(tab.page.locator("#news")).to_contain_text("completed")
            tab.role("link", name=re.compile("^[0-9a-f]{8}$")).click()
            expect(tab.role("heading", level=1)).to_contain_text("Execution")
            expect(tab.role("region", "Code", exact=True)).to_contain_text("const answer: number")
            tab.role("button", "Edit and run again").click()
            expect(tab.page.get_by_label("JavaScript or TypeScript")).to_have_value(re.compile("^const answer"))

    def check_run_box_says_what_is_wrong(self):
        with self.tab() as tab:
            tab.open("/run")
            tab.page.get_by_label("Start from heap").fill("nonsense")
            tab.type_and_run("1")
            expect(tab.role("alert")).to_contain_text("heap")
            tab.page.get_by_label("Start from heap").fill("")
            tab.page.get_by_label("Tags").fill("nothing")
            tab.type_and_run("1")
            expect(tab.role("alert")).to_contain_text("key=value")
            tab.page.get_by_label("Tags").fill("kind=test")
            tab.page.get_by_label("Session").fill("box")
            tab.page.get_by_label("Time limit, s").fill("7")
            tab.type_and_run("1")
            expect(tab.page.locator(".badge")).to_have_text("completed")
            expect(tab.page.locator(".facts")).to_contain_text("8 MB heap, 7 s")
            heap = self.api.ask("GET", "/api/sessions/box/snapshots")["entries"][-1]["output_heap"]
            equal(self.api.ask("GET", f"/api/heaps/{heap}/tags")["tags"], {"kind": "test"}, "the tags")

    def check_output_comes_while_it_runs(self):
        code = "for (let i = 0; ; i++) { console.log(`tick ${i}`); await new Promise(r => setTimeout(r, 100)); }"
        with self.tab() as tab:
            tab.open("/run")
            tab.type_and_run(code)
            log = tab.role("region", "Console output")
            expect(log).to_contain_text("tick 3")
            expect(tab.page.locator(".badge")).to_have_text("running")
            expect(log).to_contain_text("tick 8")
            tab.role("button", "Cancel").click()
            expect(tab.page.locator(".badge")).to_have_text("cancelled")
            expect(tab.role("region", "Error", exact=True)).to_contain_text("cancelled by a client")
            expect(tab.role("button", "Cancel")).to_be_hidden()
            lines = [int(line.removeprefix("tick ")) for line in log.inner_text().split("\n") if line]
            equal(lines, list(range(len(lines))), "the lines")

    def check_place_of_an_error_is_marked(self):
        code = "function outer() {\n  inner();\n}\nfunction inner() {\n  const o = {};\n  o.missing.field;\n}\nouter();"
        ended = self.api.run(code)
        with self.tab() as tab:
            tab.open(f"/executions/{ended['execution_id']}")
            expect(tab.page.locator("mark")).to_have_text("field")
            expect(tab.page.locator(".row.wrong .number")).to_have_text("6")
            expect(tab.page.locator(".said")).to_contain_text("Line 6, column 13: TypeError")
            places = tab.role("region", "Error", exact=True).get_by_role("button")
            equal(places.all_inner_texts()[1:], ["<anonymous>:2:3", "<anonymous>:8:1"], "the places")
            places.nth(2).click()
            expect(tab.page.locator(".row.here .number")).to_have_text("8")
            tab.picture("error")
        for code, line, mark in [("let a = 1;\nfunction f(", "2", None), ("\n\nthrow new Error('\u202ex')", "3", "new")]:
            ended = self.api.run(code)
            with self.tab() as tab:
                tab.open(f"/executions/{ended['execution_id']}")
                expect(tab.page.locator(".row.wrong .number")).to_have_text(line)
                if mark:
                    expect(tab.page.locator("mark")).to_have_text(mark)

    def check_place_in_long_code(self):
        code = "\n".join(f"const v{i} = {i};" for i in range(4000)) + f"\n{' ' * 30_000}throw 1 + nowhere;"
        ended = self.api.run(code)
        with self.tab() as tab:
            tab.open(f"/executions/{ended['execution_id']}")
            expect(tab.page.locator("mark")).to_have_text("nowhere")
            expect(tab.page.locator("mark")).to_be_in_viewport()
            expect(tab.page.locator(".row.wrong .number")).to_have_text("4001")
            holds(tab.page.locator(".row").count() <= 1600, "all lines are there")
            with tab.page.expect_download() as saved:
                tab.role("button", "Save as a file").click()
            equal(Path(saved.value.path()).read_text(), code, "the file")

    def check_list_is_live(self):
        first = self.api.run("1")["execution_id"]
        with self.tab() as tab:
            tab.open()
            tab.page.locator(f"#x-{first}").wait_for()
            running = self.api.submit(ENDLESS)
            row = tab.page.locator(f"#x-{running}")
            expect(row).to_contain_text("running")
            expect(tab.page.locator("#news")).to_contain_text("new execution")
            link = row.get_by_role("link")
            link.focus()
            self.api.ask("POST", f"/api/executions/{running}/cancel")
            expect(row).to_contain_text("cancelled")
            expect(link).to_be_focused()
            expect(row.locator("svg path")).to_have_count(1)
            tab.page.get_by_label("Status").select_option("cancelled")
            expect(tab.page.locator("tbody .badge").first).to_have_text("cancelled")
            equal(set(tab.page.locator("tbody .badge").all_inner_texts()), {"cancelled"}, "those that are shown")
            expect(tab.page.locator("#figures")).to_contain_text("running")

    def check_list_has_pages(self):
        for number in range(60):
            self.api.run(str(number))
        with self.tab() as tab:
            tab.open()
            tab.page.locator("tbody tr").nth(49).wait_for()
            first = tab.page.locator("tbody tr").first.get_attribute("id")
            expect(tab.role("button", "Newer")).to_be_disabled()
            tab.role("button", "Older").click()
            expect(tab.page.locator(f"#{first}")).to_have_count(0)
            expect(tab.page.locator(".pages")).to_contain_text("page 2")
            tab.role("button", "Newer").click()
            expect(tab.page.locator(f"#{first}")).to_have_count(1)

    def check_list_rests_when_nobody_looks(self):
        with self.tab() as tab:
            tab.open()
            tab.role("table").wait_for()
            tab.page.evaluate(
                "Object.defineProperty(document, 'hidden', {get: () => window.isHidden === true, configurable: true});"
                "window.isHidden = true"
            )
            # What was on its way has come by then.
            tab.page.wait_for_timeout(1000)
            tab.asked.clear()
            tab.page.wait_for_timeout(6000)
            equal(tab.asked, [], "requests of a hidden page")
            with tab.page.expect_request("**/api/executions?*"):
                tab.page.evaluate("window.isHidden = false; document.dispatchEvent(new Event('visibilitychange'))")

    def check_much_output_is_bounded(self):
        ended = self.api.run("for (let i = 1; i <= 30000; i++) console.log(`line ${i}`)")
        with self.tab() as tab:
            tab.open(f"/executions/{ended['execution_id']}")
            log = tab.role("region", "Console output")
            expect(log).to_contain_text("line 30000")
            expect(tab.role("region", "Output", exact=True)).to_contain_text("the last 1,000 lines")
            holds(log.locator(".line").count() <= 1001, "all lines are there")
            holds(log.evaluate("log => log.scrollTop + log.clientHeight > log.scrollHeight - 10"), "it is not at its end")
            with tab.page.expect_download() as saved:
                tab.role("button", "Save all as a file").click()
            lines = Path(saved.value.path()).read_text().splitlines()
            equal((len(lines), lines[0], lines[-1]), (30_000, "line 1", "line 30000"), "the file")

    def check_hostile_output_is_text(self):
        text = json.dumps(NASTY)
        code = (
            f"const t = {text}; console.log(t); console.error(t);"
            "console.log('m'.repeat(1 << 20)); console.log('\\x1b[31m\\0'.repeat(2000));"
            "console.log('\\u0301'.repeat(3000)); console.log('\\ud83d'.repeat(10)); console.log(t);\n"
        )
        session = MARKUP[:100]
        ended = [
            self.api.run(code + "t", session=session, tags={MARKUP[:60]: NASTY.replace("\0", "")}),
            self.api.run(code + "throw new Error(t)"),
            self.api.run(code + "const e = new Error(t); e.stack = t.repeat(100); throw e"),
        ]
        for one in ended:
            with self.tab() as tab:
                tab.open(f"/executions/{one['execution_id']}")
                log = tab.role("region", "Console output")
                expect(log).to_contain_text("<img src=x onerror=")
                expect(log).to_contain_text("\u2400\u241b[31mred\u241b]0;title\u2407\u27e8U+202E\u27e9evil\u27e8U+2066\u27e9")
                expect(log).to_contain_text(re.compile(r"m{1000,2000}… \([0-9,]+ more characters\)"))
                holds(len(log.inner_text()) < 600_000, "a line is as long as it likes")
                self.holds_no_markup(tab)
                for name in ["Error", "Result"]:
                    part = tab.role("region", name, exact=True)
                    if part.count():
                        expect(part).to_contain_text("<img src=x onerror=")
                equal(tab.page.title(), "Execution \u2013 mcp-v8", "the title")
        with self.tab() as tab:
            tab.open("/sessions/" + quote(session, safe=""))
            expect(tab.role("heading", level=1)).to_contain_text("<img src=x")
            expect(tab.page.locator(".tag").last).to_contain_text("<img src=x")
            tab.page.locator(".heap-line").first.click()
            expect(tab.role("region", "Code that left it")).to_contain_text("<img src=x")
            self.holds_no_markup(tab)
            # What was shown goes back as it was.
            tab.role("button", "Save tags").click()
            expect(tab.page.locator("#news")).to_have_text("Tags saved")
            heap = self.api.ask("GET", f"/api/sessions/{quote(session, safe='')}/snapshots")["entries"][-1]["output_heap"]
            tags = self.api.ask("GET", f"/api/heaps/{heap}/tags")["tags"]
            equal(tags, {MARKUP[:60]: NASTY.replace("\0", "")}, "the tags")

    def holds_no_markup(self, tab):
        made = tab.page.evaluate("document.querySelectorAll('main img, main script, main svg[onload], iframe').length")
        equal(made, 0, "elements that a script made")

    def check_policy_keeps_scripts_out(self):
        with self.tab() as tab:
            tab.open()
            tab.role("heading", level=1).wait_for()
            tried = tab.page.evaluate(
                """async () => {
                  const seen = [];
                  document.addEventListener('securitypolicyviolation', (event) => seen.push(event.effectiveDirective));
                  try { document.body.innerHTML += '<b>x</b>'; } catch (error) { seen.push(error.name); }
                  const script = document.createElement('script');
                  try { script.textContent = 'window.owned = 1'; document.head.append(script); } catch (error) { seen.push(error.name); }
                  try { document.body.setAttribute('onclick', 'window.owned = 1'); document.body.click(); } catch (error) { seen.push(error.name); }
                  await fetch('http://127.0.0.2:1/').catch(() => seen.push('fetch'));
                  const frame = document.createElement('iframe'); frame.src = '/console'; document.body.append(frame);
                  await new Promise((wake) => setTimeout(wake, 300));
                  return seen;
                }"""
            )
            for part in ["TypeError", "require-trusted-types-for", "connect-src", "frame-src"]:
                holds(any(part in one for one in tried), f"{part} is not in {tried}")
            equal(tab.page.evaluate("window.owned"), None, "whether a script ran")
            tab.wrongs.clear()

    # Sessions.

    def make_session(self, session):
        self.api.run("function mean(xs) { return xs.reduce((a, b) => a + b) / xs.length }", session=session, tags={"step": "base"})
        base = self.latest(session)
        self.api.run("const days = [3, 5, 8, 13];", session=session, heap=base)
        days = self.latest(session)
        self.api.run("const daily = mean(days);", session=session, heap=days, tags={"model": "mean", "approved": ""})
        self.api.run("const trend = days.map((d, i) => d - i);", session=session, heap=days, tags={"model": "trend"})
        trend = self.latest(session)
        self.api.run("const days = [1, 1, 2, 3];", session=session, heap=base)
        self.api.run("const forecast = trend.at(-1) + 2;", session=session, heap=trend)
        return base

    def latest(self, session):
        return self.api.ask("GET", f"/api/sessions/{session}/snapshots")["entries"][-1]["output_heap"]

    def check_sessions_are_graphs(self):
        session = "graph"
        base = self.make_session(session)
        with self.tab() as tab:
            tab.open("/sessions")
            tab.role("link", session).click()
            expect(tab.role("heading", level=1)).to_have_text(session)
            expect(tab.role("img", name=re.compile("Graph: 6 heaps, 5 steps"))).to_be_visible()
            expect(tab.page.locator("circle.dot")).to_have_count(6)
            expect(tab.page.locator("path.edge.down")).to_have_count(5)
            expect(tab.page.locator(".title .note")).to_contain_text("6 steps, 6 heaps, 2 branch points")
            equal(len({dot.get_attribute("cx") for dot in tab.page.locator("circle").all()}), 3, "lanes")
            expect(tab.page.get_by_text("model=trend")).to_be_visible()
            expect(tab.page.locator(".heap-line").first).to_contain_text("latest")
            line = tab.page.locator(".heap-line").last
            line.click()
            expect(line).to_have_attribute("aria-pressed", "true")
            expect(tab.role("heading", level=2)).to_be_focused()
            expect(tab.role("region", "Code that left it")).to_contain_text("function mean")
            tags = tab.page.get_by_label("Tags")
            expect(tags).to_have_value("step=base")
            tags.fill("step=base\nowner=ada lovelace\nempty=")
            tab.role("button", "Save tags").click()
            expect(line).to_contain_text("owner=ada lovelace")
            wanted = {"step": "base", "owner": "ada lovelace", "empty": ""}
            equal(self.api.ask("GET", f"/api/heaps/{base}/tags")["tags"], wanted, "the tags")
            tags.fill("nonsense")
            tab.role("button", "Save tags").click()
            expect(tab.role("alert")).to_contain_text("key=value")
            equal(self.api.ask("GET", f"/api/heaps/{base}/tags")["tags"], wanted, "the tags after a fault")
            tags.fill("step=base")
            tab.role("button", "Save tags").click()
            expect(line).not_to_contain_text("owner")
            tab.role("button", "Run from here").click()
            expect(tab.page.get_by_label("Start from heap")).to_have_value(base)
            tab.type_and_run("\nmean(1, 2, 3)")
            tab.role("button", "<anonymous>:2:1").click()
            selected = tab.page.evaluate("(({ value, selectionStart, selectionEnd }) => value.slice(selectionStart, selectionEnd))(document.activeElement)")
            equal(selected, "mean(1, 2, 3)", "the line of the error")
            tab.type_and_run("mean([1, 2, 3])")
            expect(tab.role("region", "Result", exact=True)).to_contain_text("2")
            expect(tab.page.locator(".facts")).to_contain_text(base[:10])

    # Who may look.

    def check_sign_in(self):
        seen = self.api.run("console.log('behind the gate'); 5")
        with gate(self.url, TOKEN) as guard, self.tab(guard.url) as tab:
            tab.open()
            dialog = tab.role("dialog", "Sign in")
            expect(dialog).to_be_visible()
            expect(tab.page.get_by_label("Bearer token")).to_be_focused()
            self.accessible(tab, "the sign-in form")
            tab.picture("sign-in")
            tab.page.keyboard.type("wrong")
            tab.page.keyboard.press("Enter")
            expect(dialog.get_by_role("alert")).to_contain_text("does not know this token")
            # What asks beside it waits for the same answer.
            tab.page.keyboard.type(TOKEN)
            tab.page.keyboard.press("Enter")
            expect(tab.role("table")).to_contain_text(seen["execution_id"])
            expect(dialog).to_be_hidden()
            tab.at(f"/executions/{seen['execution_id']}")
            expect(tab.role("region", "Console output")).to_have_text("behind the gate")
            tab.page.reload()
            expect(tab.role("region", "Console output")).to_have_text("behind the gate")
            kept = tab.page.evaluate("[sessionStorage.getItem('mcp-v8-token'), localStorage.length, document.cookie]")
            equal(kept, [TOKEN, 0, ""], "where the token is kept")
            holds(all(TOKEN not in url for url in tab.asked), "the token is in an address")
            other = tab.page.context.new_page()
            other.goto(f"{guard.url}/console")
            expect(other.get_by_role("dialog")).to_be_visible()
            other.keyboard.press("Escape")
            expect(other.get_by_role("alert")).to_contain_text("sign in to see this")
            other.close()
            tab.role("button", "Sign out").click()
            expect(dialog).to_be_visible()
            equal(tab.page.evaluate("sessionStorage.getItem('mcp-v8-token')"), None, "the token after signing out")
            tab.role("button", "Not now").click()
            expect(tab.role("alert")).to_contain_text("sign in to see this")
            denied = len(guard.denied)
            tab.page.wait_for_timeout(3000)
            holds(len(guard.denied) - denied < 4, f"it asks again and again: {guard.denied[denied:]}")

    def check_streams_go_on_where_they_broke_off(self):
        code = "for (let i = 0; i < 30; i++) { console.log(`tick ${i}`); await new Promise(r => setTimeout(r, 100)); }"
        with gate(self.url, TOKEN) as guard, self.tab(guard.url) as tab:
            guard.cuts = 2
            tab.open("/run")
            tab.page.get_by_label("Bearer token").fill(TOKEN)
            tab.page.keyboard.press("Enter")
            tab.role("heading", "Run", level=1).wait_for()
            tab.type_and_run(code)
            expect(tab.page.locator(".badge")).to_have_text("completed")
            log = tab.role("region", "Console output")
            expect(log).to_contain_text("tick 29")
            equal(log.inner_text().split("\n"), [f"tick {i}" for i in range(30)], "the lines")
            equal((guard.resumed[0], len(guard.resumed)), (None, 3), "where streams began")
            holds(0 < int(guard.resumed[1]) < int(guard.resumed[2]), f"they went on at {guard.resumed}")

    def check_real_tokens(self):
        """A server that asks who calls, and two tenants of it."""
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "tokens.toml"
            hashes = {name: hashlib.sha256(f"{TOKEN}-{name}".encode()).hexdigest() for name in ["ada", "bob"]}
            file.touch(mode=0o600)
            file.write_text("".join(f'[[tokens]]\ntenant = "{name}"\ntoken_sha256 = "{one}"\n' for name, one in hashes.items()))
            with served(self.server, "stateful", ["--auth-tokens", str(file)]) as there:
                url = there.streamable.removesuffix("/mcp")
                with self.tab(url) as ada, self.tab(url) as bob:
                    for tab, name in [(ada, "ada"), (bob, "bob")]:
                        tab.open("/run")
                        tab.page.get_by_label("Bearer token").fill("wrong")
                        tab.page.keyboard.press("Enter")
                        expect(tab.role("dialog").get_by_role("alert")).to_contain_text("does not know this token")
                        tab.page.get_by_label("Bearer token").fill(f"{TOKEN}-{name}")
                        tab.page.keyboard.press("Enter")
                        tab.page.get_by_label("Session").fill(f"of-{name}")
                        tab.type_and_run(f"console.log('{name} was here'); null.x")
                        expect(tab.role("region", "Console output")).to_have_text(f"{name} was here")
                    ada.role("link", name=re.compile("^[0-9a-f]{8}$")).click()
                    expect(ada.page.locator("mark")).to_have_text("x")
                    path = ada.page.evaluate("location.hash.slice(1)")
                    # What is another's is not there.
                    bob.at(path)
                    expect(bob.role("alert")).to_contain_text("no execution has the id")
                    bob.at("/")
                    expect(bob.page.locator("tbody tr")).to_have_count(1)
                    self.accessible(bob, "the list of a tenant")

    # For everybody.

    def check_keyboard_alone_is_enough(self):
        with self.tab() as tab:
            tab.open()
            tab.role("heading", "Executions", level=1).wait_for()
            press = tab.page.keyboard.press
            press("Tab")
            expect(tab.role("link", "Skip to content")).to_be_focused()
            press("Enter")
            expect(tab.page.locator("main")).to_be_focused()
            tab.page.reload()
            tab.role("heading", "Executions", level=1).wait_for()
            press("Tab")
            for name in ["mcp-v8", "Executions", "Sessions", "Run"]:
                press("Tab")
                expect(tab.role("link", name, exact=True)).to_be_focused()
            outline = tab.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            equal(outline, "solid", "the outline of what has the focus")
            press("Enter")
            code = tab.page.get_by_label("JavaScript or TypeScript")
            expect(code).to_be_focused()
            press("Control+a")
            tab.page.keyboard.type("if (true) {\n")
            press("Tab")
            tab.page.keyboard.type("throw new Error('by hand');\n}")
            expect(code).to_have_value("if (true) {\n  throw new Error('by hand');\n}")
            press("Control+z")
            press("Control+y")
            press("Escape")
            press("Tab")
            expect(tab.page.get_by_label("Session")).to_be_focused()
            press("Shift+Tab")
            expect(code).to_be_focused()
            press("Control+Enter")
            expect(tab.page.locator(".badge")).to_have_text("failed")
            press("Escape")
            place = tab.role("button", "<anonymous>:2:9")
            for _ in range(20):
                press("Tab")
                if place.evaluate("button => button === document.activeElement"):
                    break
            expect(place).to_be_focused()

    def views(self):
        ended = self.api.run("console.log('one');\nconsole.warn('two');\nconsole.error('three');\nnull.x", session="axe")
        done = self.api.run("console.log('one');\n({ a: [1, 2, 3] })", session="axe")
        running = self.api.submit("console.log('on it');\nfor (;;) {}", execution_timeout_secs=300)
        self.api.run("1", session="axe", heap=done["heap"])
        yield "the list", "/", lambda tab: tab.page.locator(f"#x-{running}").wait_for()
        yield "an empty list", "/?status=queued", lambda tab: tab.page.get_by_text("There is none").wait_for()
        yield "a failure", f"/executions/{ended['execution_id']}", lambda tab: tab.page.locator("mark").wait_for()
        yield "a success", f"/executions/{done['execution_id']}", lambda tab: tab.page.get_by_text("one", exact=True).wait_for()
        yield "one that runs", f"/executions/{running}", lambda tab: tab.page.get_by_text("on it", exact=True).wait_for()
        yield "sessions", "/sessions", lambda tab: tab.role("link", "axe").wait_for()
        yield "a session", "/sessions/axe", lambda tab: tab.page.locator(".heap-line").first.click()
        yield "the run box", "/run", lambda tab: tab.type_and_run("console.log(1); 2")
        yield "a place that is none", "/nowhere", lambda tab: tab.role("heading", "Nothing here").wait_for()
        yield "an unknown execution", f"/executions/{'0' * 8}-0000-4000-8000-{'0' * 12}", lambda tab: tab.role("alert").wait_for()
        self.api.ask("POST", f"/api/executions/{running}/cancel")

    def check_every_view_is_accessible_in_both_schemes(self):
        tabs = []
        with self.tab(color_scheme="light") as light, self.tab(color_scheme="dark", reduced_motion="reduce") as dark:
            tabs = list(zip(SCHEMES, [light, dark]))
            for what, path, wait in self.views():
                for scheme, tab in tabs:
                    tab.page.goto("about:blank")
                    tab.open(path)
                    wait(tab)
                    if what == "the run box":
                        tab.page.locator(".badge.completed").wait_for()
                    self.accessible(tab, f"{what}, {scheme}")
                    tab.picture(f"{what.replace(' ', '-')}-{scheme}")
                    if what == "one that runs":
                        moves = tab.page.locator(".badge svg").evaluate("icon => getComputedStyle(icon).animationName")
                        equal(moves, "beat" if scheme == "light" else "none", f"what moves, {scheme}")
            backs = [tab.page.evaluate("getComputedStyle(document.body).backgroundColor") for _, tab in tabs]
            holds(backs[0] != backs[1], f"both schemes are {backs[0]}")

    def check_small_windows_are_enough(self):
        ended = self.api.run("console.log('x'.repeat(500)); null.x")
        self.make_session("small")
        # 1280 pixels at four times the size (WCAG 1.4.10).
        with self.tab(viewport={"width": 320, "height": 640}) as tab:
            for path in ["/", f"/executions/{ended['execution_id']}", "/sessions/small", "/run"]:
                tab.open(path)
                tab.role("heading", level=1).wait_for()
                tab.page.wait_for_timeout(300)
                wide = tab.page.evaluate("document.documentElement.scrollWidth")
                holds(wide <= 320, f"{path} is {wide} wide")
                tab.picture(f"small-{path.strip('/').split('/')[0] or 'list'}")

    def check_pictures_for_the_documents(self):
        """The two pictures of docs/console.md."""
        self.make_session("forecast")
        ended = self.api.run(
            "interface Order { id: number; items: { price: number }[] }\n\n"
            "function total(order: Order): number {\n"
            "  return order.items.reduce((sum, item) => sum + item.price, 0);\n}\n\n"
            "const orders = [{ id: 1, items: [{ price: 20 }, { price: 22 }] }, { id: 2 }] as Order[];\n"
            "for (const order of orders) {\n"
            "  console.log(`order ${order.id}: ${total(order)}`);\n}"
        )
        for name, path, wait in [
            ("console-error", f"/executions/{ended['execution_id']}", lambda tab: tab.page.locator("mark").wait_for()),
            ("console-session", "/sessions/forecast", self.choose_approved),
        ]:
            scheme = SCHEMES[name == "console-session"]
            with self.tab(color_scheme=scheme, viewport={"width": 1000, "height": 780}) as tab:
                tab.open(path)
                wait(tab)
                expect(tab.page.locator("#figures")).to_contain_text("running")
                tab.page.evaluate("document.activeElement.blur()")
                tab.picture(name)

    def choose_approved(self, tab):
        tab.page.locator(".heap-line", has_text="approved").click()
        tab.page.get_by_label("Tags").wait_for()

    def all(self):
        for name in dir(self):
            if name.startswith("check_"):
                yield name.removeprefix("check_"), getattr(self, name)


def other_surfaces(browser, stateful, stateless, axe):
    """The console of a server of the older transport, and of one without state."""
    checks = Checks(browser, None, stateful.legacy.removesuffix("/sse"), axe, None)
    with checks.tab() as tab:
        tab.open("/run")
        tab.type_and_run("'older'")
        expect(tab.role("region", "Result", exact=True)).to_contain_text("older")
    checks = Checks(browser, None, stateless.streamable.removesuffix("/mcp"), axe, None)
    with checks.tab() as tab:
        tab.open("/run")
        tab.type_and_run("'without state'")
        expect(tab.role("region", "Result", exact=True)).to_contain_text("without state")
        expect(tab.role("link", "Sessions")).to_be_hidden()
        expect(tab.page.get_by_label("Start from heap")).to_have_count(0)
        tab.at("/sessions")
        expect(tab.page.get_by_text("keeps nothing between executions")).to_be_visible()


def knows(server, flag):
    return flag in subprocess.run([server, "--help"], capture_output=True, text=True, check=True).stdout


def chromium():
    named = os.environ.get("CHROMIUM")
    found = [path for path in map(shutil.which, BROWSERS) if path]
    return named or (found[0] if found else sys.exit("browser: there is no Chromium"))


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    server, axe = sys.argv[1:3]
    pictures = Path(sys.argv[3]) if len(sys.argv) == 4 else None
    only = os.environ.get("ONLY", "")
    score = Score()
    with (
        served(server, "stateful") as stateful,
        served(server, "stateless") as stateless,
        sync_playwright() as playwright,
    ):
        # Its sandbox needs rights that a container may not have; what it looks at is ours.
        browser = playwright.chromium.launch(executable_path=chromium(), chromium_sandbox=False)
        checks = Checks(browser, server, stateful.streamable.removesuffix("/mcp"), axe, pictures)
        surfaces = ("other_surfaces", lambda: other_surfaces(browser, stateful, stateless, axe))
        for name, check in [*checks.all(), surfaces]:
            if only not in name:
                continue
            if name == "real_tokens" and not knows(server, "--auth-tokens"):
                print(f"skip  console, {name}: this server asks nobody who he is", flush=True)
                continue
            try:
                check()
                score.note(f"console, {name}")
            except Exception:
                score.note(f"console, {name}", traceback.format_exc())
        browser.close()
    sys.exit(score.close())


if __name__ == "__main__":
    main()
