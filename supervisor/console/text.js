// Texts of strangers, made fit to be shown, and what can be read out of them.

/** Characters that would hide, turn round or move what is beside them. */
const TRICKS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

function named(character) {
	const code = character.codePointAt(0);
	if (code < 0x20) return String.fromCodePoint(0x2400 + code);
	if (code === 0x7f) return "\u2421";
	return `\u27e8U+${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
}

/** The text with every such character as a sign that can be seen. Line feeds and tabs stay. */
export const visible = (text) => text.replace(TRICKS, named);

/** At most so many characters of a text, in signs that can be seen, and how many there are more. */
export function clip(text, most, more = 0) {
	// No character is torn apart.
	const kept = text.length > most ? text.slice(0, most).replace(/[\ud800-\udbff]$/, "") : text;
	const left = text.length - kept.length + more;
	return left ? `${visible(kept)}\u2026 (${count(left)} more characters)` : visible(kept);
}

export const count = (number) => number.toLocaleString("en");

export const some = (number, what) => `${count(number)} ${what}${number === 1 ? "" : "s"}`;

export function bytes(number) {
	if (number < 1024) return `${number} B`;
	const [value, unit] = number < 1024 ** 2 ? [number / 1024, "KiB"] : [number / 1024 ** 2, "MiB"];
	return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

export function duration(ms) {
	if (ms < 1000) return `${Math.round(ms)} ms`;
	if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
	return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/** Milliseconds from one time to another. */
export const between = (from, to) => Math.max(0, Date.parse(to) - Date.parse(from));

/** How long ago a time is, in few words. */
export function ago(time, now = Date.now()) {
	const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
	if (seconds < 5) return "now";
	if (seconds < 60) return `${seconds} s ago`;
	if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
	if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
	return new Date(time).toISOString().slice(0, 10);
}

/** An error's text in pieces: text, and places in the code ({text, line, column}). */
export const places = (error) => error.split(/(<anonymous>:\d{1,7}:\d{1,7})/).filter(Boolean).map((text) => {
	const [, line, column] = /^<anonymous>:(\d+):(\d+)$/.exec(text) ?? [];
	return line ? { text, line: Number(line), column: Number(column) } : { text };
});

/** Where in the code an error happened: the first place of its stack, which is not one in its message. */
export function position(error) {
	const stack = /^ {4}at .*<anonymous>:\d{1,7}:\d{1,7}\)?$[^]*/m.exec(error ?? "");
	return places(stack?.[0] ?? error ?? "").find((piece) => piece.line) ?? null;
}

// A word as it is, or in quotes where it would be read as something else.
const quoted = (word) => (/[\n\r=]|^["\s]|\s$/.test(word) ? JSON.stringify(word) : word);
const plain = (word) => (word.startsWith('"') ? JSON.parse(word) : word);

/** Tags as they are typed, one in a line. */
export const writeTags = (tags) =>
	Object.entries(tags).map(([key, value]) => `${quoted(key)}=${quoted(value)}`).join("\n");

/** Reads tags as they are typed. Throws what is wrong with them. */
export function readTags(text, separator) {
	const tags = new Map();
	for (const part of text.split(separator).map((one) => one.trim()).filter(Boolean)) {
		try {
			const [, key, value] = /^("(?:[^"\\]|\\.)*"|[^="][^=]*)=(.*)$/s.exec(part);
			tags.set(plain(key.trim()), plain(value.trim()));
		} catch {
			throw new Error(`\u201c${clip(part, 60)}\u201d is no tag: write key=value`);
		}
	}
	return Object.fromEntries(tags);
}

/** Gathers pieces of output into lines, each with `most` characters at most; the rest is counted. */
export class Lines {
	text = "";
	more = 0;

	constructor(most) {
		this.most = most;
	}

	/** The lines that are complete now. What has no end yet waits. */
	push(piece) {
		const parts = piece.split("\n");
		const last = parts.pop();
		const done = parts.map((part) => this.add(part).take());
		this.add(last);
		return done;
	}

	/** The line that has no end yet; nothing where there is none. */
	open() {
		return clip(this.text, this.most, this.more);
	}

	add(part) {
		const room = this.most - this.text.length;
		this.text += part.slice(0, room);
		this.more += Math.max(0, part.length - room);
		return this;
	}

	take() {
		const line = this.open();
		this.text = "";
		this.more = 0;
		return line;
	}
}
