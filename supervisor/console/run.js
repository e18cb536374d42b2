// A box to write code in, and to run it.

import { call } from "./api.js";
import { draft, el, fault, keepDraft } from "./dom.js";
import { Execution } from "./execution.js";
import { readTags } from "./text.js";

/** A field for code: lines are numbered, Tab indents; after Escape, it moves on. */
function editor(code, run) {
	const numbers = el("div", { class: "numbers", "aria-hidden": "true" });
	const field = el("textarea", {
		id: "code", rows: 10, spellcheck: "false", autocapitalize: "off", wrap: "off", "aria-describedby": "code-help",
	});
	const count = () => {
		numbers.textContent = field.value.split("\n").map((_, at) => at + 1).join("\n");
	};
	let isLeaving = false;
	field.addEventListener("input", count);
	field.addEventListener("scroll", () => { numbers.scrollTop = field.scrollTop; });
	field.addEventListener("keydown", (event) => {
		const { key } = event;
		if (key === "Enter" && (event.ctrlKey || event.metaKey)) {
			run(event);
		} else if (key === "Tab" && !event.shiftKey && !isLeaving) {
			event.preventDefault();
			// The one way that can be undone.
			document.execCommand("insertText", false, "  ");
		}
		isLeaving = key === "Escape";
	});
	field.value = code;
	count();
	const show = (line) => {
		const lines = field.value.split("\n");
		const from = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
		field.focus();
		field.setSelectionRange(from, from + (lines[line - 1]?.length ?? 0));
	};
	return { field, show, element: el("div", { class: "editor" }, numbers, field) };
}

// Its name, label and help, and what else the field has; whether only a server with heaps has it.
const FIELDS = [
	["session", "Session", "lists the heap that it leaves", { maxlength: 128 }, true],
	["heap", "Start from heap", "an id, latest, or empty: fresh", {}, true],
	["tags", "Tags", "key=value, key=value", {}, true],
	["heap_memory_max_mb", "Heap limit, MB", "4 to 64", { type: "number", min: 4, max: 64 }],
	["execution_timeout_secs", "Time limit, s", "1 to 300", { type: "number", min: 1, max: 300 }],
];

class RunBox {
	constructor(isStateful, signal) {
		this.signal = signal;
		const kept = draft();
		this.editor = editor(kept.code ?? "", (event) => this.run(event));
		this.inputs = new Map();
		const fields = FIELDS.filter(([, , , , needsHeaps]) => isStateful || !needsHeaps).map(([name, label, help, more]) => {
			const input = el("input", { id: name, autocomplete: "off", "aria-describedby": `${name}-help`, ...more });
			input.value = kept[name] ?? "";
			this.inputs.set(name, input);
			return el("div", {}, el("label", { for: name }, label), input, el("p", { class: "note", id: `${name}-help` }, help));
		});
		this.fault = fault();
		this.result = el("div");
		this.button = el("button", { class: "main" }, "Run ", el("kbd", {}, "Ctrl Enter"));
		this.element = el("form", { novalidate: true, onsubmit: (event) => this.run(event) }, el("h1", {}, "Run"),
			el("label", { for: "code", class: "unseen" }, "JavaScript or TypeScript"), this.editor.element,
			el("p", { class: "note", id: "code-help" }, "Tab indents; press Escape, then Tab to leave the field."),
			el("div", { class: "fields" }, fields), this.fault, this.button, this.result);
	}

	values() {
		const filled = [...this.inputs].map(([name, input]) => [name, input.value.trim()]);
		return { code: this.editor.field.value, ...Object.fromEntries(filled.filter(([, value]) => value)) };
	}

	request() {
		const request = this.values();
		if (request.tags) request.tags = readTags(request.tags, /[,\n]/);
		for (const name of ["heap_memory_max_mb", "execution_timeout_secs"]) {
			if (request[name]) request[name] = Number(request[name]);
		}
		return request;
	}

	async run(event) {
		event.preventDefault();
		if (this.button.disabled) return;
		this.button.disabled = true;
		this.fault.textContent = "";
		keepDraft(this.values());
		try {
			const { execution_id: id } = await call("api/exec", { method: "POST", send: this.request(), signal: this.signal });
			this.stop?.abort();
			this.stop = new AbortController();
			const signal = AbortSignal.any([this.signal, this.stop.signal]);
			this.result.replaceChildren(new Execution(id, signal, this.editor.show).element);
		} catch (error) {
			if (!this.signal.aborted) this.fault.textContent = error.message;
		}
		this.button.disabled = false;
	}
}

export async function view(main, _, signal, __, mode) {
	const box = new RunBox(await mode(), signal);
	if (signal.aborted) return;
	main.append(box.element);
	box.element.addEventListener("change", () => keepDraft(box.values()));
	box.editor.field.focus();
}
