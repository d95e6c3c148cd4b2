/*
 * stopped - readers that stop reading while a great many changes are made, and read on: what do they cost the server, what
 * do the others notice, and do they converge in one catch-up that has each key once?
 *
 *   SKERRY_BIN=./skerry node tests/fanout/stopped.mjs [--changes 150000] [--seconds 0] [--readers 10]
 *
 * The same load, changes evenly over seconds, is played with a reader that reads, to warm up; with none; and with
 * `--readers` that have stopped. The long form is `--changes 1000000 --seconds 45 --readers 100`: the server closes who
 * takes nothing for 60 s. Memory is what there is, not by how much it grew, since an allocator gives back late; it differs
 * by 1.5 MiB from run to run, so that what a single reader costs is not seen. Times are printed and not judged. Ends with
 * the line `N passed, N failed`.
 */
import { parseArgs } from "node:util";

import { difference } from "../lib/client.mjs";
import { Server } from "../lib/server.mjs";
import { Tally } from "../lib/tally.mjs";
import { Bystander, Load, percentiles, told } from "./load.mjs";
import { Memory } from "./memory.mjs";
import { Reader } from "./reader.mjs";

const COST_MAX_KIB = 300; // of a reader that has stopped
const FAULT = /Sanitizer|runtime error|Assertion|.*child_died/;

const { values: options } = parseArgs({
  options: {
    changes: { type: "string", default: "150000" },
    seconds: { type: "string", default: "0" },
    readers: { type: "string", default: "10" },
  },
});
const changes = Number(options.changes);
const seconds = Number(options.seconds);
const tally = new Tally();

class Stage {
  constructor(server) {
    this.server = server;
    this.memory = new Memory(server);
    this.load = new Load(this.url("loader"));
    this.bystander = new Bystander(this.url("ann"), this.url("ben"));
  }

  url(user) {
    return this.server.url("crowded", user);
  }

  /** One comes after the other: a herd's snapshots would cost more than all that is measured here. */
  async readers(n) {
    const readers = [];
    for (let i = 0; i < n; i++) {
      readers.push(new Reader(this.url(`reader-${i}`)));
      await readers[i].settle();
    }
    return readers;
  }

  /** The load, once. Returns the server's memory, at most and in the end, in KiB, and the bystander's times. */
  async play(name) {
    let isOver = false;
    const loading = this.load.run(changes, seconds).finally(() => (isOver = true));
    const watching = this.bystander.writeWhile(() => !isOver);
    const peak = await this.memory.peak(loading);
    const made = await loading;
    tally.check(made >= changes, `${name}: ${made} of ${changes} changes`);
    const { committed, delivered } = await watching;
    const rest = await this.memory.settled();
    console.log(
      `${name}: ${made} changes; memory ${peak} KiB at most, ${rest} KiB in the end; ` +
        `bystander: committed ${told(committed)}, delivered ${told(delivered)}`,
    );
    return { peak, rest, committed, delivered };
  }

  async playRead(name) {
    const [reader] = await this.readers(1);
    const result = await this.play(name);
    await this.checkEnd(name, [reader]);
    return result;
  }

  /** With `n` readers that have stopped, and read on when the load is over. */
  async playStopped(name, n) {
    const readers = await this.readers(n);
    for (const reader of readers) reader.stopReading();
    const result = await this.play(name);
    for (const reader of readers) reader.readOn();
    await this.checkEnd(name, readers);
    for (const [i, reader] of readers.entries()) this.checkCatchUp(`${name}, reader ${i}`, reader);
    return result;
  }

  /** All of them hold what a fresh one finds, by the rules. */
  async checkEnd(name, readers) {
    const fresh = new Reader(this.url("fresh"));
    await Promise.all([fresh, ...readers].map((reader) => reader.settle()));
    for (const [i, reader] of readers.entries()) {
      const differs = difference(reader.rows, fresh.rows);
      tally.check(differs === null, `${name}, reader ${i}: ${differs}`);
      tally.check(reader.broken.length === 0, `${name}, reader ${i}: ${reader.broken[0]}`);
      tally.check(reader.connections === 1, `${name}, reader ${i}: was closed with ${reader.closes}`);
    }
    [fresh, ...readers].forEach((reader) => reader.stop());
  }

  checkCatchUp(name, { stale, caughtUp }) {
    const total = [...caughtUp.values()].reduce((a, b) => a + b, 0);
    const what = `${stale} deltas in the socket's buffers, then ${total} of ${caughtUp.size} keys`;
    if (name.endsWith("reader 0")) console.log(`${name}: ${what}`);
    tally.check(caughtUp.size > 0, `${name}: it never fell behind: ${what}`);
    // The frame that the socket had begun is the router's, and not among the kernel's bytes.
    tally.check(total <= caughtUp.size + 1, `${name}: a key came ${Math.max(...caughtUp.values())} times: ${what}`);
  }

  stop() {
    this.load.client.stop();
    this.bystander.stop();
  }
}

async function playAll(stage) {
  await stage.load.found();
  await stage.playRead("warming up");
  await compareCrowd(stage, Number(options.readers));
}

async function compareCrowd(stage, n) {
  const without = await stage.play("nobody reads");
  const crowd = await stage.playStopped(`${n} have stopped`, n);
  const ratio = (what, p) => `${p} ${(crowd[what][p] / without[what][p]).toFixed(2)}`;
  const of = (what) => `${what} ${ratio(what, "p50")}, ${ratio(what, "p99")}`;
  console.log(`the bystander's times with ${n} that have stopped, to those without: ${of("committed")}; ${of("delivered")}`);
  for (const when of ["peak", "rest"]) {
    const each = Math.round((crowd[when] - without[when]) / n);
    console.log(`each of the ${n} costs ${each} KiB (${when})`);
    tally.check(each < COST_MAX_KIB, `each of ${n} that have stopped costs ${each} KiB (${when})`);
  }
}

const server = new Server("board", { shards: 1 });
await server.start();
const stage = new Stage(server);
try {
  await playAll(stage);
} catch (error) {
  tally.check(false, error.stack);
}
stage.stop();
tally.check(server.fault(FAULT) === null, `the server complained: ${server.fault(FAULT)}`);
await server.stop();
if (tally.failed > 0) console.log(`the log is left in ${server.folder}`);
else server.remove();
tally.end();
process.exit(); // also when clients of a failed phase are still trying
