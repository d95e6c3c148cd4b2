/*
 * A crowd of scopes that want something at the same moment: it is served in turns, and holds up nobody.
 */
import assert from "node:assert/strict";
import { test } from "node:test";

import { Client } from "../lib/client.mjs";
import { Server } from "../lib/server.mjs";

const CROWD = 200;

const insert = (client, key) =>
  client.transact({ t: "mut", txId: key, collection: "notes", ops: [{ type: "insert", key, cols: { body: key } }] });

/** A server with one shard, and clients of scopes of their own, all of them connected. */
async function crowd(t, n) {
  const server = new Server("board", { shards: 1 });
  await server.start();
  const clients = Array.from({ length: n }, (_, i) => new Client(server.url(`s${i}`, "ann"), ["notes"]));
  t.after(async () => {
    clients.forEach((client) => client.stop());
    await server.stop();
    server.remove();
  });
  await Promise.all(clients.map((client) => client.settle()));
  return { server, clients };
}

test("scopes that are made do not hold up one that is there", async (t) => {
  const { clients } = await crowd(t, CROWD);
  const [there, ...fresh] = clients;
  await insert(there, "first");
  let made = 0;
  const all = Promise.all(fresh.map((client) => insert(client, "first").then(() => made++)));
  for (let i = 0; i < 5; i++) assert.equal((await insert(there, `t${i}`)).error, null);
  assert.ok(made < fresh.length, "it was answered while others were still being made");
  await all;
  for (const client of clients) assert.deepEqual(client.broken, []);
});

/* Each takes some milliseconds, so that all together take many turns. */
test("what was decided is told while others have not been decided", async (t) => {
  const { server, clients } = await crowd(t, CROWD);
  await Promise.all(clients.map((client) => insert(client, "first")));
  const decided = () => server.metric("skerry_shard_committed_total");
  const before = await decided();
  let answers = 0, seen;
  const seed = async (client) => {
    await client.transact({ t: "call", txId: "seed", name: "seed", args: { from: 0, n: 150 } });
    if (++answers === 10) seen = decided();
  };
  await Promise.all(clients.map(seed));
  assert.equal((await decided()) - before, CROWD);
  assert.ok((await seen) - before < CROWD, "the first knew before all were decided");
});
