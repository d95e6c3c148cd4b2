/*
 * Replays recorded conversations against this server: see README.md.
 *
 *   SKERRY_BIN=./skerry node --test tests/contract/replay.test.mjs
 *
 * Ends with node's summary; in TAP where the output is no terminal.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server } from "../lib/server.mjs";
import { compareAnswer, compareSubscription } from "./compare.mjs";
import { load, plain } from "./recording.mjs";
import { replay } from "./replay.mjs";

/* This version refuses subscriptions with a predicate, an order or a limit, and answers a fetch with an empty page. */
const isShaped = (sub) => sub.where != null || sub.orderBy != null || sub.limit != null;
const shaped = (entries) =>
  new Set(entries.filter(({ frame }) => frame?.t === "sub" && isShaped(frame)).map(({ frame }) => frame.subId));
const isLeftOut = (frame, shapedSubs) =>
  shapedSubs.has(frame.sub ?? frame.subId) || frame.t === "fetch" || frame.t === "page";

const server = new Server("board");
before(() => server.start());
after(async () => {
  assert.equal(await server.stop(), 0);
  assert.equal(server.fault(), null);
  server.remove();
});

for (const [name, leastCompared] of [
  ["smoke", 190],
  ["resume", 330],
]) {
  test(`the conversation ${name}`, async () => {
    const entries = load(name);
    const shapedSubs = shaped(entries);
    const said = await replay(entries, server.url(name, "ann"), (frame) => isLeftOut(frame, shapedSubs));

    let compared = 0;
    for (const [conn, ours] of said) {
      const spoken = entries.filter((entry) => entry.conn === conn && entry.frame);
      const recorded = spoken.filter(({ from }) => from === "server").map(({ frame }) => plain(frame));
      for (const { from, frame } of spoken) {
        if (from !== "client" || isLeftOut(frame, shapedSubs)) continue;
        if (frame.t === "sub") compared += compareSubscription(recorded, ours, frame.subId);
        else compared += compareAnswer(recorded, ours, frame) ?? 1;
      }
    }
    assert.ok(compared >= leastCompared, `only ${compared} frames were compared`);
  });
}
