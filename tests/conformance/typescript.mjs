// The TypeScript SDKs, version 1 and 2, as clients of a running server.
//
// Usage: node typescript.mjs NODE_MODULES STREAMABLE_URL SSE_URL TOOLS SERVER [ARGUMENT...]
//
// TOOLS are the names of the tools that the server must have, separated by commas. SERVER with its
// arguments is the command for stdio. Every check prints a line; the last line is the summary. Exits
// with 1 when a check failed.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const [modules, streamable, sse, toolNames, server, ...serverArguments] = process.argv.slice(2);
assert(server, 'usage: typescript.mjs NODE_MODULES STREAMABLE_URL SSE_URL TOOLS SERVER...');
const TOOLS = toolNames.split(',').sort();
const IS_STATEFUL = TOOLS.includes('list_sessions');
const LEGACY = '2025-11-25';
const MODERN = '2026-07-28';
const ANSWER_MS = 60000;
const ENDLESS = "console.log('runs'); for (;;) {}";

// The packages lie where they were installed, not beside this file.
const require = createRequire(resolve(modules, 'anchor.js'));
const v2 = {
  ...require('@modelcontextprotocol/client'),
  ...require('@modelcontextprotocol/client/stdio'),
};
const v1 = {
  ...require('@modelcontextprotocol/sdk/client/index.js'),
  ...require('@modelcontextprotocol/sdk/client/stdio.js'),
  ...require('@modelcontextprotocol/sdk/client/sse.js'),
  ...require('@modelcontextprotocol/sdk/client/streamableHttp.js'),
};

const transports = {
  stdio: (sdk) =>
    new sdk.StdioClientTransport({ command: server, args: serverArguments, stderr: 'ignore' }),
  http: (sdk) => new sdk.StreamableHTTPClientTransport(new URL(streamable)),
  sse: (sdk) => new sdk.SSEClientTransport(new URL(sse)),
};

const info = { name: 'conformance', version: '1' };
const newClient = {
  v1: () => new v1.Client(info),
  v2: (mode) => new v2.Client(info, { versionNegotiation: { mode } }),
};

// What each call of these takes differs: version 1 wants the schema of the result in between.
const callTool = {
  v1: (client, call, options) => client.callTool(call, undefined, options),
  v2: (client, call, options) => client.callTool(call, options),
};

// A conversation of one client.
class Session {
  constructor(sdk, client, version) {
    this.sdk = sdk;
    this.client = client;
    this.version = version;
  }

  request(tool, args, options) {
    return callTool[this.sdk](this.client, { name: tool, arguments: args }, options);
  }

  // Calls a tool that succeeds; the client itself checks the value against the tool's schema.
  async call(tool, args, options) {
    const result = await this.request(tool, args, options);
    assert(!result.isError, `${tool} failed: ${JSON.stringify(result.content)}`);
    assert(result.structuredContent, `${tool} gave no structured content`);
    assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent);
    return result.structuredContent;
  }

  async refused(tool, args, ...words) {
    const result = await this.request(tool, args);
    assert.equal(result.isError, true, `${tool} did not fail`);
    for (const word of words) assert(result.content[0].text.includes(word), result.content[0].text);
  }

  async running() {
    return (await this.call('list_executions', { status: 'running' })).executions;
  }
}

const checks = {
  async introduces_itself({ client, sdk, version }) {
    if (sdk === 'v2') assert.equal(client.getNegotiatedProtocolVersion(), version);
    assert.equal(client.getServerVersion().name, 'mcp-v8');
    assert(client.getServerCapabilities().tools);
    assert(client.getInstructions().includes('run_js'));
  },

  async lists_tools({ client }) {
    const { tools } = await client.listTools();
    assert.deepEqual(tools.map((tool) => tool.name).sort(), TOOLS);
    for (const tool of tools) assert(tool.outputSchema && tool.annotations, tool.name);
  },

  async runs_code(session) {
    const code = "const n: number = 6; console.log('x', n); await Promise.resolve(n * 7)";
    const seen = await session.call('run_js', { code, wait_ms: 30000 });
    assert.equal(seen.status, 'completed');
    assert.equal(seen.result, '42');
    assert.equal(seen.output.data, 'x 6');
  },

  async reads_pages_of_output(session) {
    const code = 'for (let i = 1; i <= 250; i++) console.log(`line ${i}`)';
    const seen = await session.call('run_js', { code, wait_ms: 30000 });
    const lines = [];
    let pages = 0;
    for (let line_offset = 1, more = true; more; pages++) {
      const one = { execution_id: seen.execution_id, line_offset };
      const page = await session.call('get_execution_output', one);
      lines.push(...page.data.split('\n'));
      line_offset = page.next_line_offset;
      more = page.has_more;
    }
    assert.equal(pages, 3);
    assert.deepEqual(lines, Array.from({ length: 250 }, (_, index) => `line ${index + 1}`));
  },

  async sees_failures_and_errors(session) {
    const seen = await session.call('run_js', { code: '\nnull.x', wait_ms: 30000 });
    assert.equal(seen.status, 'failed');
    assert(seen.error.includes('TypeError'), seen.error);
    await session.refused('run_js', { code: 5 }, 'code is 5');
    await session.refused('get_execution', { execution_id: 'nonsense' }, 'execution_id');
    const unknown = session.request('run_python', {});
    await assert.rejects(unknown, (error) => error.code === -32602 && /run_js/.test(error.message));
  },

  async is_told_progress(session) {
    const told = [];
    const code = "await new Promise(r => setTimeout(r, 3500)); 'done'";
    const options = { onprogress: (progress) => told.push(progress) };
    const seen = await session.call('run_js', { code, wait_ms: 30000 }, options);
    assert.equal(seen.result, 'done');
    assert(told.length >= 2, `told ${JSON.stringify(told)}`);
    assert(told.every(({ total, message }) => total === 30000 && message.includes('running')));
  },

  async cancels(session) {
    const accepted = await session.call('run_js', { code: ENDLESS });
    assert.deepEqual(await session.call('cancel_execution', accepted), { ok: true });
    // A call that the client gives up takes its execution along.
    const giveUp = new AbortController();
    const call = { code: ENDLESS, wait_ms: 40000 };
    const given = session.request('run_js', call, { signal: giveUp.signal });
    given.catch(() => {});
    const until = Date.now() + ANSWER_MS;
    while ((await session.running()).length === 0) {
      assert(Date.now() < until, 'it does not run');
      await sleep(20);
    }
    giveUp.abort();
    await assert.rejects(given);
    while ((await session.running()).length > 0) {
      assert(Date.now() < until, 'the abandoned execution goes on');
      await sleep(20);
    }
  },

  async reads_resources(session) {
    const { client } = session;
    const ran = await session.call('run_js', { code: "console.log('kept'); 7", wait_ms: 30000 });
    const uri = `v8://executions/${ran.execution_id}`;
    const { resources } = await client.listResources();
    const uris = resources.map((resource) => resource.uri);
    assert(uris.includes(uri) && uris.includes(`${uri}/output`), uris.join(' '));
    const [execution] = (await client.readResource({ uri })).contents;
    assert.equal(JSON.parse(execution.text).result, '7');
    const [output] = (await client.readResource({ uri: `${uri}/output` })).contents;
    assert.equal(output.text.trimEnd(), 'kept');
    const { resourceTemplates } = await client.listResourceTemplates();
    assert.equal(resourceTemplates.length, 2);
    await assert.rejects(client.readResource({ uri: 'file:///etc/passwd' }));
  },

  async goes_on_from_a_heap(session) {
    // The sessions of one server are shared by all that call it.
    const name = `typescript ${process.pid} ${Math.random()}`;
    const at = { session: name, wait_ms: 30000 };
    if (!IS_STATEFUL) return session.refused('run_js', { code: '1', ...at }, 'session');
    const first = await session.call('run_js', { code: 'let n = 41;', ...at });
    assert.match(first.heap, /^[0-9a-f]{64}$/);
    const next = await session.call('run_js', { code: '++n', heap: 'latest', ...at });
    assert.equal(next.result, '42');
    assert.equal(next.input_heap, first.heap);
  },
};

const ways = [
  ['v1', 'stdio', undefined, LEGACY],
  ['v1', 'http', undefined, LEGACY],
  ['v1', 'sse', undefined, LEGACY],
  ['v2', 'stdio', 'auto', MODERN],
  ['v2', 'http', 'legacy', LEGACY],
  ['v2', 'http', 'auto', MODERN],
  ['v2', 'http', { pin: MODERN }, MODERN],
  ['v2', 'sse', 'legacy', LEGACY],
];

let passed = 0;
let failed = 0;
for (const [sdk, transport, mode, version] of ways) {
  for (const [check, run] of Object.entries(checks)) {
    const way = [`typescript ${sdk}`, transport, mode?.pin ?? mode].filter(Boolean).join(', ');
    const client = newClient[sdk](mode);
    try {
      await client.connect(transports[transport](sdk === 'v1' ? v1 : v2));
      await run(new Session(sdk, client, version));
      passed++;
      console.log(`ok    ${way}: ${check}`);
    } catch (error) {
      failed++;
      console.log(`FAIL  ${way}: ${check}\n${error?.stack ?? error}`);
    } finally {
      await client.close().catch(() => {});
    }
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
