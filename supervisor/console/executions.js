// The list of executions, newest first.

import { SignedOut, call } from "./api.js";
import { STATUSES, announce, badge, button, el, fault, isEnd, poll } from "./dom.js";
import { ago, between, duration, some } from "./text.js";

const PAGE = 50;
const BUSY_MS = 1500;
const IDLE_MS = 4000;
const HEADS = ["Status", "Execution", "Submitted", "Waited", "Ran for"];

function row({ execution_id: id, status, submitted_at: submitted, started_at: started, completed_at: completed }) {
	const figure = (is, from, to) => el("td", { class: "figure" }, is ? duration(between(from, to)) : "\u2013");
	return el("tr", { id: `x-${id}` }, el("td", {}, badge(status)),
		el("th", { scope: "row" }, el("a", { href: `#/executions/${id}` }, el("code", {}, id.slice(0, 8), el("span", {}, id.slice(8))))),
		el("td", {}, el("time", { datetime: submitted, title: submitted })),
		figure(started, submitted, started), figure(started && completed, started, completed));
}

class List {
	constructor(status, signal) {
		Object.assign(this, { status, signal });
		this.cursors = [null];
		this.rows = new Map();
		this.body = el("tbody");
		this.none = el("p", { class: "empty", hidden: true });
		this.fault = fault();
		this.newer = button("Newer", () => this.turn(-1));
		this.older = button("Older", () => this.turn(1));
		this.place = el("span", { class: "note" });
		const choose = ({ target }) => { location.hash = target.value ? `#/?status=${target.value}` : "#/"; };
		this.table = el("table", {}, el("caption", { class: "unseen" }, "Executions, newest first"),
			el("thead", {}, el("tr", {}, HEADS.map((name, at) => el("th", { scope: "col", class: at > 2 && "figure" }, name)))), this.body);
		this.element = el("div", {},
			el("div", { class: "title" }, el("h1", {}, "Executions"), el("label", { for: "status" }, "Status"),
				el("select", { id: "status", onchange: choose }, el("option", { value: "" }, "all"),
					STATUSES.map((one) => el("option", { value: one, selected: one === status }, one.replace("_", " "))))),
			this.fault, el("div", { class: "panel table" }, this.table, this.none),
			this.pages = el("nav", { class: "pages", "aria-label": "Pages", hidden: true }, this.newer, this.place, this.older));
	}

	async load() {
		const cursor = this.cursors.at(-1);
		const query = new URLSearchParams({ limit: PAGE, ...(this.status && { status: this.status }), ...(cursor && { cursor }) });
		try {
			const page = await call(`api/executions?${query}`, { signal: this.signal });
			// The reader may have turned the page meanwhile.
			if (cursor === this.cursors.at(-1)) this.show(page);
			this.fault.textContent = "";
		} catch (error) {
			if (this.signal.aborted) return;
			this.isSignedOut = error instanceof SignedOut;
			this.fault.textContent = `The list cannot be read: ${error.message}`;
		}
	}

	show({ executions, next_cursor: next }) {
		this.next = next;
		this.isBusy = executions.some((one) => !isEnd(one.status));
		// What is the same stays what it was, for those who read it, select it or stand on it.
		const old = this.rows;
		this.rows = new Map(executions.map((one) => {
			const key = JSON.stringify(one);
			return [key, old.get(key) ?? row(one)];
		}));
		const rows = [...this.rows.values()];
		if ([...this.rows.keys()].join() !== [...old.keys()].join()) {
			const focused = this.body.contains(document.activeElement) && document.activeElement.closest("tr").id;
			const fresh = rows.filter((one) => !this.body.querySelector(`#${one.id}`)).length;
			if (this.isShown && fresh) announce(some(fresh, "new execution"));
			this.body.replaceChildren(...rows);
			if (focused) this.body.querySelector(`#${focused} a`)?.focus({ preventScroll: true });
		}
		for (const time of this.body.querySelectorAll("time")) time.textContent = ago(time.dateTime);
		const isFirst = this.cursors.length === 1;
		this.isShown = isFirst;
		this.none.hidden = rows.length > 0;
		this.table.hidden = rows.length === 0;
		this.none.replaceChildren(...(this.status ? ["There is none."] : ["Nothing has run yet. ", el("a", { href: "#/run" }, "Run something")]));
		this.pages.hidden = isFirst && !next;
		this.newer.disabled = isFirst;
		this.older.disabled = !next;
		this.place.textContent = isFirst ? "the newest" : `page ${this.cursors.length}`;
	}

	turn(by) {
		if (by < 0) this.cursors.pop();
		else this.cursors.push(this.next);
		this.isShown = false;
		this.newer.disabled = true;
		this.older.disabled = true;
		this.load();
	}
}

export function view(main, _, signal, query) {
	const status = query.get("status");
	const list = new List(STATUSES.includes(status) ? status : "", signal);
	main.append(list.element);
	// Who does not want to sign in is not asked again and again.
	const done = new AbortController();
	return poll(async () => {
		await list.load();
		if (list.isSignedOut) done.abort();
	}, () => (list.isBusy ? BUSY_MS : IDLE_MS), AbortSignal.any([signal, done.signal]));
}
