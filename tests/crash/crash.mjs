/*
 * crash - kill -9 of worker, router or everything in the middle of writes, again and again; then: is what was confirmed
 * there, once, and is what the clients hold what the server holds?
 *
 *   SKERRY_BIN=./skerry node tests/crash/crash.mjs [--rounds 100] [--seed S] [--app board|chat]
 *
 * Without --app, half of the rounds go to each example. Prints the seed and a line a round, and ends with the line
 * `N passed, N failed`. After the first failed round it stops and leaves the data folder, whose name it prints.
 */
import { parseArgs } from "node:util";

import { Random } from "../lib/random.mjs";
import { Server, until } from "../lib/server.mjs";
import { Tally } from "../lib/tally.mjs";
import { checkEnd } from "./files.mjs";
import { Scope } from "./scope.mjs";
import { workloads } from "./workload.mjs";

const SCOPES = ["one", "two", "three"];
const WRITERS = 3; // per scope
const EXTENDED = ["w1"]; // of them, who speak skerry.v1
const TRANSACTIONS = 24; // per writer and round

const { values: options } = parseArgs({
  options: { rounds: { type: "string", default: "100" }, seed: { type: "string" }, app: { type: "string" } },
});
const seed = Number(options.seed ?? Date.now() % 1000000);
const random = new Random(seed);
const tally = new Tally();

const kills = {
  worker: (server) => server.killRole("worker"),
  router: (server) => server.killRole("router"),
  "worker, twice": (server) => server.killRole("worker").then(() => server.killRole("worker")),
  everything: (server) => server.killAllAndRestart(),
};

/** Writes in all scopes, and one kill at a random answer. Resolves when all is answered and the server is back. */
async function round(server, scopes, victim) {
  const total = scopes.length * WRITERS * TRANSACTIONS;
  const at = 1 + random.below(Math.floor(total * 0.8));
  const started = Date.now();
  let answers = 0;
  let isAnswered = false;
  let isBack = false;
  const kill = async () => {
    await kills[victim](server);
    isBack = true;
  };
  const onAnswer = () => ++answers === at && kill().catch((error) => tally.check(false, error.message));
  Promise.all(scopes.map((scope) => scope.load(TRANSACTIONS, onAnswer))).then(() => (isAnswered = true));
  const what = () => `the end of a round: the ${victim} was killed at answer ${at}, ${answers} of ${total} came`;
  await until(() => isAnswered && isBack, what);
  return `kill of ${victim} at answer ${at} of ${total}, ${Date.now() - started} ms`;
}

async function playRounds(server, scopes, rounds) {
  let victims = [];
  await Promise.all(scopes.map((scope) => scope.found()));
  for (let i = 1; i <= rounds && tally.failed === 0; i++) {
    if (victims.length === 0) victims = random.shuffled(Object.keys(kills));
    const what = await round(server, scopes, victims.pop());
    await Promise.all(scopes.map((scope) => scope.check(tally)));
    console.log(`${server.app} round ${i} of ${rounds}: ${what}; ${tally.passed} checks`);
  }
  const resent = scopes.flatMap((scope) => scope.clients()).reduce((sum, client) => sum + client.resent, 0);
  tally.check(resent > 0, `${server.app}: no write was under way at any kill`);
  console.log(`${server.app}: ${resent} transactions were under way at the kills`);
}

async function run(app, rounds) {
  const server = new Server(app);
  await server.start();
  const scopes = SCOPES.map((name) => new Scope(server, workloads[app], name, WRITERS, random, EXTENDED));
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
