/*
 * power - power cuts under load, again and again; then: is what was confirmed there, once, and did nobody ever see what
 * was lost?
 *
 *   SKERRY_BIN=./skerry node tests/crash/power.mjs [--rounds 100] [--seed S] [--app board|chat]
 *
 * The worker runs with lossy.so, from the build's tests/crash, which says what it did to its disk and what it synced. All processes end at once, and
 * the data folder becomes what a power cut could have left of it (disk.mjs), or all of it, as after a kill -9: then the
 * next power cut takes what that left unsynced. Meanwhile scopes are created, left and come back to; schemas change; and
 * some rounds fill several segments of the journal. Output as of crash.mjs.
 */
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { Random } from "../lib/random.mjs";
import { Server, program, until } from "../lib/server.mjs";
import { Tally } from "../lib/tally.mjs";
import { Disk } from "./disk.mjs";
import { checkFile, checkIntegrity, openFiles } from "./files.mjs";
import { Scope } from "./scope.mjs";
import { large, workloads } from "./workload.mjs";

const BUSY = ["one", "two"]; // scopes with clients all the time; guests come and go
const TRANSACTIONS = 16; // per writer and round
const EXTENDED = ["w1"]; // who speak skerry.v1
const GUESTS = 3; // old ones that come in a round, besides a new one
const LARGE_EVERY = 4; // rounds
const MIGRATION_EVERY = 3; // rounds
const SYNC_US = 1500;
const OPS = { first: 20, last: 1200, large: 18000 }; // what a worker does to its disk: at its start, and in a round
const FAULT = /\S+ error .*|.*(child_died|checkpoint_failed|Assertion)/;
const library = resolve(dirname(program), "tests/crash/lossy.so");

const { values: options } = parseArgs({
  options: { rounds: { type: "string", default: "100" }, seed: { type: "string" }, app: { type: "string" } },
});
const seed = Number(options.seed ?? Date.now() % 1000000);
const random = new Random(seed);
const tally = new Tally();

/** A server and its disk. */
class Machine {
  constructor(app) {
    this.server = new Server(app);
    this.server.source = join(this.server.folder, app);
    cpSync(new URL(`../../examples/${app}`, import.meta.url), this.server.source, { recursive: true });
    this.disk = new Disk(this.server.data);
    this.log = join(this.server.folder, "disk.log");
    this.migrations = 0;
  }

  /** Starts it; behind its operation number `dieAt` on the disk, if any, all is over. */
  async start(dieAt = 0) {
    rmSync(this.log, { force: true });
    const ours = { LOSSY_ROOT: this.server.data, LOSSY_LOG: this.log, LOSSY_SYNC_US: SYNC_US, LOSSY_DIE_AT: dieAt };
    this.server.env = { LD_PRELOAD: library, ...ours };
    await this.server.start();
  }

  /** From a start to operation `dieAt`, or until `enough` is settled. */
  async live(dieAt, enough) {
    let refused = null;
    await this.start(dieAt).then(
      () => Promise.race([this.server.ended, enough]),
      (error) => (refused = error),
    );
    const what = await this.end();
    if (refused && this.n < dieAt) throw refused;
    return what;
  }

  /** Everything ends, and the disk holds what it can hold then. Says what it was. */
  async end() {
    await this.server.killAll();
    this.n = this.disk.replay(readFileSync(this.log));
    const isCut = random.below(3) > 0;
    if (isCut) this.disk.cut(random);
    this.disk.write();
    return `${isCut ? "cut" : "kill"} at ${this.n}`;
  }

  /** The next change of the schema: a column, or other values in it. */
  migrate() {
    const table = { board: "notes", chat: "messages" }[this.server.app];
    const column = `m${Math.ceil(++this.migrations / 2)}`;
    const name = `${String(this.migrations + 1).padStart(4, "0")}_${column}.sql`;
    const sql =
      this.migrations % 2 === 1
        ? `ALTER TABLE ${table} ADD COLUMN ${column} INTEGER NOT NULL DEFAULT 0;`
        : `UPDATE ${table} SET ${column} = ${column} + 1;`;
    const path = join(this.server.source, { board: "board", chat: "room" }[this.server.app], name);
    writeFileSync(`${path}.new`, sql);
    renameSync(`${path}.new`, path);
  }

  /** Until it runs with the app as it was changed meanwhile. */
  async reloaded() {
    const starts = () => this.server.logged(/ router_ready /);
    const before = starts();
    await until(() => starts() > before, "the changed app");
  }
}

/** The scopes of a run, and what they go through. */
class World {
  constructor(machine) {
    this.machine = machine;
    this.app = machine.server.app;
    this.workload = workloads[this.app];
    this.busy = BUSY.map((name) => this.create(name, 2));
    this.guests = [];
    this.large = large[this.app] && this.create("large", 1, large[this.app]);
  }

  create(name, writers, workload = this.workload) {
    return new Scope(this.machine.server, workload, name, writers, random, EXTENDED);
  }

  all() {
    return [...this.busy, ...this.guests, ...(this.large ? [this.large] : [])];
  }

  async found() {
    await Promise.all(this.busy.map((scope) => scope.found()));
    await this.large?.found();
  }

  migrate() {
    this.machine.migrate();
    for (const scope of this.all()) scope.schemas++;
  }

  /** A new guest, and old ones that come back, write, and go. */
  async visits() {
    this.visitors = random.shuffled(this.guests).slice(0, GUESTS);
    for (const scope of this.visitors) scope.come();
    const fresh = this.create(`guest-${this.guests.length}`, 1);
    this.guests.push(fresh);
    await fresh.found();
    this.visitors.push(fresh);
    await Promise.all(this.visitors.map((scope) => this.visit(scope)));
  }

  async visit(scope) {
    await scope.load(TRANSACTIONS / 2, () => {});
    scope.leave();
  }

  async load(isLarge) {
    const loads = this.busy.map((scope) => scope.load(TRANSACTIONS, () => {}));
    if (isLarge) loads.push(this.large.load(this.large.workload.n, () => {}));
    await Promise.all([...loads, this.visits()]);
  }

  async check() {
    const scopes = [...this.visitors, ...this.busy, ...(this.large ? [this.large] : [])];
    for (const scope of this.visitors) scope.come();
    await Promise.all(scopes.map((scope) => scope.check(tally)));
    for (const scope of this.visitors) scope.leave();
  }
}

/** One of a worker's operations on its disk, the early ones more often than the others. */
function someOp(isLarge) {
  const last = isLarge ? OPS.large : OPS.last;
  return random.below(2) === 0 ? random.below(last) + 1 : Math.floor(OPS.first * (last / OPS.first) ** random.next());
}

async function round(machine, world, i) {
  const started = Date.now();
  const migrates = i % MIGRATION_EVERY === 0;
  const isLarge = world.large !== undefined && i % LARGE_EVERY === 0;
  const lives = [];
  if (migrates && random.below(2) === 0) world.migrate();
  const load = world.load(isLarge);
  for (let n = random.below(4); n > 0; n--) {
    lives.push(await machine.live(someOp(isLarge), load));
    checkIntegrity(machine.server, tally);
  }
  await machine.start();
  if (migrates && random.below(2) === 0) {
    world.migrate();
    await machine.reloaded();
  }
  await load;
  await world.check();
  lives.push(await machine.end());
  checkIntegrity(machine.server, tally);
  return `${lives.join(", ")}${migrates ? ", migrated" : ""}, ${Date.now() - started} ms`;
}

/** Resolves as `promise` does. Rejects when that takes too long: clients try for ever. */
async function inTime(promise, what) {
  let result;
  await Promise.race([promise.then((value) => (result = { value })), until(() => result, what)]);
  return result.value;
}

async function playRounds(machine, world, rounds) {
  await world.found();
  await machine.end();
  for (let i = 1; i <= rounds && tally.failed === 0; i++) {
    const what = `${world.app} round ${i} of ${rounds}`;
    console.log(`${what}: ${await inTime(round(machine, world, i), what)}; ${tally.passed} checks`);
  }
}

/** Stops the server and looks into its files. */
async function playEnd(machine, world) {
  await machine.start();
  for (const scope of world.all()) scope.leave();
  tally.check((await machine.server.stop()) === 0, `${world.app}: the server did not stop cleanly`);
  const files = openFiles(machine.server);
  for (const scope of world.all()) checkFile(scope, files.get(machine.server.scope(scope.name)), tally);
}

async function run(app, rounds) {
  const machine = new Machine(app);
  await machine.start();
  const world = new World(machine);
  try {
    await playRounds(machine, world, rounds);
    if (tally.failed === 0) await playEnd(machine, world);
  } catch (error) {
    tally.check(false, `${app}: ${error.stack}`);
  }
  const fault = machine.server.fault(FAULT);
  tally.check(fault === null, `${app}: the log tells of a fault: ${fault}`);
  if (tally.failed > 0) console.log(`the data folder and the log are left in ${machine.server.folder}`);
  else machine.server.remove();
}

console.log(`seed ${seed}`);
const apps = options.app ? [options.app] : Object.keys(workloads);
for (const app of apps) if (tally.failed === 0) await run(app, Math.ceil(Number(options.rounds) / apps.length));
tally.end();
process.exit(); // also when clients of a failed round are still trying
