// Elements, made of nothing but text: no string becomes markup anywhere in the console.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
	for (const [name, value] of Object.entries(properties ?? {})) {
		if ((value ?? false) === false) continue;
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else element.setAttribute(name, value === true ? "" : value);
	}
	element.append(...children.flat(Infinity).filter((child) => child || child === 0));
	return element;
}

/** An element. Properties are attributes, and listeners where they begin with "on". */
export const el = (tag, properties, ...children) => fill(document.createElement(tag), properties, children);

export const svg = (tag, properties, ...children) => fill(document.createElementNS(SVG, tag), properties, children);

export const byId = (id) => document.getElementById(id);

/** Tells those who do not see the page what has changed. */
export function announce(text) {
	byId("news").textContent = text;
}

// Each status has a shape of its own, for those who see no colours.
const SHAPES = {
	queued: "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12M8 5v3.3l2.2 1.5",
	running: "M5 3l8 5l-8 5z",
	completed: "M3 8.5l3.3 3.5L13 4.5",
	failed: "M4 4l8 8M12 4l-8 8",
	cancelled: "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12M4 4l8 8",
	timed_out: "M4 2.5h8M4 13.5h8M5 2.5c0 4 6 7 6 11M11 2.5c0 4-6 7-6 11",
};

export const STATUSES = Object.keys(SHAPES);

export const isEnd = (status) => status !== "queued" && status !== "running";

/** A status in words, beside its shape. */
export function badge(status) {
	const icon = svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: SHAPES[status] }));
	return el("span", { class: `badge ${status}` }, icon, status.replace("_", " "));
}

export const button = (text, onclick, more) => el("button", { type: "button", onclick, ...more }, text);

export const quiet = (text, onclick, more) => button(text, onclick, { class: "quiet", ...more });

export const note = (text) => el("p", { class: "note" }, text);

/** A place for what went wrong. Without a text it is not there. */
export const fault = () => el("p", { class: "fault", role: "alert" });

/** A part of a page: its name, what stands beside it, and what is in it. */
export const panel = (name, beside, ...content) =>
	el("section", { class: "panel", "aria-label": name },
		el("div", { class: "title" }, el("h2", {}, name), beside), content);

/** Something that scrolls, also by keyboard. */
export const scroller = (kind, name, ...content) =>
	el(kind === "value" ? "pre" : "div", { class: kind, role: "region", "aria-label": name, tabindex: "0" }, content);

/** A heap, by the beginning of its name. */
export const heapName = (heap) => el("code", { title: heap }, heap.slice(0, 10));

/** A line of a list of facts; nothing where there is no value. */
export function fact(name, value) {
	return value ? el("div", {}, el("dt", {}, name), el("dd", {}, value)) : null;
}

/** A button that puts a text into the clipboard. */
export function copyButton(text, what) {
	const copy = async () => {
		await navigator.clipboard.writeText(text);
		announce(`Copied ${what}`);
		made.textContent = "Copied";
	};
	const made = quiet(`Copy ${what}`, copy);
	return made;
}

/** Gives the reader a text as a file. */
export function save(name, pieces) {
	const address = URL.createObjectURL(new Blob(pieces, { type: "text/plain;charset=utf-8" }));
	const link = el("a", { href: address, download: name });
	document.body.append(link);
	link.click();
	link.remove();
	setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

const DRAFT = "mcp-v8-draft";

/** What is in the run box: its fields by their names. A large one may be more than may be kept. */
export function keepDraft(values) {
	try { sessionStorage.setItem(DRAFT, JSON.stringify(values)); } catch { sessionStorage.removeItem(DRAFT); }
}

export const draft = () => JSON.parse(sessionStorage.getItem(DRAFT)) ?? {};

export function openDraft(values) {
	keepDraft(values);
	location.hash = "#/run";
}

/** Calls `work` again and again, `pause()` ms after it was done, while somebody can see the page. */
export function poll(work, pause, signal) {
	let timer;
	let isAtWork = false;
	const turn = async () => {
		clearTimeout(timer);
		if (signal.aborted || document.hidden || isAtWork) return;
		isAtWork = true;
		await work();
		isAtWork = false;
		timer = setTimeout(turn, pause());
	};
	document.addEventListener("visibilitychange", turn, { signal });
	return turn();
}
