/*
 * A scope's file that the disk fails at, among others: it alone is closed, and comes back by itself.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, readdirSync, writeFileSync, writeSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";

import { Client } from "../lib/client.mjs";
import { Server, program, until } from "../lib/server.mjs";

const library = resolve(dirname(program), "tests/crash/lossy.so");
const SCOPES = 100;
const VICTIM = 42;
const LARGE = "x".repeat(900000);
const PAGE = 4096;

function insert(client, key, body = key) {
  const ops = [{ type: "insert", key, cols: { body } }];
  return client.transact({ t: "mut", txId: key, collection: "notes", ops }, true);
}

/** The name of a scope's file, without its folder. */
function fileOf(scope) {
  return `${createHash("sha256").update(scope).digest("hex").slice(0, 32)}.db`;
}

function pathOf(server, scope) {
  const name = fileOf(scope);
  return join(server.data, String(parseInt(name.slice(0, 3), 16)), name);
}

/** A server whose disk fails, with EIO, at all files with `text` in their path, from fail(text) until fail(""). */
class FailingServer extends Server {
  constructor() {
    super("board", { shards: 1 });
    this.failing = join(this.folder, "failing");
    this.fail("");
    const log = join(this.folder, "disk.log");
    this.env = { LD_PRELOAD: library, LOSSY_ROOT: this.data, LOSSY_LOG: log, LOSSY_EIO: this.failing };
  }

  fail(text) {
    writeFileSync(this.failing, text);
  }

  async shard() {
    return JSON.parse((await this.command("status", "--json")).out)[0];
  }
}

/** Clients of scopes of their own, which count how often they were closed. */
function openClients(server, n) {
  return Array.from({ length: n }, (_, i) => {
    const client = new Client(server.url(`s${i}`, "ann"), ["notes"]);
    const { closed } = client;
    client.closes = [];
    client.closed = (code) => {
      client.closes.push(code);
      closed.call(client, code);
    };
    return client;
  });
}

test("one bad file among a hundred hurts only itself", async (t) => {
  const server = new FailingServer();
  await server.start();
  const clients = openClients(server, SCOPES);
  t.after(async () => {
    clients.forEach((client) => client.stop());
    await server.stop();
    server.remove();
  });
  const victim = clients[VICTIM];
  const others = clients.filter((client) => client !== victim);
  const scope = server.scope(`s${VICTIM}`);
  let held;

  await t.test("its clients are told to come back later; all others are served", async () => {
    await Promise.all(clients.map((client) => insert(client, "before")));
    server.fail(fileOf(scope));
    held = insert(victim, "during");
    await until(() => victim.closes.length > 0, "the victim's close");
    assert.equal(victim.closes[0], 1013);
    await Promise.all(others.map((client) => insert(client, "during")));
    assert.equal(victim.unanswered.size, 1);
  });

  await t.test("an operator sees which, why, and what is kept of it", async () => {
    await until(async () => (await server.shard()).trouble[0]?.state === "kept", "the records to be kept");
    const { status, out } = await server.command("status");
    assert.equal(status, 1);
    assert.match(out, new RegExp(`\n${scope}\n  closed: its file failed .*\n  1 records are kept, since .*, next try .*\n`));
    assert.equal(await server.metric("skerry_shard_scopes_in_trouble"), 1);
    assert.equal(await server.metric("skerry_shard_scope_failures_total"), 1);
  });

  await t.test("the journal's segments are used again meanwhile", async () => {
    for (let i = 0; i < 150; i++) await insert(others[i % 2], `large-${i}`, LARGE);
    const { journal } = await server.shard();
    assert.ok(journal.position > 7 * (16 << 20), "many segments were filled");
    assert.ok(journal.segments <= 5, `${journal.segments} segments are there`);
    assert.equal(victim.unanswered.size, 1);
  });

  await t.test("it comes back by itself, with all that was confirmed", async () => {
    server.fail("");
    assert.equal((await held).error, null);
    await until(() => victim.rows.get("notes").size === 2, "its rows");
    assert.deepEqual([...victim.rows.get("notes").keys()].sort(), ["before", "during"]);
    assert.equal((await server.command("status")).status, 0);
    assert.deepEqual(readdirSync(join(server.data, "journal")), ["0"]);
    assert.equal(server.logged(/scope_mended/), 1);
  });

  await t.test("nobody else has noticed anything", () => {
    assert.deepEqual(others.flatMap((client) => client.closes), []);
    for (const client of clients) assert.deepEqual(client.broken, []);
    assert.equal(server.logged(/child_died/), 0);
  });
});

test("what a file cannot take outlives the worker", async (t) => {
  const server = new FailingServer();
  await server.start();
  const [client] = openClients(server, 1);
  t.after(async () => {
    client.stop();
    await server.stop();
    server.remove();
  });
  const scope = server.scope("s0");
  for (let i = 0; i < 10; i++) await insert(client, `n${i}`);
  server.fail(fileOf(scope));
  client.stop();
  await until(async () => (await server.shard()).trouble[0]?.kept === 10, "the records to be kept");

  for (let i = 0; i < 2; i++) {
    await server.killAllAndRestart();
    const { trouble, damaged } = await server.shard();
    assert.deepEqual([trouble.map((one) => one.scope), damaged], [[scope], []]);
  }
  server.fail("");
  client.start();
  await insert(client, "after");
  await until(() => client.rows.get("notes").size === 11, "all rows");
  assert.equal((await server.shard()).trouble.length, 0);
  assert.deepEqual(client.broken, []);
});

test("a file that is damaged waits for a person, who restores it", async (t) => {
  const server = new FailingServer();
  await server.start();
  const [client] = openClients(server, 1);
  t.after(async () => {
    client.stop();
    await server.stop();
    server.remove();
  });
  const scope = server.scope("s0");
  const backup = join(server.folder, "backup.db");
  await client.transact({ t: "call", txId: "seed", name: "seed", args: { from: 0, n: 2000 } });
  await insert(client, "one");
  assert.equal((await server.command("backup", scope, backup)).status, 0);
  client.stop();
  await server.stop();

  const path = pathOf(server, scope);
  const at = readFileSync(path).indexOf("seed-00001000");
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(PAGE, "Z"), 0, PAGE, at - (at % PAGE));
  closeSync(file);
  await server.start();
  const reader = new Client(server.url("s0", "ben"), ["tasks"]);
  t.after(() => reader.stop());
  await until(async () => (await server.shard()).damaged.length === 1, "the marker");
  const told = (await server.command("status")).out;
  assert.match(told, new RegExp(`\n${scope}\n  closed: the file is damaged: .* in database main .*; .*\n`));
  assert.equal(told.split(scope).length, 2, "it is listed once");
  await until(() => server.logged(/ scope_damaged /) === 1, "the alarm");
  assert.equal(await server.metric("skerry_shard_scopes_in_trouble"), 1);
  assert.equal(server.logged(/why=""|why="[^"\n]*: "/), 0);

  reader.stop(); // a start knows of it, though nobody comes
  await server.killAllAndRestart();
  await until(async () => (await server.metric("skerry_shard_scopes_in_trouble")) === 1, "the gauge");
  assert.equal((await server.command("status")).out.split(scope).length, 2, "it is listed once");
  reader.start();

  const { status, err } = await server.command("restore", scope, backup);
  assert.equal(status, 0, err);
  await until(() => reader.rows.get("tasks").size === 2000, "the rows");
  assert.equal(await server.metric("skerry_shard_scopes_in_trouble"), 0);
  assert.equal((await server.command("status")).status, 0);
});
