// The graph of a session: where each heap stands, and the lines between them.

/**
 * Lays out entries of a session, oldest first. Each heap has a row, in the order in which they came
 * about, and a lane: the first heap made from another goes on in its lane, the next ones branch off.
 *
 * rows: {heap, lane, made: [entries], isOutside}; edges: {from, to: rows, kind: "down"|"back"|"self"}.
 */
export function layout(entries) {
	const rows = [];
	const edges = [];
	const byHeap = new Map();
	const taken = [];

	const isFree = (lane, from, to) => {
		for (let row = from; row <= to; row += 1) if (taken[lane]?.has(row)) return false;
		return true;
	};
	const take = (lane, from, to) => {
		taken[lane] ??= new Set();
		for (let row = from; row <= to; row += 1) taken[lane].add(row);
	};
	const place = (heap, parent) => {
		const row = rows.length;
		const from = parent === null ? row : parent + 1;
		let lane = parent === null ? 0 : rows[parent].lane;
		if (!isFree(lane, from, row)) {
			lane = 0;
			while (!isFree(lane, from, row)) lane += 1;
		}
		take(lane, from, row);
		rows.push({ heap, lane, made: [], isOutside: false });
		byHeap.set(heap, row);
		return row;
	};

	for (const entry of entries) {
		const { input_heap: input, output_heap: output } = entry;
		let from = null;
		if (input !== null) {
			from = byHeap.get(input) ?? place(input, null);
			if (rows[from].made.length === 0) rows[from].isOutside = true;
		}
		const known = byHeap.get(output);
		const to = known ?? place(output, from);
		rows[to].made.push(entry);
		rows[to].isOutside = false;
		if (from === null) continue;
		const kind = from === to ? "self" : known === undefined ? "down" : "back";
		if (!edges.some((edge) => edge.from === from && edge.to === to)) edges.push({ from, to, kind });
	}
	return { rows, edges, lanes: taken.length };
}

/** How many heaps have more than one made from them. */
export function branches({ edges }) {
	const children = new Map();
	for (const { from, kind } of edges) {
		if (kind === "down") children.set(from, (children.get(from) ?? 0) + 1);
	}
	return [...children.values()].filter((made) => made > 1).length;
}
