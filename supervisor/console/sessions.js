// Sessions, each as a graph of the heaps that its executions have left.

import { Refused, call } from "./api.js";
import { announce, button, copyButton, el, fact, fault, heapName, note, openDraft, scroller, svg } from "./dom.js";
import { branches, layout } from "./graph.js";
import { ago, clip, count, readTags, some, writeTags } from "./text.js";

const NAMES_MAX = 1000;
const ENTRIES_MAX = 200;
const CODE_CHARS_MAX = 20_000;
const ROW = 52;
const LANE = 22;
const EDGE = 20;
const COLOURS = 4;

const tagsPath = (heap) => `api/heaps/${heap}/tags`;

/** The names of sessions, the last begun first. */
function names(current, signal) {
	const list = el("ul");
	const said = note();
	call(`api/sessions?limit=${NAMES_MAX}`, { signal }).then(({ sessions, next_cursor: next }) => {
		list.append(...sessions.map((name) => el("li", {},
			el("a", { href: `#/sessions/${encodeURIComponent(name)}`, "aria-current": name === current && "page" }, clip(name, 128)))));
		said.textContent = sessions.length ? next && `These are the newest ${count(NAMES_MAX)}.` : "No session has left a heap yet.";
	}).catch((error) => { said.textContent = error.message; });
	return el("nav", { class: "panel side", "aria-label": "Sessions" }, list, said);
}

/** The lines and dots. Rows are drawn newest first. */
function drawing({ rows, edges, lanes }) {
	const x = (lane) => EDGE + lane * LANE;
	const y = (row) => (rows.length - 1 - row) * ROW + ROW / 2;
	const width = x(lanes - 1) + EDGE + (edges.some((edge) => edge.kind !== "down") ? LANE : 0);
	const right = width - 6;
	const line = ({ from, to, kind }) => {
		const [x1, y1, x2, y2] = [x(rows[from].lane), y(from), x(rows[to].lane), y(to)];
		const ways = {
			self: `M${x1} ${y1}C${right} ${y1 - 24} ${right} ${y1 + 24} ${x1} ${y1}`,
			back: `M${x1} ${y1}C${right} ${y1} ${right} ${y2} ${x2} ${y2}`,
			// It changes its lane at once, then goes straight.
			down: `M${x1} ${y1}C${x1} ${y1 - ROW / 2} ${x2} ${y1 - ROW / 2} ${x2} ${y1 - ROW}V${y2}`,
		};
		return svg("path", { class: `edge c${rows[to].lane % COLOURS} ${kind}`, d: ways[kind] });
	};
	const dot = ({ lane, isOutside }, row) =>
		svg("circle", { class: `dot c${lane % COLOURS} ${isOutside ? "outside" : ""}`, cx: x(lane), cy: y(row), r: 6 });
	const label = `Graph: ${some(rows.length, "heap")}, ${some(edges.length, "step")} between them`;
	return svg("svg", { role: "img", "aria-label": label, width, height: rows.length * ROW }, edges.map(line), rows.map(dot));
}

/** What there is to know of one heap, and a way to change its tags. */
function heapPanel(row, tags, { onTags, onRun }) {
	const made = row.made.at(-1);
	const wrong = fault();
	const field = el("textarea", { id: "heap-tags", rows: 3, spellcheck: "false", "aria-describedby": "heap-tags-help" });
	field.value = writeTags(tags);
	const save = async (event) => {
		event.preventDefault();
		try {
			const changed = readTags(field.value, "\n");
			await call(tagsPath(row.heap), { method: "PUT", send: { tags: changed } });
			wrong.textContent = "";
			onTags(changed);
			announce("Tags saved");
		} catch (error) {
			wrong.textContent = error.message;
		}
	};
	const from = made?.input_heap ? heapName(made.input_heap) : "a fresh heap";
	return el("section", { class: "panel", "aria-label": "Heap" },
		el("div", { class: "title" }, el("h2", { tabindex: -1 }, "Heap ", heapName(row.heap)),
			copyButton(row.heap, "heap id"), button("Run from here", () => onRun(row.heap))),
		el("dl", { class: "facts" }, fact("Left", made && ago(made.timestamp)), fact("Times left", row.made.length > 1 && row.made.length),
			fact("From", made ? from : "another session, or earlier")),
		made && scroller("value", "Code that left it", clip(made.code, CODE_CHARS_MAX)),
		el("form", { onsubmit: save }, el("label", { for: "heap-tags" }, "Tags"), field,
			el("p", { class: "note", id: "heap-tags-help" }, "One in a line: key=value"), wrong,
			el("button", { class: "main" }, "Save tags")));
}

class Graph {
	constructor(session, signal) {
		Object.assign(this, { session, signal });
		this.tags = new Map();
		this.chips = new Map();
		this.note = note();
		this.place = el("div", { class: "panel tree" });
		this.detail = el("div");
		this.element = el("div", {},
			el("div", { class: "title" }, el("h1", {}, clip(session, 128)), this.note,
				button("Reload", () => this.load()), button("Run from the latest", () => this.run("latest"))),
			this.place, this.detail);
		this.load();
	}

	async load() {
		try {
			const first = Math.max(0, (await this.read("fields=index", 0)).length - ENTRIES_MAX);
			this.show(await this.read("", first), first);
		} catch (error) {
			if (!this.signal.aborted) this.note.textContent = error.message;
		}
	}

	async read(query, from) {
		const found = [];
		for (let next = from; next !== null;) {
			const path = `api/sessions/${encodeURIComponent(this.session)}/snapshots?${query}&from_index=${next}`;
			const page = await call(path, { signal: this.signal });
			found.push(...page.entries);
			next = page.next_index;
		}
		return found;
	}

	show(entries, before) {
		const graph = layout(entries);
		const { rows } = graph;
		const told = [some(entries.length, "step"), some(rows.length, "heap"), some(branches(graph), "branch point")];
		if (before) told.push(`${some(before, "earlier step")} not shown`);
		this.note.textContent = told.join(", ");
		const latest = entries.at(-1)?.output_heap;
		this.place.replaceChildren(drawing(graph),
			el("ol", { reversed: true }, rows.map((row) => this.line(row, row.heap === latest)).reverse()));
		for (const { heap } of rows) this.loadTags(heap);
	}

	line(row, isLatest) {
		const made = row.made.at(-1);
		const tags = el("span", { class: "chips" });
		this.chips.set(row.heap, tags);
		const line = button("", () => this.choose(row, line), { class: "heap-line", "aria-pressed": "false" });
		line.append(
			el("span", { class: "first" }, heapName(row.heap), isLatest ? el("span", { class: "tag latest" }, "latest") : "", tags,
				el("span", { class: "note" }, made ? ago(made.timestamp) : "")),
			el("code", { class: "snippet" }, made ? clip(made.code.trim().split("\n", 1)[0], 120) : "made elsewhere"));
		return el("li", {}, line);
	}

	async loadTags(heap) {
		try {
			this.setTags(heap, (await call(tagsPath(heap), { signal: this.signal })).tags);
		} catch (error) {
			// One that has expired has none.
			if (error instanceof Refused) this.chips.get(heap).replaceChildren(el("span", { class: "note" }, "gone"));
		}
	}

	setTags(heap, tags) {
		this.tags.set(heap, tags);
		this.chips.get(heap).replaceChildren(...Object.entries(tags).map(([key, value]) =>
			el("span", { class: "tag" }, clip(value ? `${key}=${value}` : key, 60))));
	}

	choose(row, line) {
		this.place.querySelector("[aria-pressed=true]")?.setAttribute("aria-pressed", "false");
		line.setAttribute("aria-pressed", "true");
		this.detail.replaceChildren(heapPanel(row, this.tags.get(row.heap) ?? {}, {
			onTags: (tags) => this.setTags(row.heap, tags),
			onRun: (heap) => this.run(heap),
		}));
		this.detail.querySelector("h2").focus();
	}

	run(heap) {
		openDraft({ session: this.session, heap });
	}
}

export async function view(main, [name], signal, _, mode) {
	if (!(await mode())) {
		main.append(el("h1", {}, "Sessions"), note("This server keeps nothing between executions."));
		return;
	}
	main.append(el("div", { class: "two" }, names(name, signal), name === undefined
		? el("div", {}, el("h1", {}, "Sessions"), note("Choose a session to see its heaps."))
		: new Graph(name, signal).element));
}
