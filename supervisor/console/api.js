// Calls of the API, as the one who looks at the page.

import { EventParser } from "./events.js";

const BASE = new URL("../", import.meta.url);
const TOKEN = "mcp-v8-token";

/** An answer that says no. */
export class Refused extends Error {
	constructor(status, code, message) {
		super(message);
		Object.assign(this, { status, code });
	}
}

/** The reader did not say who he is. */
export class SignedOut extends Error {
	status = 401;
}

let askToken = async () => null;
let asked = null;

/** Who asks the reader for a token: called with whether one was refused, gives one or null. */
export function onSignIn(ask) {
	askToken = ask;
}

export const isSignedIn = () => sessionStorage.getItem(TOKEN) !== null;

export function signOut() {
	sessionStorage.clear();
}

// All calls that need a token at once wait for one answer.
async function signIn(refused) {
	if (refused === sessionStorage.getItem(TOKEN)) {
		asked ??= askToken(refused !== null).finally(() => { asked = null; });
		const token = await asked;
		if (token === null) throw new SignedOut("sign in to see this");
		sessionStorage.setItem(TOKEN, token);
	}
}

function send(path, { headers, ...rest }) {
	const token = sessionStorage.getItem(TOKEN);
	const signed = token === null ? headers : { ...headers, authorization: `Bearer ${token}` };
	return fetch(new URL(path, BASE), { ...rest, headers: signed, cache: "no-store" });
}

async function ask(path, options) {
	for (;;) {
		const token = sessionStorage.getItem(TOKEN);
		const answer = await send(path, options);
		if (answer.status !== 401) return answer;
		await answer.body?.cancel();
		await signIn(token);
	}
}

async function refusal(answer) {
	const said = await answer.json().catch(() => null);
	const message = said?.error?.message ?? `the server answered ${answer.status}`;
	return new Refused(answer.status, said?.error?.code, message);
}

/** The JSON of an answer. `send` is an object that goes with the request. */
export async function call(path, { send: body, ...rest } = {}) {
	const json = body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
	const answer = await ask(path, { ...json, ...rest });
	if (!answer.ok) throw await refusal(answer);
	return answer.json();
}

/** The text of an answer, for who can do without: it never asks for a token. */
export async function glance(path, signal) {
	const answer = await send(path, { signal });
	return answer.ok ? answer.text() : null;
}

const RETRY_MS = 1000;

/**
 * The events of a stream, whose data are JSON, until `last` has come. A stream that breaks off goes on
 * behind the last event that was seen.
 */
export async function* events(path, last, signal) {
	let id = null;
	for (;;) {
		try {
			const headers = id === null ? {} : { "last-event-id": id };
			const answer = await ask(path, { headers, signal });
			if (!answer.ok) throw await refusal(answer);
			const parser = new EventParser();
			const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
			for (;;) {
				const { done, value } = await reader.read();
				if (done) break;
				for (const event of parser.push(value)) {
					id = event.id ?? id;
					yield { name: event.name, data: JSON.parse(event.data) };
					if (last.includes(event.name)) return;
				}
			}
		} catch (error) {
			if (signal.aborted || (error.status < 500 && error.status !== 429)) throw error;
		}
		await new Promise((wake) => { setTimeout(wake, RETRY_MS); });
		if (signal.aborted) return;
	}
}
