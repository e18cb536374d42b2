// The parts of the console that touch no page, with Node's own test runner:
// node --test tests/console/pure.test.mjs

import assert from "node:assert/strict";
import { test } from "node:test";
import { EventParser } from "../../supervisor/console/events.js";
import { branches, layout } from "../../supervisor/console/graph.js";
import {
  Lines, ago, between, bytes, clip, duration, places, position, readTags, visible, writeTags,
} from "../../supervisor/console/text.js";

// The same numbers at each run.
function random(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const STREAM = ": hello\r\n\r\nevent: output\nid: 5\ndata: {\"a\":\ndata:  1}\n\ndata\n\nid: 6\r\nevent: end\rdata:x\r\r"
  + "retry: 10\n\nid: a\0b\ndata: kept id\n\nevent: lost\n\ndata: unfinished";
const EVENTS = [
  { name: "output", data: "{\"a\":\n 1}", id: "5" },
  { name: "message", data: "", id: "5" },
  { name: "end", data: "x", id: "6" },
  { name: "message", data: "kept id", id: "6" },
];

test("events are those of the standard", () => {
  assert.deepEqual(new EventParser().push(STREAM), EVENTS);
  assert.deepEqual(new EventParser().push("data: \ufeff1\n\n")[0].data, "\ufeff1");
});

test("events are the same however their stream is cut", () => {
  const next = random(1);
  for (let run = 0; run < 500; run += 1) {
    const parser = new EventParser();
    const found = [];
    for (let at = 0; at < STREAM.length;) {
      const length = next(5);
      found.push(...parser.push(STREAM.slice(at, at + length)));
      at += length;
    }
    assert.deepEqual(found, EVENTS);
  }
});

test("what hides or turns text round can be seen", () => {
  assert.equal(visible("a\0\x1b[31mred\x7f\r"), "a\u2400\u241b[31mred\u2421\u240d");
  assert.equal(visible("\u202eevil\u2066\u200b\ufeff\u0085"), "\u27e8U+202E\u27e9evil\u27e8U+2066\u27e9\u27e8U+200B\u27e9\u27e8U+FEFF\u27e9\u27e8U+0085\u27e9");
  assert.equal(visible("\u{e0041}\u2028"), "\u27e8U+E0041\u27e9\u27e8U+2028\u27e9");
  const plain = "tab\tline\n<b>&amp;</b> \u00e4 \u05d0 \ud83d\udc69\u200d\ud83d\ude80";
  assert.equal(visible(plain), plain);
});

test("long texts are cut between characters", () => {
  assert.equal(clip("abc", 3), "abc");
  assert.equal(clip("abcdef", 3), "abc\u2026 (3 more characters)");
  assert.equal(clip("ab\ud83d\ude80f", 3), "ab\u2026 (3 more characters)");
});

test("numbers are told in few words", () => {
  assert.deepEqual([0, 1023, 1024, 20_480, 5 << 20].map(bytes), ["0 B", "1023 B", "1.0 KiB", "20 KiB", "5.0 MiB"]);
  assert.deepEqual([2, 250, 1500, 59_900, 61_000].map(duration), ["2 ms", "250 ms", "1.50 s", "59.9 s", "1 min 1 s"]);
  assert.equal(between("2026-01-01T00:00:00Z", "2026-01-01T00:00:01.25Z"), 1250);
  assert.equal(between("2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z"), 0);
  const now = Date.parse("2026-01-02T00:00:00Z");
  const told = ["2026-01-02T00:00:03Z", "2026-01-01T23:59:20Z", "2026-01-01T23:10:00Z", "2026-01-01T01:00:00Z", "2025-11-01T00:00:00Z"];
  assert.deepEqual(told.map((time) => ago(time, now)), ["now", "40 s ago", "50 min ago", "23 h ago", "2025-11-01"]);
});

const at = ({ line, column }) => [line, column];

test("the place of an error is that of its stack", () => {
  const stack = "TypeError: see <anonymous>:9:9\n    at inner (<anonymous>:4:9)\n    at <anonymous>:7:1";
  assert.deepEqual(at(position(stack)), [4, 9]);
  assert.deepEqual(at(position("SyntaxError: Unexpected token (<anonymous>:1:12)")), [1, 12]);
  for (const none of [null, "", "Error: x", "at other.js:1:1", "<anonymous>:x:1"]) assert.equal(position(none), null);
  const pieces = places(stack);
  assert.equal(pieces.map((piece) => piece.text).join(""), stack);
  assert.deepEqual(pieces.filter((piece) => piece.line).map((piece) => piece.line), [9, 4, 7]);
});

test("tags are read as they are written", () => {
  const all = [
    {}, { a: "" }, { a: "b=c", "k=v": "x" }, { a: "two\nlines" }, { a: " blank ", b: "\"quoted\"" }, { a: "1,2" },
    { "\u00fcber": "\u{1f680}", "\"q": "\\" },
  ];
  for (const tags of all) assert.deepEqual(readTags(writeTags(tags), "\n"), tags);
  assert.deepEqual(readTags(" a=1, b = x y ,", /[,\n]/), { a: "1", b: "x y" });
  for (const bad of ["a", "=a", "a=\"", "\"a=b"]) assert.throws(() => readTags(bad, "\n"), /is no tag: write key=value/);
});

test("lines are those of the whole text, however it is cut", () => {
  const text = "one\n\ntwo\n" + "x".repeat(50) + "\nlast";
  const next = random(2);
  for (let run = 0; run < 300; run += 1) {
    const lines = new Lines(20);
    const found = [];
    for (let at = 0; at < text.length;) {
      const length = next(9);
      found.push(...lines.push(text.slice(at, at + length)));
      at += length;
    }
    assert.deepEqual(found, ["one", "", "two", "x".repeat(20) + "\u2026 (30 more characters)"]);
    assert.equal(lines.open(), "last");
  }
});

test("a line without an end takes no more than it may", () => {
  const lines = new Lines(20);
  for (let piece = 0; piece < 1000; piece += 1) lines.push("y".repeat(1000));
  assert.equal(lines.text.length, 20);
  assert.equal(lines.open(), "y".repeat(20) + "\u2026 (999,980 more characters)");
});

const entry = (input_heap, output_heap) => ({ input_heap, output_heap });

test("a line of heaps is one lane", () => {
  const graph = layout([entry(null, "a"), entry("a", "b"), entry("b", "c")]);
  assert.deepEqual(graph.rows.map((row) => [row.heap, row.lane]), [["a", 0], ["b", 0], ["c", 0]]);
  assert.deepEqual(graph.edges, [{ from: 0, to: 1, kind: "down" }, { from: 1, to: 2, kind: "down" }]);
  assert.equal(graph.lanes, 1);
  assert.equal(branches(graph), 0);
});

test("a branch has a lane of its own, and the first child goes on", () => {
  const graph = layout([entry(null, "a"), entry("a", "b"), entry("a", "c"), entry("b", "d"), entry("c", "e")]);
  assert.deepEqual(graph.rows.map((row) => row.lane), [0, 0, 1, 0, 1]);
  assert.equal(branches(graph), 1);
});

test("a heap that was there before is not there twice", () => {
  const graph = layout([entry(null, "a"), entry("a", "b"), entry("b", "a"), entry("a", "a"), entry("a", "b")]);
  assert.equal(graph.rows.length, 2);
  assert.deepEqual(graph.edges.map((edge) => edge.kind), ["down", "back", "self"]);
  assert.deepEqual(graph.rows.map((row) => row.made.length), [3, 2]);
});

test("a heap from elsewhere stands before what was made from it", () => {
  const graph = layout([entry("x", "a"), entry("x", "b")]);
  assert.deepEqual(graph.rows.map((row) => [row.heap, row.isOutside]), [["x", true], ["a", false], ["b", false]]);
  assert.deepEqual(layout([]), { rows: [], edges: [], lanes: 0 });
});

test("no line runs through the dot of another heap", () => {
  const next = random(3);
  for (let run = 0; run < 200; run += 1) {
    const known = [];
    const entries = Array.from({ length: 40 }, (_, at) => {
      const input = known.length && next(8) ? known[next(known.length)] : next(3) ? null : `out${next(3)}`;
      const output = next(6) || !known.length ? `h${at}` : known[next(known.length)];
      known.push(output);
      return entry(input, output);
    });
    const { rows, edges } = layout(entries);
    const steps = entries.filter((one) => one.input_heap !== null);
    assert.equal(new Set(rows.map((row) => row.heap)).size, rows.length);
    assert.equal(rows.reduce((sum, row) => sum + row.made.length, 0), entries.length);
    assert.ok(steps.every((one) => edges.some(({ from, to }) => rows[from].heap === one.input_heap && rows[to].heap === one.output_heap)));
    for (const { from, to, kind } of edges) {
      if (kind !== "down") continue;
      assert.ok(from < to);
      // It goes down in the lane of its end.
      for (let row = from + 1; row < to; row += 1) assert.notEqual(rows[row].lane, rows[to].lane);
    }
  }
});
