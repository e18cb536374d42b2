// Which view is shown, and what is around it.

import { SignedOut, call, glance, isSignedIn, onSignIn, signOut } from "./api.js";
import { button, byId, el, poll } from "./dom.js";
import * as execution from "./execution.js";
import * as executions from "./executions.js";
import * as run from "./run.js";
import * as sessions from "./sessions.js";

const FIGURES_MS = 5000;

const ROUTES = [
	[/^\/$/, executions, "Executions", "#/"],
	[/^\/executions\/([0-9a-f-]{36})$/i, execution, "Execution", "#/"],
	[/^\/sessions(?:\/(.+))?$/, sessions, "Sessions", "#/sessions"],
	[/^\/run$/, run, "Run", "#/run"],
	[/^/, { view: (main) => main.append(el("h1", {}, "Nothing here")) }, "Nothing here"],
];

let current = new AbortController();
let stateful = null;

/** Whether the server keeps heaps. It is asked once. */
async function mode() {
	stateful ??= await call("api/sessions?limit=1").then(() => true, (error) => {
		if (error.code === "stateless") return false;
		if (error instanceof SignedOut) throw error;
		return null;
	});
	byId("sessions-link").hidden = stateful === false;
	return stateful !== false;
}

async function show() {
	current.abort();
	current = new AbortController();
	const { signal } = current;
	const main = byId("main");
	const [path, query] = (location.hash.slice(1) || "/").split("?");
	const [pattern, { view }, title, tab] = ROUTES.find(([one]) => one.test(path));
	document.title = `${title} \u2013 mcp-v8`;
	for (const link of document.querySelectorAll("header nav a")) {
		if (link.getAttribute("href") === tab) link.setAttribute("aria-current", "page");
		else link.removeAttribute("aria-current");
	}
	main.replaceChildren();
	try {
		const found = pattern.exec(path).slice(1).map((part) => part && decodeURIComponent(part));
		await view(main, found, signal, new URLSearchParams(query), mode);
	} catch (error) {
		if (signal.aborted) return;
		main.append(el("h1", {}, title), el("p", { class: "fault", role: "alert" }, error.message),
			button("Try again", show));
	}
}

/** Asks the reader for a token. */
function askToken(wasRefused) {
	const dialog = byId("sign-in");
	const token = byId("token");
	byId("sign-in-fault").textContent = wasRefused ? "The server does not know this token." : "";
	token.value = "";
	dialog.returnValue = "";
	dialog.showModal();
	return new Promise((answer) => {
		dialog.addEventListener("close", () => {
			const given = token.value.trim();
			token.value = "";
			const isToken = dialog.returnValue === "in" && /^[\x21-\x7e]+$/.test(given);
			answer(isToken ? given : null);
			tellSignedIn();
		}, { once: true });
	});
}

function tellSignedIn() {
	// A moment later: the token is kept by who has asked for it.
	setTimeout(() => { byId("sign-out").hidden = !isSignedIn(); });
}

async function figures() {
	const text = await glance("metrics", AbortSignal.timeout(FIGURES_MS)).catch(() => undefined);
	byId("trouble").textContent = text === undefined ? "The server does not answer. This page tries again." : "";
	const found = [...(text ?? "").matchAll(/^mcp_v8_executions_(running|queued) (\d+)$/gm)];
	byId("figures").replaceChildren(...found.map(([, name, value]) => el("span", {}, el("b", {}, value), ` ${name}`)));
}

onSignIn(askToken);
byId("sign-in-not").addEventListener("click", () => byId("sign-in").close());
byId("sign-out").addEventListener("click", () => {
	signOut();
	tellSignedIn();
	stateful = null;
	show();
});
document.querySelector(".skip").addEventListener("click", (event) => {
	event.preventDefault();
	byId("main").focus();
});
window.addEventListener("hashchange", async () => {
	await Promise.race([show(), new Promise((wake) => { setTimeout(wake, 50); })]);
	// Who goes on by keyboard begins at the new view.
	if (!byId("main").contains(document.activeElement)) byId("main").focus();
});
tellSignedIn();
show();
poll(figures, () => FIGURES_MS, new AbortController().signal);
