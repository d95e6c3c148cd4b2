/*
 * herd - many clients ask at the same moment for a snapshot of many rows, over slow sockets, while somebody writes: by how
 * much does the server's memory grow, how long do writes take, and does each client end with exactly the rows?
 *
 *   SKERRY_BIN=./skerry HERD_BIN=./tests/fanout/herd node tests/fanout/herd.mjs
 *       [--clients 200] [--rows 20000] [--kib-per-second 1024]
 *
 * The long form is `--rows 500000`. The clients are those of herd.c. Memory may grow by 30 MiB for 200 of them. Times are
 * printed and not judged. Ends with the line `N passed, N failed`.
 */
import { spawn } from "node:child_process";
import { parseArgs } from "node:util";
import { createInterface } from "node:readline";
import { resolve } from "node:path";
import { setTimeout as nap } from "node:timers/promises";

import { Client } from "../lib/client.mjs";
import { Server } from "../lib/server.mjs";
import { Tally } from "../lib/tally.mjs";
import { percentiles, told } from "./load.mjs";
import { Memory } from "./memory.mjs";

const program = resolve(process.env.HERD_BIN ?? "build/tests/fanout/herd");
const SCOPE = "herd";
const SEEDED_AT_ONCE = 5000;
const OTHERS = 2000; // rows that are written meanwhile, spread over those of the seed
const SCATTER = 997; // in which order
const WRITES = 7; // of one of them, before the next: what was written first is not mended by what is written last
const FAULT = /Sanitizer|runtime error|Assertion|.*child_died/;
const PAUSE_MS = 2; // between two writes
const ALONE = 1000; // writes without a herd, for comparison
const GROWTH_MAX_KIB = 30 * 1024;

const { values: options } = parseArgs({
  options: {
    clients: { type: "string", default: "200" },
    rows: { type: "string", default: "20000" },
    "kib-per-second": { type: "string", default: "1024" },
  },
});
const clients = Number(options.clients);
const rows = Number(options.rows);
const tally = new Tally();

/** Inserts, updates and deletes tasks one at a time, and notes how long each takes, in ms. */
class Writer {
  constructor(url) {
    this.client = new Client(url);
    this.there = new Set();
    this.n = 0;
  }

  async transact(frame) {
    const { error } = await this.client.transact({ txId: `write-${this.n++}`, ...frame });
    if (error) throw new Error(`a write was rejected: ${error.message}`);
  }

  async seed() {
    for (let from = 0; from < rows; from += SEEDED_AT_ONCE) {
      const args = { from, n: Math.min(SEEDED_AT_ONCE, rows - from) };
      await this.transact({ t: "call", name: "seed", args });
    }
  }

  insert(key) {
    const cols = { title: `written ${this.n}`, status: "open", score: this.n % 100, updated_at: this.n };
    return this.transact({ t: "mut", collection: "tasks", ops: [{ type: "insert", key, cols }] });
  }

  change(type, key, cols) {
    return this.transact({ t: "mut", collection: "tasks", ops: [{ type, key, cols }] });
  }

  /** Each of the rows in turn is inserted, updated some times, and now and then deleted. */
  write() {
    const turn = Math.floor(this.n / WRITES);
    const number = Math.floor((rows * ((turn * SCATTER) % OTHERS)) / OTHERS);
    const key = `seed-${String(number).padStart(8, "0")}+`;
    if (!this.there.has(key)) return this.there.add(key) && this.insert(key);
    if (turn % 3 > 0 || this.n % WRITES !== WRITES - 1) return this.change("update", key, { score: this.n % 100 });
    this.there.delete(key);
    return this.change("delete", key);
  }

  async writeWhile(condition) {
    const samples = [];
    while (condition(samples.length)) {
      const start = performance.now();
      await this.write();
      samples.push(performance.now() - start);
      await nap(PAUSE_MS);
    }
    return percentiles(samples);
  }
}

/** The program herd. `live` resolves when all have their snapshots, `ended` with its status and what it said. */
class Herd {
  constructor(server, n) {
    const url = server.url(SCOPE, "reader").replace(SCOPE, "{scope}");
    const args = ["--url", url, "--scope", SCOPE, "--clients", n, "--rows", rows];
    args.push("--kib-per-second", options["kib-per-second"]);
    this.process = spawn(program, args.map(String), { stdio: ["ignore", "pipe", "pipe"] });
    process.on("exit", () => this.process.kill("SIGKILL"));
    this.said = "";
    this.process.stderr.on("data", (text) => (this.said += text));
    const lines = createInterface(this.process.stdout);
    const live = new Promise((done) => lines.on("line", (line) => (line === "live" ? done() : (this.said += line))));
    this.ended = new Promise((done) => {
      this.process.on("error", (error) => done({ status: error.message, said: "" }));
      this.process.on("close", (status) => done({ status, said: this.said }));
    });
    this.live = Promise.race([live, this.ended]);
  }
}

/** One client alone: what is made once, for the first snapshot, is there. */
async function warmUp(server, writer) {
  const herd = new Herd(server, 1);
  await herd.live;
  await writer.insert("sealed");
  const { status, said } = await herd.ended;
  if (status !== 0) throw new Error(`one client alone: ${status} ${said}`);
  await writer.change("delete", "sealed");
}

async function play(server) {
  const memory = new Memory(server);
  const writer = new Writer(server.url(SCOPE, "writer"));
  await writer.seed();
  await warmUp(server, writer);
  const alone = await writer.writeWhile((n) => n < ALONE);
  const before = await memory.settled();

  const herd = new Herd(server, clients);
  let isLive = false;
  const live = herd.live.then(() => (isLive = true));
  const writing = writer.writeWhile(() => !isLive);
  const growth = (await memory.peak(live)) - before;
  const among = await writing;
  await writer.insert("sealed");
  const { status, said } = await herd.ended;

  tally.check(status === 0, `the herd ended with ${status}: ${said}`);
  if (status === 0) console.log(`herd: ${said}`);
  tally.check(growth < GROWTH_MAX_KIB, `memory grew by ${growth} KiB`);
  console.log(`memory grew by ${growth} KiB, from ${before} KiB, and is ${await memory.settled()} KiB in the end`);
  tally.check(among.n > 0, "nobody wrote meanwhile");
  const ratio = (among.p99 / alone.p99).toFixed(2);
  console.log(`writes: alone ${told(alone)}; among the herd ${told(among)}; ratio of p99 ${ratio}`);
  writer.client.stop();
}

const server = new Server("board", { shards: 1 });
await server.start();
try {
  await play(server);
} catch (error) {
  tally.check(false, error.stack);
}
tally.check(server.fault(FAULT) === null, `the server complained: ${server.fault(FAULT)}`);
await server.stop();
if (tally.failed > 0) console.log(`the log is left in ${server.folder}`);
else server.remove();
tally.end();
process.exit(); // also when clients of a failed run are still trying
