// Console output as it comes. However much there is, the page holds only the end of it.

import { call, events } from "./api.js";
import { el, note, panel, quiet, save, scroller } from "./dom.js";
import { Lines, bytes, some } from "./text.js";

const LINES_MAX = 1000;
const LINE_CHARS_MAX = 2000;
const CHARS_MAX = 256 * 1024;
// Where so much is there already, it is read from behind.
const TAIL_BYTES = 512 * 1024;
const PAGE_BYTES = 1024 * 1024;

const LEVEL = /^\[(ERROR|WARN)\] /;

/** The output of an execution; `onEnd` gets the execution once it is over. */
export class Output {
	constructor(id, execution, { onEnd, signal }) {
		Object.assign(this, { id, onEnd, signal });
		this.lines = new Lines(LINE_CHARS_MAX);
		this.waiting = [];
		this.chars = 0;
		this.total = 0;
		this.start = Math.max(0, execution.output_bytes - TAIL_BYTES);
		this.log = scroller("log", "Console output");
		this.tail = el("div", { class: "line" });
		this.note = note("No output so far");
		this.all = quiet("Save all as a file", () => this.download(), { hidden: true });
		this.element = panel("Output", [this.note, this.all], this.log);
		this.log.hidden = true;
		this.follow();
	}

	async follow() {
		const path = `api/executions/${this.id}/output/stream?byte_offset=${this.start}`;
		try {
			for await (const { name, data } of events(path, ["end", "failure"], this.signal)) {
				if (name === "output") this.take(data);
				if (name === "end") this.end(data);
				if (name === "failure") this.fail(data.error.message);
			}
		} catch (error) {
			if (!this.signal.aborted) this.fail(error.message);
		}
	}

	take({ data, start_byte: from, next_byte_offset: next }) {
		this.total = next;
		// It begins in the middle of a line.
		if (this.start > 0 && from <= this.start) data = data.slice(data.indexOf("\n") + 1);
		this.waiting.push(...this.lines.push(data));
		if (this.waiting.length > LINES_MAX) this.isCut = this.waiting.splice(0, this.waiting.length - LINES_MAX).length > 0;
		this.paint ??= requestAnimationFrame(() => this.show());
	}

	show() {
		this.paint = null;
		if (this.total === 0) return;
		const { log } = this;
		const wasHidden = log.hidden;
		log.hidden = false;
		const isAtEnd = wasHidden || log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
		this.tail.remove();
		log.append(...this.waiting.splice(0).map((line) => this.line(line)));
		while (log.childElementCount > LINES_MAX || (this.chars > CHARS_MAX && log.childElementCount > 1)) {
			this.chars -= log.firstChild.textContent.length;
			log.firstChild.remove();
			this.isCut = true;
		}
		const open = this.lines.open();
		if (open) {
			this.tail = el("div", { class: "line" }, open);
			log.append(this.tail);
		}
		if (isAtEnd) log.scrollTop = log.scrollHeight;
		const last = this.isCut || this.start > 0 ? "the last " : "";
		this.note.textContent = `${bytes(this.total)}, ${last}${some(this.log.childElementCount, "line")}`;
		this.all.hidden = false;
	}

	line(text) {
		const shown = text || "\u00a0";
		this.chars += shown.length;
		return el("div", { class: `line ${LEVEL.exec(text)?.[1] ?? ""}` }, shown);
	}

	end(execution) {
		this.show();
		if (this.total === 0) {
			this.note.textContent = "It wrote nothing";
		} else if (execution.output_truncated) {
			this.note.textContent += "; the server has dropped what came behind";
		}
		this.onEnd(execution);
	}

	fail(message) {
		this.note.textContent = `The output cannot be read: ${message}`;
	}

	async download() {
		const pieces = [];
		try {
			for (let offset = 0; ;) {
				const page = await call(`api/executions/${this.id}/output?byte_offset=${offset}&byte_limit=${PAGE_BYTES}`);
				pieces.push(page.data);
				if (!page.has_more) break;
				offset = page.next_byte_offset;
			}
			save(`${this.id}.log`, pieces);
		} catch (error) {
			this.fail(error.message);
		}
	}
}
