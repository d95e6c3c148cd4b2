/*
 * breaks - journals whose disk fails under load, again and again; then: is what was confirmed there, once, did nobody
 * see what was lost, and did the server go on by itself?
 *
 *   SKERRY_BIN=./skerry node tests/crash/breaks.mjs [--rounds 100] [--seed S] [--app board|chat]
 *
 * The worker runs with failing.so, from the build's tests/crash. A round breaks the journals in one way while writers
 * write, until that has shown, and mends the disk; in every third, the worker is killed while they are broken, in
 * others it has to get over it. Output as of crash.mjs.
 */
import { rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { Random } from "../lib/random.mjs";
import { Server, program, until } from "../lib/server.mjs";
import { Tally } from "../lib/tally.mjs";
import { checkEnd } from "./files.mjs";
import { Scope } from "./scope.mjs";
import { workloads } from "./workload.mjs";

const SCOPES = ["one", "two", "three"];
const WRITERS = 2;
const TRANSACTIONS = 40; // per writer and round
const WAYS = ["write 5", "write 28", "tear 5", "tear 28", "sync 5", "sync 28"]; // of failing.c, with EIO and ENOSPC
const library = resolve(dirname(program), "tests/crash/failing.so");

const { values: options } = parseArgs({
  options: { rounds: { type: "string", default: "100" }, seed: { type: "string" }, app: { type: "string" } },
});
const seed = Number(options.seed ?? Date.now() % 1000000);
const random = new Random(seed);
const tally = new Tally();

/** Breaks the journals in the middle of the load, and mends them once one was seen broken. */
async function round(server, scopes, way, isKill) {
  const total = scopes.length * WRITERS * TRANSACTIONS;
  const breaks = () => server.logged(/ journal_broken /);
  const before = breaks();
  let answered = 0;
  let trouble = null;
  const cause = async () => {
    writeFileSync(server.switch, way);
    await until(() => breaks() > before, "a journal to break");
    if (isKill) await server.killRole("worker");
    rmSync(server.switch);
  };
  const at = random.below(total);
  const onAnswer = () => {
    if (++answered >= at) trouble ??= cause();
  };
  await Promise.all(scopes.map((scope) => scope.load(TRANSACTIONS, onAnswer)));
  await trouble;
  return `${way}${isKill ? ", killed" : ""} after ${at} of ${total} answers`;
}

async function playRounds(server, scopes, rounds) {
  let ways = [];
  for (const scope of scopes) await scope.found();
  for (let i = 1; i <= rounds; i++) {
    if (ways.length === 0) ways = random.shuffled(WAYS);
    const what = await round(server, scopes, ways.pop(), i % 3 === 0);
    await Promise.all(scopes.map((scope) => scope.check(tally)));
    console.log(`${server.app} round ${i} of ${rounds}: ${what}; ${tally.passed} checks`);
  }
  const resent = scopes.flatMap((scope) => scope.clients()).reduce((sum, client) => sum + client.resent, 0);
  tally.check(resent > 0, `${server.app}: no write was under way at any break`);
  tally.check(server.logged(/ journal_mended /) > 0, `${server.app}: no journal went on by itself`);
}

async function run(app, rounds) {
  const server = new Server(app);
  server.switch = join(server.folder, "switch");
  server.env = { LD_PRELOAD: library, FAILING_SWITCH: server.switch };
  await server.start();
  const scopes = SCOPES.map((name) => new Scope(server, workloads[app], name, WRITERS, random));
  try {
    await playRounds(server, scopes, rounds);
    await checkEnd(server, scopes, tally);
  } catch (error) {
    tally.check(false, `${app}: ${error.stack}`);
  }
  if (tally.failed > 0) console.log(`the data folder and the log are left in ${server.folder}`);
  else server.remove();
}

console.log(`seed ${seed}`);
const apps = options.app ? [options.app] : Object.keys(workloads);
for (const app of apps) if (tally.failed === 0) await run(app, Math.ceil(Number(options.rounds) / apps.length));
tally.end();
process.exit(); // also when clients of a failed round are still trying
