/*
 * A scope put back to what it was: with clients attached, and clients that were away.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, copyFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { Client } from "../lib/client.mjs";
import { Server, until } from "../lib/server.mjs";

const query = (file, sql) => execFileSync("sqlite3", [file, sql], { encoding: "utf8" }).trimEnd().split("\n");

function insert(client, key) {
  const ops = [{ type: "insert", key, cols: { body: key } }];
  return client.transact({ t: "mut", txId: key, collection: "notes", ops }, true);
}

const keys = (client) => [...client.rows.get("notes").keys()].sort().join(" ");

/** A client that also counts the resets that it gets. */
function open(server, id, user) {
  const client = new Client(server.url(id, user), ["notes"]);
  client.resets = 0;
  client.on_reset = () => client.resets++;
  client.closes = [];
  const { closed } = client;
  client.closed = (code) => {
    client.closes.push(code);
    closed.call(client, code);
  };
  return client;
}

/** The files of the only scope that `data` holds under this name's hash: those that begin as `path` does. */
function filesOf(server, pattern) {
  const slots = readdirSync(server.data).filter((name) => /^\d+$/.test(name));
  return slots.flatMap((slot) => readdirSync(join(server.data, slot)).map((name) => join(server.data, slot, name))).filter((path) => pattern.test(path));
}

test("a scope is put back to an older backup", async (t) => {
  const server = new Server("board", { shards: 2 });
  await server.start();
  const clients = [];
  const client = (id, user) => clients[clients.push(open(server, id, user)) - 1];
  t.after(async () => {
    clients.forEach((one) => one.stop());
    await server.stop();
    server.remove();
  });
  const file = join(server.folder, "tea.db");
  const scope = server.scope("tea");
  const ann = client("tea", "ann");
  const away = client("tea", "ben");
  const latecomer = client("tea", "cleo");
  await insert(ann, "kept");
  assert.equal((await server.command("backup", scope, file)).status, 0);
  const lost = await insert(ann, "lost");
  await until(() => [away, latecomer].every((one) => one.cursor >= lost.seq), "all clients to be at the head");
  away.stop();
  latecomer.stop();

  await t.test("who is attached is told to come back, and sees the backup's rows", async () => {
    const { status, out, err } = await server.command("restore", scope, file);
    assert.equal(status, 0, err);
    assert.match(out, new RegExp(`^scope   ${scope}\nseq     \\d+\nbefore  .*\\.before-restore-\\d+T\\d+Z\n$`));
    await until(() => ann.resets > 0 && keys(ann) === "kept", "the reset");
    assert.equal(ann.closes[0], 1012); // and then, maybe, attempts that came too early
    assert.ok(Number(/seq +(\d+)/.exec(out)[1]) > lost.seq, "the timeline begins above all that was told of");
    const [before] = filesOf(server, /before-restore-[^/]*Z$/);
    assert.deepEqual(query(before, "SELECT id FROM notes ORDER BY id"), ["kept", "lost"]);
  });

  await t.test("who was away and ahead gets a reset", async () => {
    away.start();
    await until(() => away.resets > 0 && keys(away) === "kept", "the reset");
    assert.equal(away.resets, 1);
  });

  await t.test("also once the head has passed where it was", async () => {
    for (let n = 0; n < 50; n++) await insert(ann, `new-${String(n).padStart(2, "0")}`);
    assert.ok(ann.cursor > latecomer.cursor);
    latecomer.start();
    await until(() => latecomer.resets === 1 && latecomer.rows.get("notes").size === 51, "the reset");
    assert.equal(keys(latecomer), keys(ann));
    assert.equal(latecomer.rows.get("notes").has("lost"), false);
    for (const one of [ann, away, latecomer]) assert.deepEqual(one.broken, []);
  });

  await t.test("a transaction that the backup holds is not done twice; one that it lacks can be", async () => {
    const again = await insert(ann, "kept");
    assert.ok(again.seq < lost.seq, "the receipt of before");
    const anew = await insert(ann, "lost");
    assert.equal(anew.error, null);
    assert.ok(anew.seq > lost.seq);
  });

  await t.test("it lasts: nothing comes back after a kill", async () => {
    await server.killAllAndRestart();
    await until(() => ann.rows.get("notes").size === 52, "the scope");
    const fresh = client("tea", "dora");
    await until(() => fresh.rows.get("notes").size === 52, "the scope");
    assert.equal(keys(fresh), keys(ann));
    assert.equal(server.logged(/scope_damaged/), 0);
  });

  await t.test("another id of the same kind can be made of it, and that is said", async () => {
    const { status, out } = await server.command("restore", server.scope("copy"), file);
    assert.equal(status, 0);
    assert.match(out, new RegExp(`^scope   ${server.scope("copy")}\nfrom    ${scope}\nseq     \\d+\n$`));
    const copy = client("copy", "ann");
    await until(() => keys(copy) === "kept", "the copy");
    await insert(copy, "more");
    assert.equal(ann.rows.get("notes").has("more"), false);
  });

  await t.test("restores that follow each other at once all keep what they replace", async () => {
    const before = filesOf(server, /before-restore-[^/]*$/).length;
    for (let n = 1; n <= 3; n++) {
      const { status, err } = await server.command("restore", scope, file);
      assert.equal(status, 0, err);
      assert.equal(filesOf(server, /before-restore-[^/]*$/).length, before + n);
    }
  });

  await t.test("the file that is replaced goes if that is wanted", async () => {
    const before = filesOf(server, /before-restore/).length;
    assert.equal((await server.command("restore", scope, file, "--discard")).status, 0);
    assert.equal(filesOf(server, /before-restore/).length, before);
    await until(() => keys(ann) === "kept", "the backup's rows");
  });
});

test("what is no good backup changes nothing", async (t) => {
  const server = new Server("board", { shards: 2 });
  await server.start();
  const ann = open(server, "tea", "ann");
  t.after(async () => {
    ann.stop();
    await server.stop();
    server.remove();
  });
  await insert(ann, "one");
  const scope = server.scope("tea");
  const good = join(server.folder, "good.db");
  assert.equal((await server.command("backup", scope, good)).status, 0);
  const other = (name, sql) => {
    const path = join(server.folder, name);
    copyFileSync(good, path);
    if (sql) query(path, sql);
    return path;
  };
  const changed = other("changed.db");
  copyFileSync(`${good}.sha256`, `${changed}.sha256`);
  appendFileSync(changed, "x");
  const text = join(server.folder, "text.db");
  writeFileSync(text, "no database at all");
  const plain = join(server.folder, "plain.db");
  query(plain, "CREATE TABLE t(x)");

  const attempts = [
    ["of which a byte changed", [changed], /changed\.db: is not what its \.sha256 says/],
    ["without a checksum", [other("bare.db")], /there is no checksum beside it.*--no-checksum/],
    ["that is not there", [join(server.folder, "none.db")], /none\.db: No such file/],
    ["that is no database", [text, "--no-checksum"], /this is not the file of a scope|file is not a database/],
    ["that is no scope", [plain, "--no-checksum"], /this is not the file of a scope/],
    [
      "of another kind",
      [other("kind.db", "UPDATE _sync_meta SET value = 'chat/room/x' WHERE name = 'scope'"), "--no-checksum"],
      /the file is of another kind, it holds: chat\/room\/x/,
    ],
    [
      "of a format of the future",
      [other("format.db", "UPDATE _sync_meta SET value = 99 WHERE name = 'format'"), "--no-checksum"],
      /does not read files of format: 99/,
    ],
    [
      "with migrations of the future",
      [other("schema.db", "INSERT INTO _sync_migrations VALUES(99, '0099_x.sql', 'x')"), "--no-checksum"],
      /migration/,
    ],
  ];
  for (const [what, args, why] of attempts) {
    await t.test(`a file ${what}`, async () => {
      const { status, err } = await server.command("restore", scope, ...args);
      assert.equal(status, 1);
      assert.match(err, why);
    });
  }

  await insert(ann, "two");
  assert.equal(keys(ann), "one two");
  assert.equal(ann.resets, 0);
  assert.deepEqual(ann.broken, []);
  assert.equal(filesOf(server, /before-restore/).length, 0);
  assert.equal(filesOf(server, /\.restore$/).length, 0);
});
