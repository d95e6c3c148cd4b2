/*
 * A page of a scope's file that cannot be read: nobody is told that the rest was all.
 */
import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { decode, encode } from "@msgpack/msgpack";
import WebSocket from "ws";

import { Server, until } from "../lib/server.mjs";

const PAGE = 4096;

/** Sends a frame on a socket of its own and returns the frames that come, until `isLast` of one or the close. */
function converse(url, sent, isLast) {
  return new Promise((resolve, reject) => {
    const frames = [];
    const socket = new WebSocket(url, { perMessageDeflate: false });
    socket.on("open", () => socket.send(encode(sent)));
    socket.on("message", (data) => isLast(frames[frames.push(decode(data)) - 1]) && socket.terminate());
    socket.on("close", (code) => resolve({ frames, code }));
    socket.on("error", reject);
  });
}

/** Overwrites the page that holds `text` in the only scope's file. */
function damage(data, text) {
  const slots = readdirSync(data).filter((name) => /^\d+$/.test(name));
  const files = slots.flatMap((slot) => readdirSync(join(data, slot)).map((name) => join(data, slot, name)));
  const path = files.find((name) => name.endsWith(".db"));
  const at = readFileSync(path).indexOf(text);
  assert.ok(at > 0, `${text} is in the file`);
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(PAGE, "Z"), 0, PAGE, at - (at % PAGE));
  closeSync(file);
}

test("a snapshot of a damaged file does not end", async (t) => {
  const server = new Server("board");
  await server.start();
  t.after(async () => {
    await server.stop();
    server.remove();
  });
  const seed = { t: "call", txId: "seed", name: "seed", args: { from: 0, n: 20000 } };
  const written = await converse(server.url("one", "ann"), seed, (frame) => frame.t === "committed");
  assert.equal(written.frames.at(-1).result, 20000);
  await server.stop();
  damage(server.data, "seed-00010000");
  await server.start();

  const sub = { t: "sub", subId: "tasks", collection: "tasks" };
  const { frames, code } = await converse(server.url("one", "ben"), sub, (frame) => frame.t === "snap-end");
  assert.ok(frames.length > 0 && frames.every((frame) => frame.t === "snap"), JSON.stringify(frames.at(-1)));
  assert.equal(code, 1013);
  assert.match(await server.get("/metrics"), /skerry_shard_scope_failures_total 1\n/);
  await until(() => server.logged(/ scope_closed .* why="database disk image is malformed"/) === 1, "SQLite's words for it");
});
