// One execution, and all that is known of it.

import { call } from "./api.js";
import {
	announce, badge, button, byId, copyButton, el, fact, fault, heapName, isEnd, note, openDraft, panel, poll, quiet, save,
	scroller,
} from "./dom.js";
import { Output } from "./output.js";
import { Source } from "./source.js";
import { between, bytes, clip, duration, places, position } from "./text.js";

const LOOK_MS = 1000;
const RESULT_CHARS_MAX = 20_000;

const short = (id) => id.slice(0, 8);

const when = (time) => time && el("time", { datetime: time, title: time }, `${time.slice(0, 10)} ${time.slice(11, 19)} UTC`);

function facts(seen) {
	const { session, submitted_at: submitted, started_at: started, completed_at: completed, usage } = seen;
	const link = session && el("a", { href: `#/sessions/${encodeURIComponent(session)}` }, clip(session, 60));
	return el("dl", { class: "facts" },
		fact("Submitted", when(submitted)),
		fact("Waited", started && duration(between(submitted, started))),
		fact("Ran for", started && completed && duration(between(started, completed))),
		fact("Ended", when(completed)),
		fact("CPU time", Number.isFinite(usage?.cpu_ms) && duration(usage.cpu_ms)),
		fact("Peak memory", usage?.peak_memory_bytes && bytes(usage.peak_memory_bytes)),
		fact("Limits", `${seen.heap_memory_max_mb} MB heap, ${seen.execution_timeout_secs} s`),
		fact("Session", link),
		fact("From heap", seen.input_heap && heapName(seen.input_heap)),
		fact("Left heap", seen.heap && heapName(seen.heap)));
}

function longText(name, text, isCut) {
	const all = text.length > RESULT_CHARS_MAX && quiet("Save all as a file", () => save("result.txt", [text]));
	return panel(name, [isCut && note("cut by the server"), all],
		scroller("value", `${name}, text`, clip(text, RESULT_CHARS_MAX)));
}

/** The parts that say how an execution ended. */
function ending(seen, show) {
	const parts = [];
	if (seen.error) {
		const pieces = places(seen.error).map((piece) => (piece.line
			? button(piece.text, () => show(piece.line), { class: "place" })
			: clip(piece.text, RESULT_CHARS_MAX)));
		const kind = seen.error_kind && el("span", { class: "kind" }, seen.error_kind.replaceAll("_", " "));
		parts.push(panel("Error", kind, scroller("value", "Error and stack", pieces)));
		parts[0].classList.add("bad");
	}
	if (seen.result !== null) {
		parts.push(longText("Result", seen.result, seen.result_truncated));
		if (seen.result_preview && seen.result_preview !== seen.result) parts.push(longText("Preview", seen.result_preview));
	}
	if (seen.heap_error) parts.push(longText("Heap not kept", seen.heap_error));
	return parts;
}

/** An execution that stays up to date. Who has its code beside it gives `onPlace`, which shows a line. */
export class Execution {
	constructor(id, signal, onPlace) {
		Object.assign(this, { id, signal, onPlace });
		this.state = el("span", { class: "state" });
		this.cancel = button("Cancel", () => this.stop(), { hidden: true });
		this.again = button("Edit and run again", () => this.edit(), { hidden: true });
		this.fault = fault();
		[this.facts, this.ending, this.output, this.code] = Array.from({ length: 4 }, () => el("div"));
		const title = onPlace
			? el("h2", {}, "Execution ", el("a", { href: `#/executions/${id}` }, short(id)))
			: el("h1", {}, "Execution ", el("code", { title: id }, short(id)));
		this.element = el("article", {},
			el("div", { class: "title" }, title, this.state, !onPlace && copyButton(id, "id"), this.again, this.cancel),
			this.fault, this.facts, this.ending, this.output, this.code);
		this.over = new AbortController();
		poll(() => this.look(), () => LOOK_MS, AbortSignal.any([signal, this.over.signal]));
	}

	// The stream of output tells the end; this tells the rest.
	async look() {
		try {
			this.show(await call(`api/executions/${this.id}`, { signal: this.signal }));
		} catch (error) {
			this.fail(error);
			if (error.status < 500) this.over.abort();
		}
	}

	show(seen) {
		const before = this.seen?.status;
		if (before && isEnd(before)) return;
		this.seen = seen;
		this.fault.textContent = "";
		this.facts.replaceChildren(facts(seen));
		if (before === seen.status) return;
		const hadFocus = document.activeElement === this.cancel;
		this.cancel.hidden = isEnd(seen.status);
		if (hadFocus && this.cancel.hidden) byId("main").focus();
		this.state.replaceChildren(badge(seen.status));
		this.ending.replaceChildren(...ending(seen, this.onPlace ?? ((line) => this.source?.show(line))));
		if (before || this.onPlace) announce(`Execution ${short(this.id)}: ${seen.status.replace("_", " ")}`);
		if (isEnd(seen.status)) this.over.abort();
		if (!before) {
			this.output.append(new Output(this.id, seen, { signal: this.signal, onEnd: (end) => this.show(end) }).element);
			if (!this.onPlace) this.loadSource();
		} else if (this.text) {
			this.showSource();
		}
	}

	async loadSource() {
		try {
			this.text = (await call(`api/executions/${this.id}/source`, { signal: this.signal })).code;
			if (this.text === null) this.code.append(note("The code of this execution was not kept."));
			else this.showSource();
		} catch (error) {
			this.fail(error);
		}
	}

	showSource() {
		const at = position(this.seen.error);
		this.source = new Source(this.id, this.text, at && { ...at, text: this.seen.error.split("\n", 1)[0] });
		this.code.replaceChildren(this.source.element);
		this.source.settle();
		this.again.hidden = false;
	}

	edit() {
		const { session, input_heap: heap } = this.seen;
		openDraft({ code: this.text, session, heap });
	}

	async stop() {
		this.cancel.disabled = true;
		try {
			await call(`api/executions/${this.id}/cancel`, { method: "POST" });
		} catch (error) {
			// It was over before: the page shows how.
			if (error.code !== "not_running") this.fail(error);
		}
		this.cancel.disabled = false;
	}

	fail(error) {
		if (!this.signal.aborted) this.fault.textContent = error.message;
	}
}

export function view(main, [id], signal) {
	main.append(new Execution(id, signal).element);
}
