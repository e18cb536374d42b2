// Server-sent events, read by hand: an EventSource cannot say who asks.

/** Makes events of a stream's text, as the HTML standard says. */
export class EventParser {
	constructor() {
		this.rest = "";
		this.lastId = null;
		this.clear();
	}

	clear() {
		this.name = "";
		this.data = [];
	}

	/** The events ({name, data, id}) that end in this piece. */
	push(piece) {
		const text = this.rest + piece;
		// A carriage return at the end may be half of an end of line.
		const whole = text.endsWith("\r") ? text.slice(0, -1) : text;
		const lines = whole.split(/\r\n|\r|\n/);
		this.rest = lines.pop() + text.slice(whole.length);
		return lines.map((line) => this.line(line)).filter(Boolean);
	}

	line(line) {
		if (line === "") return this.end();
		const at = line.indexOf(":");
		if (at === 0) return null;
		const field = at < 0 ? line : line.slice(0, at);
		const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
		if (field === "event") this.name = value;
		else if (field === "data") this.data.push(value);
		else if (field === "id" && !value.includes("\0")) this.lastId = value;
		return null;
	}

	end() {
		const { name, data } = this;
		this.clear();
		return data.length ? { name: name || "message", data: data.join("\n"), id: this.lastId } : null;
	}
}
