// Code with its lines numbered, and the place of an error marked.

import { el, note, panel, quiet, save, scroller } from "./dom.js";
import { clip, count, some, visible } from "./text.js";

const LINES_MAX = 1500;
const LINE_CHARS_MAX = 1500;
// Of a longer line, what is before the marked place.
const BEFORE_CHARS = 200;

// What is marked: a word, or one character.
const MARKED = /^(?:[\p{L}\p{N}_$]+|.)/u;

function marked(text, column) {
	const at = Math.min(column - 1, text.length);
	const from = text.length > LINE_CHARS_MAX ? Math.max(0, at - BEFORE_CHARS) : 0;
	const rest = text.slice(at);
	const word = MARKED.exec(rest)?.[0] ?? "";
	return [
		from > 0 ? "\u2026" : "",
		visible(text.slice(from, at)),
		el("mark", {}, visible(word) || "\u00a0"),
		clip(rest.slice(word.length), LINE_CHARS_MAX),
	];
}

const row = (kind, number, content) => el("div", { class: kind },
	el("span", { class: "number", "aria-hidden": "true" }, number), el("span", { class: "text" }, content));

/** A panel with code. `error` is {line, column, text}, or null. */
export class Source {
	constructor(id, code, error) {
		const lines = code.split("\n");
		const centre = error?.line ?? 1;
		const first = Math.max(0, Math.min(centre - LINES_MAX / 2, lines.length - LINES_MAX));
		this.first = first;
		const shown = lines.slice(first, first + LINES_MAX);
		this.list = scroller("code", "Code lines", shown.map((text, index) => this.line(text, first + index + 1, error)));
		const place = shown.length < lines.length
			? `lines ${count(first + 1)} to ${count(first + shown.length)} of ${count(lines.length)}`
			: some(lines.length, "line");
		const all = quiet("Save as a file", () => save(`${id}.ts`, [code]));
		this.element = panel("Code", [note(place), all], this.list);
	}

	line(text, number, error) {
		const isMarked = error?.line === number;
		const content = isMarked ? marked(text, error.column) : clip(text, LINE_CHARS_MAX);
		const made = row(isMarked ? "row wrong" : "row", String(number), content);
		if (!isMarked) return [made];
		this.marked = made;
		const what = `Line ${number}, column ${error.column}: ${clip(error.text, 200)}`;
		return [made, row("row said", "\u25b2", what)];
	}

	/** Brings a line into view. */
	show(line) {
		const there = this.list.querySelectorAll(".row:not(.said)")[line - 1 - this.first];
		if (!there) return;
		this.list.querySelector(".here")?.classList.remove("here");
		there.classList.add("here");
		this.scrollTo(there);
		this.list.focus();
	}

	/** Brings the marked place into view, without moving the page. */
	settle() {
		if (this.marked) this.scrollTo(this.marked);
	}

	scrollTo(line) {
		this.list.scrollTop = line.offsetTop - this.list.clientHeight / 2;
		const mark = line.querySelector("mark");
		if (mark) this.list.scrollLeft = Math.max(0, mark.offsetLeft - this.list.clientWidth * 0.7);
	}
}
