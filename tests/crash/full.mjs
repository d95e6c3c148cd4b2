/*
 * full - the disk fills under load, again and again, and is given space back; then: is what was confirmed there, once,
 * and did nobody suffer who did not write?
 *
 *   SKERRY_BIN=./skerry node tests/crash/full.mjs [--rounds 10] [--seed S]
 *
 * The data lies on a small file system of its own (disk-space.mjs). Writers of both contracts write, others only read.
 * While the disk is full, a writer of skerry.v1 is told STORAGE_FULL and keeps its transactions and its connection, one
 * of the base contract is closed with 1013; nobody else is closed, no process dies, and what is there can be read. When
 * there is space again, everything goes on by itself. Some rounds write rows so large that they fill segments of the
 * journal too. Output as of crash.mjs.
 */
import { join } from "node:path";
import { isDeepStrictEqual, parseArgs } from "node:util";

import { Random } from "../lib/random.mjs";
import { Server, until } from "../lib/server.mjs";
import { Tally } from "../lib/tally.mjs";
import { Space, enterNamespace } from "./disk-space.mjs";
import { checkEnd } from "./files.mjs";
import { Scope } from "./scope.mjs";
import { large, workloads } from "./workload.mjs";

const APP = "board";
const SCOPES = ["one", "two", "three"];
const WRITERS = 4; // per scope; half of them speak skerry.v1
const EXTENDED = ["w1", "w3", "reader-v1", "newcomer-v1"];
const TRANSACTIONS = 24; // per writer and round, and as many more as it takes to meet the full disk
const TRANSACTIONS_MAX = 5000;
const LARGE_EVERY = 2; // rounds
const MEBIBYTES = 400; // what the server holds when it has not been able to save anything for a while, and more
const FAULT = /Sanitizer|runtime error|Assertion|.*child_died/;

enterNamespace();
const { values: options } = parseArgs({
  options: { rounds: { type: "string", default: "10" }, seed: { type: "string" } },
});
const seed = Number(options.seed ?? Date.now() % 1000000);
const random = new Random(seed);
const tally = new Tally();
const newScopes = []; // {scope, founded}: they could not have a file while the disk was full

/** The clients of a scope: those who write, by contract, and those who only read. */
class Party {
  constructor(server, name, workload) {
    this.scope = new Scope(server, workload, name, WRITERS, random, EXTENDED);
    const clients = this.scope.writers.map(({ client }) => client);
    this.extended = clients.filter((client) => client.extended);
    this.base = clients.filter((client) => !client.extended);
    this.readers = [this.scope.watcher, this.scope.open("reader-v1")];
  }

  clients() {
    return [...this.scope.clients(), this.readers[1]];
  }

  load(before, onAnswer) {
    const sent = new Map(this.scope.writers.map((writer) => [writer, 0]));
    const wants = (writer) => {
      const n = sent.set(writer, sent.get(writer) + 1).get(writer);
      return n <= TRANSACTIONS || (n <= TRANSACTIONS_MAX && !hasMet(writer.client, before));
    };
    return this.scope.loadWhile(wants, onAnswer);
  }

  isRefused(before) {
    return [...this.extended, ...this.base].every((client) => hasMet(client, before));
  }
}

/** Whether a writer has been told of the full disk since `before`. */
function hasMet(client, before) {
  const list = client.extended ? "putOffs" : "closes";
  return client[list].length > before.get(client)[list];
}

/** How often each client has been closed, put off, and connected. */
function countsOf(parties) {
  const clients = parties.flatMap((party) => party.clients());
  return new Map(
    clients.map((client) => [client, { closes: client.closes.length, putOffs: client.putOffs.length }]),
  );
}

/** The disk is full, and each writer of `busy` has noticed. */
async function checkFull(server, parties, busy, before, pids) {
  for (const party of parties) {
    const named = (what) => `${party.scope.name}, disk full: ${what}`;
    const stayed = [...party.readers, ...party.extended];
    for (const client of stayed)
      tally.check(client.closes.length === before.get(client).closes, named(`${client.url} was closed: ${client.closes}`));
    for (const client of party.base)
      tally.check(client.closes.every((code) => code === 1013), named(`${client.url} was closed with ${client.closes}`));
    for (const client of party.extended)
      tally.check(client.putOffs.every((code) => code === "STORAGE_FULL"), named(`${client.url}: ${client.putOffs}`));
    await checkReading(party, named);
  }
  await checkNewScope(server);
  const now = server.children().map(({ pid }) => pid);
  tally.check(isDeepStrictEqual(now, pids), `disk full: the processes were ${pids} and are ${now}`);
  const breaks = await server.metric("skerry_shard_journal_breaks_total");
  tally.check(breaks === 0, `disk full: ${breaks} times a journal could not take what had been decided`);
}

/** Who comes now gets what the others hold. */
async function checkReading({ scope, readers }, named) {
  for (const user of ["newcomer", "newcomer-v1"]) {
    const fresh = scope.open(user);
    const agree = async () => {
      await Promise.all([fresh, ...readers].map((client) => client.settle()));
      return readers.every((reader) => isDeepStrictEqual(sorted(fresh), sorted(reader)));
    };
    await until(agree, () => named(`${user} to read what the others hold`));
    tally.check(fresh.broken.length === 0, named(`${user}: ${fresh.broken[0]}`));
    fresh.stop();
  }
}

function sorted({ rows }) {
  return [...rows].map(([name, held]) => [name, [...held].sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** A scope that has no file yet cannot get one, but it can be looked into. */
async function checkNewScope(server) {
  const scope = new Scope(server, workloads[APP], `new-${newScopes.length}`, 0, random, ["founder"]);
  const founded = scope.found();
  await until(() => scope.founder.client.putOffs.length > 0, "a new scope to be refused");
  await scope.watcher.settle();
  tally.check(scope.watcher.closes.length === 0, "disk full: the reader of a new scope was closed");
  scope.leave();
  scope.founder.client.start();
  newScopes.push({ scope, founded });
}

async function checkNewScopes() {
  for (const { scope, founded } of newScopes) {
    await founded;
    scope.come();
    await scope.check(tally);
    scope.leave();
  }
}

async function round(server, space, parties, busy) {
  const started = Date.now();
  const before = countsOf(parties);
  const pids = server.children().map(({ pid }) => pid);
  const at = 1 + random.below(busy.length * WRITERS * 8);
  let answers = 0;
  let isLoaded = false;
  const onAnswer = () => ++answers === at && space.fill();
  const load = Promise.all(busy.map((party) => party.load(before, onAnswer))).then(() => (isLoaded = true));
  const refused = () => busy.every((party) => party.isRefused(before));
  const what = () => `the disk to be full for all writers; ${answers} answers, ${space.bytesLeft} bytes left`;
  await until(() => refused() || isLoaded, what);
  tally.check(!isLoaded, "all was written, and not everybody met the full disk");
  await checkFull(server, parties, busy, before, pids);
  space.free();
  const missing = () => parties.flatMap((party) => party.clients()).filter(({ unanswered }) => unanswered.size > 0);
  const left = () => missing().map(({ url, unanswered, closes }) => `${url}: ${[...unanswered.keys()]} (${closes})`);
  await until(() => isLoaded, () => `all to be written; ${space.bytesLeft} bytes left, but\n${left().join("\n")}`);
  await load;
  return `full at answer ${at}, ${Date.now() - started} ms`;
}

async function playRounds(server, space, small, big, rounds) {
  const parties = [...small, big];
  await Promise.all(parties.map(({ scope }) => scope.found()));
  for (let i = 1; i <= rounds && tally.failed === 0; i++) {
    const isLarge = i % LARGE_EVERY === 0;
    const what = await round(server, space, parties, isLarge ? [...small, big] : small);
    await Promise.all(parties.map(({ scope }) => scope.check(tally)));
    console.log(`round ${i} of ${rounds}${isLarge ? ", large rows" : ""}: ${what}; ${tally.passed} checks`);
  }
}

async function run(server, space, rounds) {
  const small = SCOPES.map((name) => new Party(server, name, workloads[APP]));
  const big = new Party(server, "large", large[APP]);
  await playRounds(server, space, small, big, rounds);
  await checkNewScopes();
  for (const party of [...small, big]) party.clients().forEach((client) => client.stop());
  const scopes = [...small, big].map(({ scope }) => scope);
  await checkEnd(server, scopes, tally, FAULT);
}

console.log(`seed ${seed}`);
const server = new Server(APP);
const space = new Space(join(server.folder, "disk"), MEBIBYTES);
server.data = join(space.folder, "data");
await server.start();
try {
  await run(server, space, Number(options.rounds));
} catch (error) {
  tally.check(false, error.stack);
}
space.remove();
if (tally.failed > 0) console.log(`the log is left in ${server.log}`);
else server.remove();
tally.end();
process.exit(); // also when clients of a failed round are still trying
