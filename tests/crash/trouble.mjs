/*
 * trouble - all ends, by a kill or a power cut, at any point of a restore and of the mending of a file that had failed;
 * then: is what was confirmed there, and is a restore done whole or not at all?
 *
 *   SKERRY_BIN=./skerry node tests/crash/trouble.mjs [--rounds 40] [--seed S]
 *
 * The worker runs with lossy.so, as in power.mjs. Output as of crash.mjs.
 */
import { createHash } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { Client } from "../lib/client.mjs";
import { Random } from "../lib/random.mjs";
import { Server, program, until } from "../lib/server.mjs";
import { Tally } from "../lib/tally.mjs";
import { Disk } from "./disk.mjs";

const library = resolve(dirname(program), "tests/crash/lossy.so");
const SPAN = { restore: 80, mending: 120 }; // operations on the disk that a round's work takes, roughly
const ROWS = 5; // that are written in a round

const { values: options } = parseArgs({ options: { rounds: { type: "string", default: "40" }, seed: { type: "string" } } });
const seed = Number(options.seed ?? Date.now() % 1000000);
const random = new Random(seed);
const tally = new Tally();

const server = new Server("board", { shards: 1 });
const scope = server.scope("tea");
const file = `${createHash("sha256").update(scope).digest("hex").slice(0, 32)}.db`;
const disk = new Disk(server.data);
const diskLog = join(server.folder, "disk.log");
const failing = join(server.folder, "failing");
const backup = join(server.folder, "backup.db");
let operations = 0; // on the disk, of the last life
let n = 0; // of rows that were written
let confirmed = new Set();
let rowsOfBackup = [];
let startTakes = 0; // operations, of a server that only reads

async function start(dieAt) {
  rmSync(diskLog, { force: true });
  server.env = { LD_PRELOAD: library, LOSSY_ROOT: server.data, LOSSY_LOG: diskLog, LOSSY_EIO: failing, LOSSY_DIE_AT: dieAt };
  await server.start();
}

/** Everything ends, and the disk holds what it can hold then. */
async function end() {
  await server.killAll();
  operations = disk.replay(readFileSync(diskLog));
  const isCut = random.below(3) > 0;
  if (isCut) disk.cut(random);
  disk.write();
  return `${isCut ? "cut" : "kill"} at ${operations}`;
}

const open = (user) => new Client(server.url("tea", user), ["notes"]);

async function write(client, rows) {
  for (let i = 0; i < rows; i++) {
    const key = `row-${++n}`;
    const frame = { t: "mut", txId: key, collection: "notes", ops: [{ type: "insert", key, cols: { body: key } }] };
    const { error } = await client.transact(frame, true);
    tally.check(error === null, `${key} was refused`);
    confirmed.add(key);
  }
}

/** What a fresh client gets. */
async function read() {
  const client = open("reader");
  await client.settle();
  await until(() => client.first.size === 0, "the rows");
  client.stop();
  return new Set(client.rows.get("notes").keys());
}

const isSame = (a, b) => a.size === b.size && [...a].every((one) => b.has(one));

/** Runs `work` until it is done or the machine dies, about `steps` operations after its start. */
async function dieWithin(steps, work) {
  await start(0);
  const client = open("writer");
  await write(client, ROWS);
  client.stop();
  await end();
  await start(startTakes + steps).catch(() => {});
  const life = { isOver: false };
  const done = await Promise.race([server.ended.then(() => null), work(life).catch(() => null)]);
  life.isOver = true;
  return { done, how: await end() };
}

async function restoreRound(steps) {
  const known = new Set(rowsOfBackup);
  const { done, how } = await dieWithin(steps, () => server.command("restore", scope, backup, "--discard"));
  await start(0);
  const rows = await read();
  const isRestored = isSame(rows, known);
  if (done?.status === 0) tally.check(isRestored, `a restore that was answered is gone (${how})`);
  else tally.check(isRestored || isSame(rows, confirmed), `a restore is half done: ${[...rows]} (${how})`);
  confirmed = rows;
  await end();
  startTakes = operations;
  return `restore, ${done?.status === 0 ? "answered" : "unanswered"}, ${isRestored ? "done" : "not done"}; ${how}`;
}

/** A start while the file fails, and its end. */
async function stayFailing() {
  writeFileSync(failing, file);
  await start(0);
  await end();
}

async function mendRound(steps) {
  const fail = random.below(2) === 0;
  const client = open("writer");
  const { how } = await dieWithin(steps, async (life) => {
    const inTrouble = async (n) => life.isOver || (await server.metric("skerry_shard_scopes_in_trouble")) === n;
    await write(client, 1);
    if (!life.isOver) writeFileSync(failing, file);
    client.stop();
    await until(() => inTrouble(1), "the trouble");
    if (!life.isOver) writeFileSync(failing, "");
    await until(() => inTrouble(0), "the mending");
  });
  client.stop();
  if (fail) await stayFailing();
  writeFileSync(failing, "");
  await start(0);
  const rows = await read();
  const lost = [...confirmed].filter((key) => !rows.has(key));
  tally.check(lost.length === 0, `${lost} were lost (${how})`);
  tally.check(rows.size <= confirmed.size + 1, `there are rows that nobody wrote (${how})`);
  confirmed = rows;
  await end();
  startTakes = operations;
  return `mending; ${how}`;
}

async function play(rounds) {
  writeFileSync(failing, "");
  await start(0);
  const client = open("writer");
  await write(client, 3);
  const { status, err } = await server.command("backup", scope, backup);
  tally.check(status === 0, `the backup failed: ${err}`);
  rowsOfBackup = [...confirmed];
  client.stop();
  await end();
  for (let i = 1; i <= rounds && tally.failed === 0; i++) {
    const [round, span] = i % 2 === 0 ? [restoreRound, SPAN.restore] : [mendRound, SPAN.mending];
    console.log(`round ${i} of ${rounds}: ${await round(random.below(span) + 1)}; ${tally.passed} checks`);
  }
}

console.log(`seed ${seed}`);
await play(Number(options.rounds)).catch((error) => tally.check(false, error.stack));
const fault = server.fault(/Sanitizer|Assertion|scope_damaged/);
tally.check(fault === null, `the log tells of a fault: ${fault}`);
if (tally.failed > 0) console.log(`the data folder and the log are left in ${server.folder}`);
else server.remove();
tally.end();
process.exit();
