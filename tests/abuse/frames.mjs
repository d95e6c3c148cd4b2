/* frames - messages that are no frames of the contract, or ask for too much. */
import { decode, encode } from "@msgpack/msgpack";

import { frame, RawSocket } from "../lib/raw.mjs";
import { mutated } from "./mutate.mjs";
import { vectors } from "./vectors.mjs";

const BINARY = 2;
const DROPPED = "skerry_shard_frames_dropped_total";
const CONNECTIONS = 8;
const BATCH = 250; // mutated frames a connection sends before it waits for the server

/** A connection, to the scope of the good client unless told. */
export async function connected({ server }, scope = "one", user = "abuser") {
  const { pathname, search } = new URL(server.url(scope, user));
  return new RawSocket(server.port).upgrade(pathname + search);
}

const hex = (digits) => Buffer.from(digits, "hex");
const sent = (object) => frame(BINARY, encode(object, { maxDepth: 1000 }));

/** The frames of this socket up to the answer to a fetch, which comes behind all that was pending. */
export async function settled(socket, fetchId) {
  const frames = [];
  socket.write(sent({ t: "fetch", fetchId, collection: "nothing" }));
  for (;;) {
    const message = await socket.message();
    if (message.opcode === 8) throw new Error(`closed with ${message.code}`);
    if (message.opcode !== BINARY) continue;
    const one = decode(message.payload);
    if (one.t === "page" && one.fetchId === fetchId) return frames;
    frames.push(one);
  }
}

/* How a frame that is decoded, but asks for what it cannot have, is answered: the types of the frames that come. */
const ANSWERS = {
  "reset, and nothing more": /^reset$/,
  "reset, then a snapshot": /^reset( snap)* snap-end uptodate$/,
  "rejected VALIDATION": /^rejected VALIDATION$/,
  "an empty page": /^page 0$/,
};
const summary = (one) => [one.t, one.error?.code, one.rows?.length].filter((word) => word !== undefined).join(" ");

/** Malformed frames, one by one: each gets its answer, or is dropped and counted; and the connection lives. */
export async function badFrames(context) {
  const { tally, server } = context;
  for (const [i, { name, bytes, outcome, answer }] of vectors("malformed").entries()) {
    const socket = await connected(context, "malformed", `abuser-${i}`); // so that no transaction id was there before
    const before = await server.metric(DROPPED);
    const frames = await settled(socket.write(frame(BINARY, bytes)), "after");
    const dropped = (await server.metric(DROPPED)) - before;
    const got = frames.map(summary).join(" ");
    const fits = outcome === "dropped" ? dropped === 1 && got === "" : dropped === 0 && ANSWERS[answer].test(got);
    tally.check(fits, `${name} (${outcome} ${answer ?? ""}): ${dropped} dropped, answered with '${got}'`);
    socket.end();
  }
}

const nested = (depth) => Buffer.concat([Buffer.alloc(depth, 0x91), hex("c0")]);
/* A sub of notes whose predicate is what follows. */
const SUB_WHERE = hex("84a174a3737562a57375624964a178aa636f6c6c656374696f6ea56e6f746573a57768657265");
const not = (depth) =>
  depth === 0
    ? { type: "func", name: "isNull", args: [{ type: "ref", path: ["body"] }] }
    : { type: "func", name: "not", args: [not(depth - 1)] };

/** Containers within containers, and more operations than a transaction may have. */
export async function nesting(context) {
  const { tally } = context;
  const socket = await connected(context);
  for (const depth of [100, 10000, 1000000]) {
    socket.write(frame(BINARY, nested(depth)));
    socket.write(frame(BINARY, Buffer.concat([SUB_WHERE, nested(depth)])));
  }
  socket.write(sent({ t: "sub", subId: "deep", collection: "notes", where: not(70) }));
  const answers = await settled(socket, "bombs");
  tally.check(
    answers.every(({ t }) => t === "reset"),
    `nesting bombs were answered with ${JSON.stringify(answers)}`,
  );

  const ops = Array.from({ length: 129 }, (_, i) => ({ type: "insert", key: `many-${i}`, cols: { body: "x" } }));
  socket.write(sent({ t: "mut", txId: "many", collection: "notes", ops }));
  const [answer] = await settled(socket, "many");
  tally.check(answer?.error?.code === "LIMIT_EXCEEDED", `129 operations were answered with ${JSON.stringify(answer)}`);
  socket.end();
}

/** 10,000 subscriptions on one session: 256 are served, the others refused. */
export async function subscriptions(context) {
  const { tally } = context;
  const socket = await connected(context, "quiet");
  for (let i = 0; i < 10000; i++) socket.write(sent({ t: "sub", subId: `s${i}`, collection: "notes" }));
  const answers = await settled(socket, "many");
  const count = (t) => answers.filter((one) => one.t === t).length;
  const what = `${count("snap-end")} snap-end and ${count("reset")} reset`;
  tally.check(count("snap-end") === 256 && count("reset") === 9744, `10000 subscriptions were answered with ${what}`);
  socket.end();
}

async function flood(context, number, share) {
  const { tally, random } = context;
  const socket = await connected(context, "one", `abuser-${number}`);
  for (let sentFrames = 0; sentFrames < share;) {
    for (let i = 0; i < BATCH && sentFrames < share; i++, sentFrames++) socket.write(frame(BINARY, mutated(random)));
    await settled(socket, `batch-${sentFrames}`);
  }
  tally.check(!socket.isClosed, "a connection that sent mutated frames was closed");
  socket.end();
}

export async function mutatedFrames(context) {
  const before = await context.server.metric(DROPPED);
  const share = Math.ceil(Number(context.options.frames) / CONNECTIONS);
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, i) => flood(context, i, share)));
  const dropped = (await context.server.metric(DROPPED)) - before;
  console.log(`${share * CONNECTIONS} mutated frames, ${dropped} dropped`);
  context.tally.check(dropped > share, `only ${dropped} mutated frames were counted as dropped`);
}
