// The script's half of the conversation about requests (`mcp_v8_protocol::fetch`): what was said for
// each that is open, and what is to come of what is heard.
//
// Only so many may be open at once. What is beyond that waits for one of them to end. Responses that
// nobody reads yet are read ahead a little then, so that short ones end.
(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayPrototypeIndexOf,
  ArrayPrototypePush,
  ArrayPrototypeShift,
  ArrayPrototypeSplice,
  ObjectKeys,
  PromisePrototypeThen,
  PromiseReject,
  PromiseResolve,
  PromiseWithResolvers,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeSubarray,
  TypeError,
} = primordials;
const {
  op_fetch_abort,
  op_fetch_open,
  op_fetch_pull,
  op_fetch_send,
  op_fetch_send_end,
} = core.ops;

const { cancel, joined, PIECE_BYTES_MAX, pullParts } = core.loadExtScript("ext:mcp_v8/body.js");

// How much of a response is read ahead, in bytes, before what comes of its last piece.
const AHEAD_BYTES_MAX = 64 * 1024;

const open = { __proto__: null };
const waiting = [];
const nothing = () => {};

// What the supervisor said of a failure. It becomes an error where a script waits for it, so that the
// error's stack names the script.
class Failure {
  #text;

  constructor(text) {
    this.#text = text;
  }

  static errorOf(reason) {
    const isFailure = typeof reason === "object" && reason !== null && #text in reason;
    return isFailure ? new TypeError(reason.#text) : reason;
  }
}

const { errorOf } = Failure;

// ---- beginning and ending ------------------------------------------------------------------------

class Exchange {
  id = null;
  sender = null;
  isOpened = false;
  isOver = false;
  // In an object, as it may be anything.
  error = undefined;
  // Pieces that were read ahead, and their size.
  ahead = [];
  aheadBytes = 0;
  // Whether a piece was asked for and has not come, and who waits for it.
  isPulling = false;
  pulled = null;
  // Called at the end, whatever that is; and when a response fails that nobody pulls from.
  onOver = nothing;
  onError = nothing;

  constructor(request, body) {
    this.request = request;
    this.body = body;
    const { promise, resolve, reject } = PromiseWithResolvers();
    // Promises the head of the response.
    this.head = promise;
    this.opened = resolve;
    this.refused = reject;
  }
}

// Begins an exchange, or has it wait.
function start(request, body) {
  const exchange = new Exchange(request, body);
  if (waiting.length > 0 || !begin(exchange)) {
    ArrayPrototypePush(waiting, exchange);
    readAhead();
  }
  return exchange;
}

// False when another must end first.
function begin(exchange) {
  const { method, url, lines, redirect } = exchange.request;
  const { body } = exchange;
  try {
    const id = op_fetch_open(method, url, lines, redirect, announced(body));
    if (id === null) return false;
    exchange.id = id;
    open[id] = exchange;
    if (body !== null && !isWhole(body)) exchange.sender = senderOf(body);
  } catch (error) {
    finish(exchange, error);
    letGo(exchange, error);
  }
  return true;
}

function beginWaiting() {
  while (waiting.length > 0 && (waiting[0].isOver || begin(waiting[0]))) ArrayPrototypeShift(waiting);
}

// Ends one; `error` is undefined at the end of a response.
function finish(exchange, error) {
  exchange.isOver = true;
  if (exchange.id !== null) delete open[exchange.id];
  const { pulled } = exchange;
  exchange.pulled = null;
  if (error === undefined) {
    pulled?.resolve(undefined);
  } else {
    exchange.error = { __proto__: null, error };
    if (!exchange.isOpened) {
      exchange.refused(error);
    } else if (pulled !== null) {
      pulled.reject(error);
    } else {
      exchange.onError(errorOf(error));
    }
  }
  exchange.onOver();
}

function abort(exchange, reason) {
  if (exchange.isOver) return;
  if (exchange.id === null) {
    const index = ArrayPrototypeIndexOf(waiting, exchange);
    if (index !== -1) ArrayPrototypeSplice(waiting, index, 1);
  } else {
    op_fetch_abort(exchange.id);
  }
  exchange.ahead = [];
  finish(exchange, reason);
  letGo(exchange, reason);
  beginWaiting();
}

// Nobody sends the body of the request any more.
function letGo(exchange, reason) {
  const { body, sender } = exchange;
  if (sender === null) {
    cancel(body, reason);
  } else {
    sender.cancel(reason);
  }
  exchange.body = null;
  exchange.sender = null;
}

// ---- the body of the response --------------------------------------------------------------------

// Promises the next piece, or undefined at the end. One at a time.
function pull(exchange) {
  if (exchange.ahead.length > 0) {
    const bytes = ArrayPrototypeShift(exchange.ahead);
    exchange.aheadBytes -= TypedArrayPrototypeGetByteLength(bytes);
    return PromiseResolve(bytes);
  }
  if (exchange.error !== undefined) return PromiseReject(exchange.error.error);
  if (exchange.isOver) return PromiseResolve(undefined);
  exchange.pulled = PromiseWithResolvers();
  ask(exchange);
  return exchange.pulled.promise;
}

function ask(exchange) {
  if (exchange.isPulling) return;
  exchange.isPulling = true;
  op_fetch_pull(exchange.id);
}

function readAhead() {
  if (waiting.length === 0) return;
  const ids = ObjectKeys(open);
  for (let i = 0; i < ids.length; i++) {
    const exchange = open[ids[i]];
    if (exchange.isOpened && exchange.aheadBytes < AHEAD_BYTES_MAX) ask(exchange);
  }
}

function take(exchange, bytes) {
  exchange.isPulling = false;
  const { pulled } = exchange;
  if (pulled === null) {
    ArrayPrototypePush(exchange.ahead, bytes);
    exchange.aheadBytes += TypedArrayPrototypeGetByteLength(bytes);
  } else {
    exchange.pulled = null;
    pulled.resolve(bytes);
  }
}

// ---- the body of the request ---------------------------------------------------------------------

const isWhole = (body) => body.parts !== null && body.length <= PIECE_BYTES_MAX;

// The length is that of parts: only these can be sent again.
function announced(body) {
  if (body === null) return null;
  if (isWhole(body)) return joined(body.parts);
  return body.parts === null ? -1 : body.length;
}

// `next(send)` calls `send` with the next piece, or with undefined at the end, now or later; or fails
// with `fail`.
function senderOf(body) {
  const sender = body.parts === null ? streamSender(body.stream) : {
    __proto__: null,
    next: sendParts(pullParts(body.parts)),
    cancel: nothing,
  };
  sender.room = 0;
  sender.isBusy = false;
  return sender;
}

const sendParts = (pull) => (send) => send(pull());

function streamSender(stream) {
  const {
    acquireReadableStreamDefaultReader,
    readableStreamReaderGenericCancel,
    ReadableStreamDefaultReader,
  } = core.loadExtScript("ext:deno_web/06_streams.js");
  const reader = acquireReadableStreamDefaultReader(stream);
  const read = primordials.uncurryThis(ReadableStreamDefaultReader.prototype.read);
  let rest;
  const take = (send, fail) => {
    if (rest === undefined) {
      PromisePrototypeThen(read(reader), ({ done, value }) => {
        if (done) return send(undefined);
        if (primordials.TypedArrayPrototypeGetSymbolToStringTag(value) !== "Uint8Array") {
          return fail(new TypeError("A stream that is the body of a request gives Uint8Array"));
        }
        rest = TypedArrayPrototypeGetByteLength(value) > 0 ? value : undefined;
        take(send, fail);
      }, fail);
      return;
    }
    const piece = TypedArrayPrototypeSubarray(rest, 0, PIECE_BYTES_MAX);
    const isLast = TypedArrayPrototypeGetByteLength(rest) <= PIECE_BYTES_MAX;
    rest = isLast ? undefined : TypedArrayPrototypeSubarray(rest, PIECE_BYTES_MAX);
    send(piece);
  };
  return {
    __proto__: null,
    next: take,
    cancel: (reason) => {
      PromisePrototypeThen(readableStreamReaderGenericCancel(reader, reason), nothing, nothing);
    },
  };
}

function sendOn(exchange) {
  const { sender, id } = exchange;
  if (sender === null || sender.isBusy) return;
  while (sender.room > 0 && !sender.isBusy && !exchange.isOver) {
    sender.isBusy = true;
    let isLater = false;
    sender.next((piece) => {
      if (exchange.isOver) return;
      sender.room--;
      if (piece === undefined) {
        // It stays busy: nothing more is sent.
        op_fetch_send_end(id);
        return;
      }
      op_fetch_send(id, piece);
      sender.isBusy = false;
      if (isLater) sendOn(exchange);
    }, (error) => {
      abort(exchange, new TypeError("The body of the request failed", { __proto__: null, cause: error }));
    });
    isLater = true;
  }
}

// ---- what the host calls -------------------------------------------------------------------------

function takeReply(id, step, ...more) {
  const exchange = open[id];
  if (exchange === undefined) return;
  switch (step) {
    case "more":
      if (exchange.sender !== null) {
        exchange.sender.room++;
        sendOn(exchange);
      }
      break;
    case "again":
      exchange.sender = senderOf(exchange.body);
      break;
    case "opened":
      exchange.isOpened = true;
      exchange.opened({
        __proto__: null,
        status: more[0],
        statusText: more[1],
        lines: more[2],
        url: more[3],
        isRedirected: more[4],
      });
      readAhead();
      break;
    case "data":
      take(exchange, more[0]);
      readAhead();
      break;
    default: {
      const error = step === "end" ? undefined : new Failure(more[0]);
      finish(exchange, error);
      letGo(exchange, errorOf(error));
      beginWaiting();
    }
  }
}

// Nothing is left that could make room for those that wait.
function refuseWaiting() {
  while (waiting.length > 0) {
    const error = new Failure(
      "Too many requests are open. Each is until the body of its response was read to its end: read " +
        "or cancel the bodies before you make more requests",
    );
    const exchange = ArrayPrototypeShift(waiting);
    finish(exchange, error);
    letGo(exchange, errorOf(error));
  }
}

// What is open at the end of a run is a response that was not read. In a stored heap it has failed.
function endRun() {
  const ids = ObjectKeys(open);
  for (let i = 0; i < ids.length; i++) {
    finish(open[ids[i]], new TypeError("The run that made this request has ended"));
  }
}

return { abort, endRun, errorOf, pull, refuseWaiting, start, takeReply };
})();
