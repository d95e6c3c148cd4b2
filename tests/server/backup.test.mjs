/*
 * A backup of a scope, taken while clients write to it.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { Client } from "../lib/client.mjs";
import { Server, until } from "../lib/server.mjs";

const BODY = "x".repeat(2000);

const query = (file, sql) => execFileSync("sqlite3", [file, sql], { encoding: "utf8" }).trimEnd().split("\n");

function insert(client, key) {
  const ops = [{ type: "insert", key, cols: { body: BODY } }];
  return client.transact({ t: "mut", txId: key, collection: "notes", ops }, true);
}

/** Writes notes one after the other until it is told to stop; `confirmed` are their keys. */
function keepWriting(client, name) {
  const writer = { confirmed: [], stopped: false };
  writer.done = (async () => {
    for (let n = 0; !writer.stopped; n++) {
      await insert(client, `${name}-${n}`);
      writer.confirmed.push(`${name}-${n}`);
    }
  })();
  return writer;
}

test("a scope is copied while it is written to", async (t) => {
  const server = new Server("board", { shards: 3 });
  await server.start();
  const client = new Client(server.url("tea", "ann"), ["notes"]);
  t.after(async () => {
    client.stop();
    await server.stop();
    server.remove();
  });
  const file = join(server.folder, "tea.db");
  await client.transact({ t: "call", txId: "seed", name: "seed", args: { from: 0, n: 20000 } });

  await t.test("the copy holds what was confirmed before, as it was at one moment", async () => {
    const writers = ["a", "b", "c"].map((name) => keepWriting(client, name));
    await until(() => writers.every(({ confirmed }) => confirmed.length > 20), "writers at work");
    const before = writers.flatMap(({ confirmed }) => confirmed);
    const { status, out, err } = await server.command("backup", server.scope("tea"), file);
    for (const writer of writers) writer.stopped = true;
    await Promise.all(writers.map(({ done }) => done));
    assert.equal(status, 0, err);

    assert.deepEqual(readdirSync(server.folder).filter((name) => name.startsWith("tea")), ["tea.db", "tea.db.sha256"]);
    assert.deepEqual(query(file, "PRAGMA integrity_check"), ["ok"]);
    assert.deepEqual(query(file, "SELECT count(*) FROM tasks"), ["20000"]);
    const keys = new Set(query(file, "SELECT id FROM notes"));
    assert.deepEqual(before.filter((key) => !keys.has(key)), []);
    for (const letter of "abc") {
      const held = [...keys].filter((key) => key.startsWith(`${letter}-`)).length;
      assert.ok(held === 0 || keys.has(`${letter}-${held - 1}`), `${letter}: there is a gap`);
    }
    assert.match(out, new RegExp(`^scope   ${server.scope("tea")}\nseq     ${query(file, "SELECT max(seq) FROM _sync_log")}\n`));
    assert.match(out, new RegExp(`bytes   ${statSync(file).size}\n`));
    assert.equal(statSync(file).mode & 0o777, 0o600);
    execFileSync("sha256sum", ["-c", "tea.db.sha256"], { cwd: server.folder });
    assert.deepEqual(readdirSync(join(server.data, "console")), []);
  });

  await t.test("a scope that nobody uses is copied, and goes to sleep again", async () => {
    const other = new Client(server.url("coffee", "ann"), ["notes"]);
    await insert(other, "one");
    other.stop();
    const copy = join(server.folder, "coffee.db");
    assert.equal((await server.command("backup", server.scope("coffee"), copy)).status, 0);
    assert.deepEqual(query(copy, "SELECT id FROM notes"), ["one"]);
    const shards = JSON.parse((await server.command("status", "--json")).out);
    assert.equal(shards.reduce((sum, shard) => sum + shard.scopes, 0), 1);
  });

  await t.test("a file that is there is overwritten only if that is wanted", async () => {
    const taken = join(server.folder, "taken.db");
    writeFileSync(taken, "mine");
    const refused = await server.command("backup", server.scope("tea"), taken);
    assert.equal(refused.status, 1);
    assert.match(refused.err, /taken\.db: is there already; --force overwrites it/);
    assert.equal((await server.command("backup", server.scope("tea"), taken, "--force")).status, 0);
    assert.deepEqual(query(taken, "PRAGMA integrity_check"), ["ok"]);
  });

  await t.test("what cannot be copied is refused with the reason, and leaves nothing", async () => {
    const none = join(server.folder, "none.db");
    const attempts = [
      [server.scope("nothing"), 1, /there is no such scope: nothing was ever written to it/],
      ["board/room/tea", 1, /this server's app has no scopes of this kind/],
      ["chat/board/tea", 1, /this server's app has no scopes of this kind/],
      ["tea", 2, /tea: is no scope's name; that is APP\/KIND\/ID/],
    ];
    for (const [scope, status, why] of attempts) {
      const answer = await server.command("backup", scope, none);
      assert.equal(answer.status, status, scope);
      assert.match(answer.err, why);
    }
    assert.equal(existsSync(none) || existsSync(`${none}.part`), false);
  });
});
