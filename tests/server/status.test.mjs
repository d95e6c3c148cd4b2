/*
 * What an operator is told of a running server.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { Client } from "../lib/client.mjs";
import { Server, until } from "../lib/server.mjs";

test("an operator sees how a server is", async (t) => {
  const server = new Server("board", { shards: 3 });
  await server.start();
  t.after(async () => {
    await server.stop();
    server.remove();
  });

  await t.test("a line for each shard, and nothing is wrong", async () => {
    const client = new Client(server.url("tea", "ann"), ["notes"]);
    await client.transact({ t: "mut", txId: "1", collection: "notes", ops: [{ type: "insert", key: "a", cols: { body: "b" } }] });
    const { status, out } = await server.command("status");
    assert.equal(status, 0);
    assert.match(out, /^shard +scopes +sessions/);
    assert.equal(out.trimEnd().split("\n").length, 1 + 3);

    const shards = JSON.parse((await server.command("status", "--json")).out);
    const sum = (what) => shards.reduce((total, shard) => total + what(shard), 0);
    assert.deepEqual(shards.map((shard) => shard.shard), [0, 1, 2]);
    assert.equal(sum((shard) => shard.scopes), 1);
    assert.equal(sum((shard) => shard.sessions), 1);
    assert.ok(sum((shard) => shard.journal.position) > 0);
    assert.equal(sum((shard) => shard.journal.position - shard.journal.durable), 0);
    client.stop();
  });

  await t.test("a scope that was found damaged is named, with the reason", async () => {
    mkdirSync(join(server.data, "4000"), { recursive: true });
    const marker = join(server.data, "4000", "ff.db.damaged");
    writeFileSync(marker, "board/board/old: the file is missing\nmore\n");
    const { status, out } = await server.command("status");
    assert.equal(status, 1);
    assert.match(out, /\nboard\/board\/old\n +closed: the file is missing\n/);
    assert.ok(out.includes(marker));
  });

  await t.test("wrong words are answered with what would be right", async () => {
    const wrong = await server.command("status", "tea");
    assert.equal(wrong.status, 2);
    assert.match(wrong.err, /^skerry status: tea: unexpected; see skerry status --help\n$/);
  });
});

test("a server that does not run is said to be the trouble", async () => {
  const server = new Server("board");
  const { status, out } = await server.command("status");
  assert.equal(status, 1);
  assert.match(out, /shard-0\.sock: No such file or directory; is the server running/);
  server.remove();
});

test("a worker that hangs is named, and nobody waits for it for ever", async (t) => {
  const server = new Server("board");
  await server.start();
  t.after(async () => {
    await server.stop();
    server.remove();
  });
  const client = new Client(server.url("tea", "ann"), ["notes"]);
  await client.transact({ t: "mut", txId: "1", collection: "notes", ops: [{ type: "insert", key: "a", cols: { body: "b" } }] });
  client.stop();
  const [file, late] = ["tea.db", "late.db"].map((name) => join(server.folder, name));
  assert.equal((await server.command("backup", server.scope("tea"), file)).status, 0);

  const { pid } = server.children().find(({ role }) => role === "worker");
  process.kill(pid, "SIGSTOP");
  const [status, backup, restore] = await Promise.all([
    server.command("status"),
    server.command("backup", server.scope("tea"), late),
    server.command("restore", server.scope("tea"), file),
  ]);
  process.kill(pid, "SIGCONT");

  const said = new RegExp(`/shard-0\\.sock: no answer for 10 s: its worker, process ${pid}, hangs or is stopped; .*kill -9 ${pid}`);
  for (const answer of [status, backup, restore]) assert.equal(answer.status, 1);
  assert.match(status.out, said);
  assert.match(backup.err, said);
  assert.match(backup.err, /there is no copy; run skerry backup again/);
  assert.equal(existsSync(late), false);
  assert.match(restore.err, said);
  assert.match(restore.err, /restored or not, never half; run skerry restore again/);

  const restored = async () => (await server.command("restore", server.scope("tea"), file)).status === 0;
  await until(restored, "the worker to have done with those who have gone");
  assert.equal((await server.command("status")).status, 0);
});
