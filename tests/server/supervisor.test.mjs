/*
 * The supervisor while its children keep dying.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as nap } from "node:timers/promises";

import { Server, until } from "../lib/server.mjs";

const ROUNDS = 4; /* from the second on there is a pause before a child starts again */
const PATIENCE_MS = 10000;

test("a server stops while both its children wait to be started again", async (t) => {
  const server = new Server("board");
  await server.start();
  t.after(() => {
    server.process.kill("SIGKILL");
    server.remove();
  });
  const killed = new Set();
  const alive = () => server.children().filter(({ pid, role }) => role && !killed.has(pid));
  for (let round = 1; round <= ROUNDS; round++) {
    await until(() => alive().length === 2, "both children");
    for (const { pid } of alive()) {
      killed.add(pid);
      process.kill(pid, "SIGKILL");
    }
  }
  await until(() => server.children().length === 0, "the end of both children");
  const status = await Promise.race([server.stop(), nap(PATIENCE_MS, "never", { ref: false })]);
  assert.equal(status, 0);
});
