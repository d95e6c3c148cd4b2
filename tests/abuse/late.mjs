/*
 * late - clients that never finish, never read or never answer. The server's patience with them ends after a minute, and
 * nobody else waits meanwhile.
 */
import { encode } from "@msgpack/msgpack";
import { setTimeout as nap } from "node:timers/promises";

import { until } from "../lib/server.mjs";
import { frame, RawSocket, upgradeHead } from "../lib/raw.mjs";
import { connected, settled } from "./frames.mjs";

const HEADS = 100;
const ROWS = 100000; // more than the sockets' buffers hold
const PATIENCE_MS = 120000;
const [BINARY, PING, PONG] = [2, 9, 10];

/** Half a head, or nothing at all. */
async function heads({ server, tally }) {
  const sockets = Array.from({ length: HEADS }, () => new RawSocket(server.port));
  sockets.forEach((socket, i) => i % 2 === 0 && socket.write(upgradeHead("/").slice(0, 5 + i)));
  await until(() => sockets.every((socket) => socket.isClosed), "the end of sockets with half a head", PATIENCE_MS);
  tally.check(true, "sockets with half a head are closed");
}

/** A socket that subscribes to much and does not read on, although it is alive: it says so. */
async function reader(context) {
  const { server, tally } = context;
  const socket = await connected(context, "much");
  socket.write(frame(BINARY, encode({ t: "call", txId: "much", name: "seed", args: { from: 0, n: ROWS } })));
  await settled(socket, "much");
  socket.socket.pause();
  socket.write(frame(BINARY, encode({ t: "sub", subId: "much", collection: "tasks" })));
  const isClosed = async () => {
    await nap(1000);
    socket.write(frame(PONG));
    return (await server.metric("skerry_router_stalled_total")) === 1;
  };
  await until(isClosed, "the end of a socket that does not read", PATIENCE_MS);
  tally.check(true, "a socket that does not read is closed");
  socket.end();
}

/** A socket that does not answer a ping. */
async function silence(context) {
  const socket = await connected(context);
  const first = await socket.message();
  let last = first;
  while (last.opcode === PING) last = await socket.message();
  context.tally.check(first.opcode === PING, "a silent socket got no ping");
  context.tally.check(last.code === 1001, `a silent socket was closed with ${last.code}`);
}

/** All of them, at once. */
export async function late(context) {
  const all = [heads, reader, silence].map((part) =>
    part(context).catch((error) => context.tally.check(false, error.message)),
  );
  await Promise.all(all);
}
