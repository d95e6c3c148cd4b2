/*
 * writer - changes rows of the board's two collections at random, in transactions of many rows; what the rows must be in
 * the end is what a fresh client finds.
 */
import { Client } from "../lib/client.mjs";

const OPS_MAX = 128; // of a transaction
const BYTES_MAX = 512 * 1024; // of its notes: a frame is at most 1 MiB
const IN_FLIGHT = 2;

const columns = {
  tasks: (n) => ({ title: `task ${n}`, status: "open", score: n % 100, updated_at: n }),
  notes: (n, size) => ({ body: `note ${n}`.padEnd(size, " -"), num: n }),
};

export class Writer {
  /** `size` is how long a note is. */
  constructor(url, name, random, size) {
    Object.assign(this, { name, random, size, opsMax: Math.min(OPS_MAX, Math.floor(BYTES_MAX / size)) });
    this.client = new Client(url);
    this.keys = { tasks: [], notes: [] };
    this.n = 0;
  }

  /** One change of `collection`, and of `keys`, what it holds. */
  op(collection) {
    const keys = this.keys[collection];
    const at = this.random.below(keys.length + 1);
    const n = ++this.n;
    const cols = columns[collection](n, this.size);
    if (at === keys.length || this.random.below(4) === 0) {
      const key = `${this.name}-${n}`;
      keys.push(key);
      return { type: "insert", key, cols };
    }
    if (this.random.below(4) > 0) return { type: "update", key: keys[at], cols };
    const [key] = keys.splice(at, 1);
    return { type: "delete", key };
  }

  /** A transaction of `n` changes of one collection. */
  async write(n) {
    const collection = this.random.pick(["tasks", "notes"]);
    const ops = Array.from({ length: Math.min(n, this.opsMax) }, () => this.op(collection));
    const answer = await this.client.transact({ t: "mut", txId: `${this.name}-tx-${this.n}`, collection, ops });
    if (answer.error) throw new Error(`a transaction was rejected: ${answer.error.message}`);
  }

  /** About `n` changes. */
  async writeRows(n) {
    for (let left = n; left > 0; left -= this.opsMax) await this.write(left);
  }

  async writeWhile(condition) {
    const lane = async () => {
      while (condition()) await this.write(1 + this.random.below(8));
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  }
}
