/*
 * load - changes of a scope's tasks, in a great number: by turns one command that changes many rows, and a transaction of
 * ordinary mutations. And the latency that a bystander sees meanwhile, who writes notes and waits for each.
 */
import { setTimeout as nap } from "node:timers/promises";

import { Client } from "../lib/client.mjs";

export const ROWS = 2000; // that are there throughout
const TOUCHED = 1000; // of them by one command
const OPS = 100; // of a transaction
const OWN = 1000; // rows that these insert, update, delete
const IN_FLIGHT = 2;
const PAUSE_MS = 2; // of the bystander, between two writes

export class Load {
  constructor(url) {
    this.client = new Client(url);
    this.n = 0;
    this.there = new Set();
  }

  async send(frame) {
    const answer = await this.client.transact({ txId: `load-${this.n++}`, ...frame });
    if (answer.error) throw new Error(`the load was rejected: ${answer.error.message}`);
    return answer.seq;
  }

  found() {
    return this.send({ t: "call", name: "seed", args: { from: 0, n: ROWS } });
  }

  op(n) {
    const key = `own-${n % OWN}`;
    if (!this.there.has(key)) {
      this.there.add(key);
      return { type: "insert", key, cols: { title: `row ${n}`, status: "open", score: n % 100, updated_at: n } };
    }
    if (n % 7 > 0) return { type: "update", key, cols: { score: n % 100 } };
    this.there.delete(key);
    return { type: "delete", key };
  }

  next() {
    if (this.n % 2 === 0) return this.send({ t: "call", name: "touch", args: { n: TOUCHED } });
    const ops = Array.from({ length: OPS }, (_, i) => this.op(this.n * OPS + i));
    return this.send({ t: "mut", collection: "tasks", ops });
  }

  /** At least `changes`, evenly over `seconds`. Returns how many positions of the log they took. */
  async run(changes, seconds) {
    const first = await this.next();
    const start = Date.now();
    let last = first;
    const lane = async () => {
      while (last - first < changes) {
        const due = start + (1000 * seconds * (last - first)) / changes;
        if (due > Date.now()) await nap(due - Date.now());
        last = Math.max(last, await this.next());
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
    return last - first;
  }
}

/** Writes notes one at a time while another reads them, and notes how long both take, in ms. */
export class Bystander {
  constructor(writerUrl, readerUrl) {
    this.writer = new Client(writerUrl, ["notes"]);
    this.reader = new Client(readerUrl, ["notes"]);
    this.n = 0;
  }

  async writeWhile(condition) {
    const committed = [];
    const delivered = [];
    while (condition()) {
      const key = `note-${this.n++}`;
      const start = performance.now();
      const seen = new Promise((resolve) => {
        this.reader.onDelta = (frame) => frame.key === key && resolve(delivered.push(performance.now() - start));
      });
      const ops = [{ type: "insert", key, cols: { body: key } }];
      const answer = await this.writer.transact({ t: "mut", txId: key, collection: "notes", ops }, true);
      committed.push(performance.now() - start);
      if (answer.error) throw new Error(`a bystander's write was rejected: ${answer.error.message}`);
      await seen;
      await nap(PAUSE_MS);
    }
    return { committed: percentiles(committed), delivered: percentiles(delivered) };
  }

  stop() {
    this.writer.stop();
    this.reader.stop();
  }
}

export function percentiles(samples) {
  const sorted = samples.sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
  return { n: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

export const told = ({ n, p50, p99 }) => `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms of ${n}`;
