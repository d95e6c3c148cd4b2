/*
 * abuse - everything that a hostile or broken client may send, while a well-behaved one works on the same scope.
 *
 *   SKERRY_BIN=./skerry node tests/abuse/abuse.mjs [--frames 100000] [--requests 5000] [--seed S]
 *
 * For a sanitizer's build as well: what it reports is in the log, and its exit status is another. Prints the seed, what
 * it does, and ends with the line `N passed, N failed`.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { Client } from "../lib/client.mjs";
import { Random } from "../lib/random.mjs";
import { Server } from "../lib/server.mjs";
import { Tally } from "../lib/tally.mjs";
import { badFrames, mutatedFrames, nesting, subscriptions } from "./frames.mjs";
import { late } from "./late.mjs";
import { answers, leavers, mutatedRequests, requests } from "./requests.mjs";
import { framing, sizes } from "./sockets.mjs";

const PEAK_BYTES_MAX = 1 << 30; // no claimed length is ever allocated

const { values: options } = parseArgs({
  options: {
    frames: { type: "string", default: "100000" },
    requests: { type: "string", default: "5000" },
    seed: { type: "string" },
  },
});
const seed = Number(options.seed ?? Date.now() % 1000000);

/** A client that writes a row and sees it, again and again, until it is told to stop. Returns how often it did. */
async function behave(client) {
  let n = 0;
  for (client.isDone = false; !client.isDone; n++) {
    const ops = [{ type: "insert", key: `good-${n}`, cols: { body: "good" } }];
    const answer = await client.transact({ t: "mut", txId: `good-${n}`, collection: "notes", ops }, true);
    if (answer.error || client.rows.get("notes").get(`good-${n}`)?.body !== "good")
      client.violation(`the good client's row ${n}: ${JSON.stringify(answer)}`);
  }
  return n;
}

function peakBytes(server) {
  const peaks = server
    .children()
    .map(({ pid }) => readFileSync(`/proc/${pid}/status`, "utf8").match(/VmHWM:\s+(\d+)/)[1]);
  return Math.max(...peaks) * 1024;
}

const context = { random: new Random(seed), tally: new Tally(), options, server: new Server("board") };
const { tally, server } = context;
console.log(`seed ${seed}`);
await server.start();
const pids = server.children().map(({ pid }) => pid);
const good = new Client(server.url("one", "good"), ["notes", "tasks"]);
const behaved = behave(good);
const isLateOver = late(context); // takes the minute of the server's patience, beside all the rest

const onFrames = [badFrames, nesting, subscriptions, framing, sizes];
const onRequests = [requests, answers, leavers, mutatedRequests];
for (const part of [...onFrames, ...onRequests, mutatedFrames]) {
  const started = Date.now();
  await part(context);
  console.log(`${part.name}: ${Date.now() - started} ms, ${tally.passed} checks`);
}
good.isDone = true;
const n = await behaved;
await isLateOver;

console.log(`the good client wrote ${n} rows; the largest process took ${peakBytes(server) >> 20} MiB`);
tally.check(n > 0 && good.connections === 1, `the good client connected ${good.connections} times and wrote ${n} rows`);
for (const what of new Set(good.broken)) tally.check(false, `the good client: ${what}`);
tally.check(peakBytes(server) < PEAK_BYTES_MAX, "the server took more than 1 GiB");
tally.check(String(server.children().map(({ pid }) => pid)) === String(pids), "a process of the server died");
good.stop();
tally.check((await server.stop()) === 0, "the server did not stop cleanly");
tally.check(server.fault() === null, `the log tells of a fault: ${server.fault()}`);
if (tally.failed === 0) server.remove();
else console.log(`the data folder and the log are left in ${server.folder}`);
tally.end();
