/*
 * client - a client that trusts nobody: it keeps rows and cursor as the contract's rules say, comes back when its socket
 * closes, sends again what was not answered, and notes each rule that the server breaks. It speaks the base contract, or
 * with `extended` that of skerry.v1: then a transaction that was put off is tried again alone, and the rest behind it.
 */
import { isDeepStrictEqual } from "node:util";

import { decode, encode } from "@msgpack/msgpack";
import WebSocket from "ws";

import { until } from "./server.mjs";

const RETRY_MS = 30;
const EXTENDED = new Set(["hello", "gone"]);

export class Client {
  /** `url` may change between connections; `collections` are subscribed whole: NAME, under its own name, or [SUB, NAME]. */
  constructor(url, collections = [], { extended = false } = {}) {
    this.url = url;
    this.extended = extended;
    this.subscriptions = collections.map((one) => (Array.isArray(one) ? one : [one, one]));
    this.rows = new Map(this.subscriptions.map(([sub]) => [sub, new Map()])); // what a user would see
    this.cursor = 0;
    this.unanswered = new Map(); // txId -> {frame, shows, resolve}
    this.fetches = new Map(); // fetchId -> resolve
    this.broken = []; // rules that the server broke
    this.connections = 0;
    this.resent = 0; // transactions that were under way when a connection ended
    this.closes = []; // the codes with which the server closed
    this.putOffs = []; // the codes with which transactions were put off
    this.onDelta = () => {}; // told of each, as it comes
    this.start();
  }

  connect() {
    this.buffer = []; // deltas behind the cursor
    this.snapshot = null; // {sub, rows} while one is being received
    this.first = new Set(this.rows.keys()); // subscriptions that have not come up to date on this socket
    this.hello = null; // what an extended session is told first
    this.putOff = null; // the transaction behind which the others wait
    clearTimeout(this.retry);
    const socket = new WebSocket(this.url, this.extended ? ["skerry.v1"] : [], { perMessageDeflate: false });
    socket.on("open", () => this.resume());
    socket.on("message", (data, isBinary) => isBinary && this.message(data));
    socket.on("error", () => {}); // "close" follows
    socket.on("close", (code) => socket === this.socket && this.closed(code));
    this.socket = socket;
  }

  resume() {
    this.connections++;
    const since = this.cursor > 0 ? String(this.cursor) : null;
    for (const [subId, collection] of this.subscriptions) this.send({ t: "sub", subId, collection, since });
    for (const { frame } of this.unanswered.values()) this.send(frame);
    if (this.connections > 1) this.resent += this.unanswered.size;
  }

  closed(code) {
    this.closes.push(code);
    if (code >= 4000) this.violation(`closed with ${code}`);
    for (const resolve of this.fetches.values()) resolve(null);
    this.fetches.clear();
    if (!this.stopped) setTimeout(() => this.stopped || this.connect(), RETRY_MS);
  }

  stop() {
    this.stopped = true;
    this.socket.terminate();
  }

  /** Comes back with what it holds. */
  start() {
    this.stopped = false;
    this.connect();
  }

  send(frame) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(encode(frame));
  }

  /**
   * Sends a `mut` or `call` until it is answered, and returns the answer. `shows`: it changes rows of a subscription,
   * so it must have been seen when it is confirmed.
   */
  transact(frame, shows = false) {
    return new Promise((resolve) => {
      this.unanswered.set(frame.txId, { frame, shows, resolve });
      if (this.putOff === null) this.send(frame);
    });
  }

  /** Everything that was pending for this session has come: a page is read, and sent, after that. */
  async settle() {
    for (let n = 1; ; n++) {
      await until(() => this.socket.readyState === WebSocket.OPEN, "a connection");
      const fetchId = `settle-${this.connections}-${n}`;
      const page = new Promise((resolve) => this.fetches.set(fetchId, resolve));
      this.send({ t: "fetch", fetchId, collection: "nothing" });
      if (await page) return;
    }
  }

  violation(text) {
    this.broken.push(text);
  }

  message(data) {
    this.receive(decode(data));
  }

  receive(frame) {
    const handle = this[`on_${frame.t.replace("-", "_")}`];
    if (!handle) this.violation(`an unknown frame ${frame.t}`);
    else if (this.extended && (this.hello === null) !== (frame.t === "hello")) this.violation(`${frame.t}, not hello first`);
    else if (!this.extended && EXTENDED.has(frame.t)) this.violation(`a ${frame.t} without skerry.v1`);
    else if (this.snapshot && frame.t !== "snap" && frame.t !== "snap-end")
      this.violation(`a ${frame.t} within the snapshot of ${this.snapshot.sub}`);
    else if (frame.sub != null && !this.rows.has(frame.sub)) this.violation(`a ${frame.t} for ${frame.sub}`);
    else handle.call(this, frame, Number(frame.seq));
  }

  /** What was buffered becomes visible; the cursor moves, never back. */
  boundary(seq) {
    for (const { sub, key, op, cols } of this.buffer) {
      if (op === "delete") this.rows.get(sub).delete(key);
      else this.rows.get(sub).set(key, cols);
    }
    this.buffer = [];
    this.cursor = Math.max(this.cursor, seq);
  }

  on_snap({ sub, key, row }) {
    this.snapshot ??= { sub, rows: new Map() };
    if (this.snapshot.sub !== sub) this.violation(`a snap of ${sub} within the snapshot of ${this.snapshot.sub}`);
    if (this.snapshot.rows.has(key)) this.violation(`${key} twice in the snapshot of ${sub}`);
    this.snapshot.rows.set(key, row);
  }

  on_snap_end({ sub }, seq) {
    if (!this.first.delete(sub)) this.violation(`a snap-end of ${sub} that nobody asked for`);
    this.rows.set(sub, this.snapshot?.rows ?? new Map());
    this.snapshot = null;
    this.boundary(seq);
  }

  on_d(frame, seq) {
    if (!(seq > this.cursor)) this.violation(`a delta at ${seq} below the cursor ${this.cursor}`);
    if ((frame.op === "delete") !== (frame.cols == null)) this.violation(`${frame.op} of ${frame.key}: columns`);
    this.buffer.push(frame);
    this.onDelta(frame, seq);
  }

  on_uptodate({ sub }, seq) {
    if (sub != null && !this.first.delete(sub)) this.violation(`an uptodate of ${sub} that nobody asked for`);
    this.boundary(seq);
  }

  on_reset({ sub }) {
    if (this.cursor === 0) this.violation(`${sub} was refused`);
  }

  on_committed(frame, seq) {
    if (this.unanswered.get(frame.txId)?.shows && this.cursor < seq)
      this.violation(`committed ${frame.txId} at ${seq}, but the cursor was ${this.cursor}`);
    if (this.buffer.length > 0) this.violation(`committed ${frame.txId} between a delta and its boundary`);
    this.boundary(seq);
    this.answer(frame.txId, { seq, result: frame.result ?? null, error: null });
  }

  on_hello(frame) {
    this.hello = frame;
  }

  on_gone({ retryMs }) {
    if (!(retryMs > 0)) this.violation(`gone for ${retryMs} ms`);
  }

  /** Not decided: it is kept, and with it what is behind it. */
  on_put_off(txId, { code }, retryMs) {
    const transaction = this.unanswered.get(txId);
    if (!this.extended || !transaction) return this.violation(`${txId} was put off`);
    this.putOffs.push(code);
    this.putOff ??= txId;
    if (this.putOff !== txId) return;
    this.retry = setTimeout(() => this.send(transaction.frame), retryMs);
  }

  on_rejected({ txId, error, seq, retryMs }) {
    if (retryMs != null) return this.on_put_off(txId, error, retryMs);
    if (!this.extended && seq != null) this.violation(`the position of a rejection without skerry.v1`);
    this.answer(txId, { seq: null, result: null, error: { code: error.code ?? null, message: error.message } });
  }

  on_page({ fetchId }) {
    this.fetches.get(fetchId)?.(true);
    this.fetches.delete(fetchId);
  }

  answer(txId, answer) {
    const transaction = this.unanswered.get(txId);
    if (!transaction) return this.violation(`a second answer to ${txId}`);
    this.unanswered.delete(txId);
    if (this.putOff === txId) {
      this.putOff = null;
      for (const { frame } of this.unanswered.values()) this.send(frame);
    } else if (this.putOff !== null) this.violation(`${txId} was decided before ${this.putOff}, which was put off`);
    transaction.resolve(answer);
  }
}

/** The first row in which two clients differ, as text; null if they hold the same. */
export function difference(held, expected) {
  for (const [name, rows] of expected) {
    const keys = [...new Set([...held.get(name).keys(), ...rows.keys()])];
    const key = keys.find((one) => !isDeepStrictEqual(held.get(name).get(one), rows.get(one)));
    if (key === undefined) continue;
    const [is, should] = [held, expected].map((all) => JSON.stringify(all.get(name).get(key))?.slice(0, 500));
    return `${key} of ${name} is ${is} and should be ${should}`;
  }
  return null;
}
