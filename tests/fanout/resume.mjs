/*
 * resume - a socket that is cut at any byte of a resume of three subscriptions, several times in a row, with writes
 * going on; the same for a reset and its snapshots, after an older backup was restored. In the end, does the client hold
 * what a fresh one finds?
 *
 *   SKERRY_BIN=./skerry node tests/fanout/resume.mjs [--rounds 100] [--seed S] [--journey resume|reset]
 *
 * Each round is a scope of its own, and one seed: the rounds of `--seed S` are S, S + 1, ... How long the resume is, a twin
 * of the client finds out first. Prints the seeds and the sum of what was done, and ends with the line `N passed, N
 * failed`. After a failure it stops and leaves the data folder, whose name it prints.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";

import { difference } from "../lib/client.mjs";
import { Random } from "../lib/random.mjs";
import { Server, until } from "../lib/server.mjs";
import { Tally } from "../lib/tally.mjs";
import { Traveller } from "./traveller.mjs";
import { Writer } from "./writer.mjs";

const AT_ONCE = 4; // rounds
const CUTS_MAX = 6; // of a round
const ROWS_MAX = 3000;
const WIDE_EVERY = 16; // rounds: their notes are large, so that no socket's buffers hold a resume
const WIDE = 16384;
const WIDE_ROWS = 1000;
const ROUND_MS = 60000;
const FAULT = /Sanitizer|runtime error|Assertion|.*child_died/;

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "100" },
    seed: { type: "string" },
    journey: { type: "string" },
  },
});
const firstSeed = Number(options.seed ?? Date.now() % 1000000);
const tally = new Tally();
const total = { cuts: 0, bytes: 0, resets: 0 };

/** How the traveller comes to be behind: it goes away, and the rows change. */
const journeys = {
  async resume(server, scope, traveller, writer, size) {
    traveller.stop();
    await writer.writeRows(size());
    await writer.writeRows(size());
  },

  async reset(server, scope, traveller, writer, size) {
    const file = join(server.folder, `${scope}.db`);
    await command(server, "backup", server.scope(scope), file);
    await writer.writeRows(size());
    await traveller.settle();
    traveller.stop();
    await command(server, "restore", server.scope(scope), file, "--discard");
    await writer.writeRows(size());
  },
};

/** One at a time: a shard makes or takes back one backup. */
let commands = Promise.resolve();
function command(server, ...args) {
  const run = async () => {
    const { status, err } = await server.command(...args);
    if (status !== 0) throw new Error(`${args.join(" ")}: ${err}`);
  };
  return (commands = commands.then(run));
}

/** One that holds the same comes back uncut: what it receives is what the traveller would. */
async function sendTwin(traveller) {
  const twin = traveller.twin();
  await twin.settle();
  twin.stop();
  return twin;
}

/** It comes back, is cut at each of `cuts`, and gets through in the end, while the writer goes on. */
async function comeBack(traveller, writer, cuts) {
  traveller.cuts = [...cuts];
  let isBack = false;
  const writing = writer.writeWhile(() => !isBack);
  const own = ["own-1", "own-2"].map((key) => {
    const ops = [{ type: "insert", key, cols: { body: key } }];
    return traveller.transact({ t: "mut", txId: key, collection: "notes", ops }, true);
  });
  const connections = traveller.connections;
  traveller.start();
  const what = () => `connection ${traveller.connections - connections} after the cuts at ${cuts}`;
  await until(() => traveller.connections === connections + cuts.length + 1, what);
  await traveller.settle();
  isBack = true;
  await Promise.all([writing, ...own]);
}

async function checkRows(traveller, twin, check) {
  const fresh = new Traveller(traveller.url);
  await Promise.all([traveller.settle(), fresh.settle()]);
  fresh.stop();
  const differs = difference(traveller.rows, fresh.rows);
  check(differs === null, differs);
  check(fresh.rows.get("notes").has("own-2"), "its own write is gone");
  for (const { broken } of [traveller, twin, fresh]) check(broken.length === 0, broken[0]);
}

async function play(server, journey, seed) {
  const random = new Random(seed);
  const scope = `${journey}-${seed}`;
  const isWide = seed % WIDE_EVERY === 0;
  const rows = isWide ? WIDE_ROWS : Math.ceil(ROWS_MAX ** (1 - random.next() * 0.7));
  const writer = new Writer(server.url(scope, "ben"), `w${seed}`, random, isWide ? WIDE : 20);
  await writer.writeRows(rows);
  await writer.writeRows(rows);
  const traveller = new Traveller(server.url(scope, "ann"));
  await traveller.settle();

  await journeys[journey](server, scope, traveller, writer, () => 1 + random.below(rows));
  const twin = await sendTwin(traveller);
  const length = twin.received;
  const cuts = Array.from({ length: 1 + random.below(CUTS_MAX) }, () => random.below(length));
  const check = (holds, what) => tally.check(holds, `${journey}, seed ${seed}, cuts at ${cuts} of ${length}: ${what}`);
  try {
    await comeBack(traveller, writer, cuts);
    await checkRows(traveller, twin, check);
    if (journey === "reset") check(traveller.resets >= 3, `${traveller.resets} resets`);
    else check(traveller.resets === 0, "a reset, although the log reaches back");
  } catch (error) {
    check(false, `${error.message}; ${traveller.broken}`);
  }
  traveller.stop();
  writer.client.stop();
  total.cuts += cuts.length;
  total.bytes += length;
  total.resets += traveller.resets;
}

function within(ms, work, what) {
  let timer;
  const late = new Promise((_, fail) => (timer = setTimeout(() => fail(new Error(`waited in vain for ${what}`)), ms)));
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** Some rounds at a time, each as soon as one before it is over. */
async function playAll(server, journey, rounds) {
  let next = 0;
  const lane = async () => {
    while (next < rounds && tally.failed === 0) {
      const seed = firstSeed + next++;
      await within(ROUND_MS, play(server, journey, seed), `the end of the round of ${journey} with seed ${seed}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  const { cuts, bytes, resets } = total;
  const sum = `${cuts} cuts in ${bytes} bytes, ${resets} resets; ${tally.passed} checks`;
  console.log(`${journey}: ${next} rounds; so far ${sum}`);
}

console.log(`seed ${firstSeed}`);
const server = new Server("board");
await server.start();
try {
  const chosen = options.journey ? [options.journey] : Object.keys(journeys);
  for (const journey of chosen) if (tally.failed === 0) await playAll(server, journey, Number(options.rounds));
} catch (error) {
  tally.check(false, error.stack);
}
tally.check(server.fault(FAULT) === null, `the server complained: ${server.fault(FAULT)}`);
await server.stop();
if (tally.failed > 0) console.log(`the data folder and the log are left in ${server.folder}`);
else server.remove();
tally.end();
process.exit(); // also when clients of a failed round are still trying
