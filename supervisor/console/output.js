// Console output as it comes. However much there is, the page holds only the end of it.

import { call, events } from "./api.js";
import { el, note, panel, quiet, save, scroller } from "./dom.js";
import { Lines, bytes, count } from "./text.js";

const LINES_MAX = 1000;
const LINE_CHARS_MAX = 2000;
const CHARS_MAX = 256 * 1024;
// Where so much is there already, it is read from behind.
const TAIL_BYTES = 512 * 1024;
const PAGE_BYTES = 1024 * 1024;

const LEVEL = /^\[(ERROR|WARN|INFO)\] /;

/** Shows the output of an execution in `place`; `onEnd` gets the execution once it is over. */
export class Output {
  constructor(id, execution, { onEnd, signal }) {
    this.id = id;
    this.onEnd = onEnd;
    this.signal = signal;
    this.lines = new Lines(LINE_CHARS_MAX);
    this.waiting = [];
    this.dropped = 0;
    this.chars = 0;
    this.total = 0;
    this.start = Math.max(0, execution.output_bytes - TAIL_BYTES);
    this.log = scroller("log", "Console output");
    this.tail = el("div", { class: "line" });
    this.note = note("No output so far.");
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
    if (this.waiting.length > LINES_MAX) this.dropped += this.waiting.splice(0, this.waiting.length - LINES_MAX).length;
    this.paint ??= requestAnimationFrame(() => this.show());
  }

  show() {
    this.paint = null;
    const { log } = this;
    const wasHidden = log.hidden;
    log.hidden = false;
    const isAtEnd = wasHidden || log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
    this.tail.remove();
    log.append(...this.waiting.splice(0).map((line) => this.line(line)));
    while (log.childElementCount > LINES_MAX || (this.chars > CHARS_MAX && log.childElementCount > 1)) {
      this.chars -= log.firstChild.textContent.length;
      log.firstChild.remove();
      this.dropped += 1;
    }
    const open = this.lines.open();
    if (open !== null) {
      this.tail = el("div", { class: "line" }, open);
      log.append(this.tail);
    }
    if (isAtEnd) log.scrollTop = log.scrollHeight;
    this.tell();
  }

  line(text) {
    this.chars += text.length;
    const level = LEVEL.exec(text)?.[1].toLowerCase();
    return el("div", { class: level ? `line ${level}` : "line" }, text || "\u00a0");
  }

  tell() {
    const isCut = this.dropped > 0 || this.start > 0;
    const shown = this.log.childElementCount;
    this.note.textContent = isCut
      ? `${bytes(this.total)} so far; here are the last ${count(shown)} lines.`
      : `${bytes(this.total)}, ${count(shown)} line${shown === 1 ? "" : "s"}.`;
    this.all.hidden = this.total === 0;
  }

  end(execution) {
    this.show();
    const isCut = execution.output_truncated ? " The rest was dropped by the server." : "";
    if (this.total === 0) {
      this.log.hidden = true;
      this.note.textContent = "It wrote nothing.";
    } else {
      this.note.textContent = this.note.textContent.replace(" so far", "") + isCut;
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
