/*
 * What an operator is told of a running server.
 */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { Client } from "../lib/client.mjs";
import { Server } from "../lib/server.mjs";

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
    assert.match(wrong.err, /status takes no arguments/);
  });
});

test("a server that does not run is said to be the trouble", async () => {
  const server = new Server("board");
  const { status, out } = await server.command("status");
  assert.equal(status, 1);
  assert.match(out, /shard-0\.sock: No such file or directory; is the server running/);
  server.remove();
});
