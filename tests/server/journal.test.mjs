/*
 * A journal that was damaged: the server says so and does not start; what an operator does then; and each client, also
 * one that saw what was lost, comes back to the truth.
 */
import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { Client } from "../lib/client.mjs";
import { Server, until } from "../lib/server.mjs";

const note = (id) => ({
  t: "mut",
  txId: `t-${id}`,
  collection: "notes",
  ops: [{ type: "insert", key: id, cols: { id, body: `note ${id}` } }],
});

/** Changes a byte of the first record that holds `text`, in the only journal that has records. */
function damage(data, text) {
  const folder = join(data, "journal", "0");
  for (const name of readdirSync(folder)) {
    const file = openSync(join(folder, name), "r+");
    const bytes = Buffer.alloc(1 << 20);
    readSync(file, bytes, 0, bytes.length, 0);
    const at = bytes.indexOf(text);
    if (at >= 0) writeSync(file, "!", at);
    closeSync(file);
    if (at >= 0) return;
  }
  assert.fail(`${text} is not in the journal`);
}

test("a damaged journal is told, repaired, and every client gets a reset", async (t) => {
  const server = new Server("board", { shards: 1 });
  await server.start();
  const ann = new Client(server.url("one", "ann"), ["notes"]);
  t.after(async () => {
    ann.stop();
    await server.stop();
    server.remove();
  });
  for (const id of ["a", "b", "c"]) assert.ok((await ann.transact(note(id), true)).seq > 0);
  await ann.settle();
  const before = ann.cursor;

  const busy = await server.command("journal", "verify");
  assert.equal(busy.status, 1);
  assert.match(busy.err, /another Skerry has this data folder/);

  ann.stop(); // it comes back with what it holds
  await server.killAll();
  const whole = await server.command("journal", "verify");
  assert.equal(whole.status, 0, whole.out + whole.err);
  assert.match(whole.out, /3 records/);

  damage(server.data, "note b");
  assert.equal((await server.command("journal", "verify")).status, 1);
  await assert.rejects(server.start(), /printed no ready line/);
  await until(() => server.logged(/damaged at position .*skerry journal repair/) > 0, "a line in the log");

  const repair = await server.command("journal", "repair");
  assert.equal(repair.status, 0, repair.err);
  assert.match(repair.out, /1 journals were repaired; 1 scopes have a new timeline/);
  assert.match(repair.out, /journal\/0 is kept as .*journal\/0\.damaged-\d+/);

  await server.start();
  ann.start();
  await until(() => ann.cursor > before, "a reset");
  await ann.settle();
  const fresh = new Client(server.url("one", "ben"), ["notes"]);
  await fresh.settle();
  fresh.stop();
  assert.deepEqual(ann.rows, fresh.rows);
  assert.ok((await ann.transact(note("d"), true)).seq > before);
});

test("a clean stop leaves nothing to replay", async (t) => {
  const server = new Server("board", { shards: 2 });
  await server.start();
  const ann = new Client(server.url("one", "ann"), ["notes"]);
  t.after(() => server.remove());
  for (const id of ["a", "b"]) await ann.transact(note(id), true);
  ann.stop();
  assert.equal(await server.stop(), 0);
  for (const shard of ["0", "1"]) assert.deepEqual(readdirSync(join(server.data, "journal", shard)), []);
});
