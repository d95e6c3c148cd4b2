/* frames - messages that are no frames of the contract, or ask for too much. */
import { decode, encode } from "@msgpack/msgpack";

import { frame, RawSocket } from "../lib/raw.mjs";
import { mutated } from "./mutate.mjs";

const BINARY = 2;
const DROPPED = "skerry_shard_frames_dropped_total";
const CONNECTIONS = 8;
const BATCH = 250; // mutated frames a connection sends before it waits for the server

/** A connection to the scope of the good client. */
export async function connected({ server }, scope = "one") {
  return new RawSocket(server.port).upgrade(new URL(server.url(scope, "abuser")).pathname + "?user=abuser");
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

const BAD = [
  ...[
    "",
    "c1",
    "00",
    "c0",
    "90",
    "80",
    "80c0",
    "81a174",
    "dfffffffff",
    "81a174dfffffffff",
    "81a174ddffffffff",
    "81a174dbffffffff",
    "81a174c6ffffffff",
    "81a174d9ff",
    "82a174a3737562",
  ].map(hex),
  Buffer.concat([encode({ t: "unsub", subId: "x" }), hex("c0")]),
  Buffer.concat([hex("82a174a5756e737562a57375624964"), hex("a1ff")]), // text that is not UTF-8
  ...[
    { t: "hello" },
    { t: 5 },
    { t: null },
    { subId: "x", collection: "notes" },
    { t: "sub", collection: "notes" },
    { t: "sub", subId: "", collection: "notes" },
    { t: "sub", subId: "x".repeat(129), collection: "notes" },
    { t: "sub", subId: 5, collection: "notes" },
    { t: "sub", subId: "x" },
    { t: "unsub" },
    { t: "mut", txId: "x", collection: "notes", ops: [] },
    { t: "mut", txId: "x", collection: "notes", ops: {} },
    { t: "mut", txId: "x", collection: "notes", ops: [5] },
    { t: "mut", txId: "x", collection: "notes", ops: [{ type: "upsert", key: "k" }] },
    { t: "mut", txId: "x", collection: "notes", ops: [{ type: "insert" }] },
    { t: "mut", txId: "x", collection: "notes", ops: [{ type: "insert", key: 5 }] },
    { t: "mut", txId: "x", collection: "notes", ops: [{ type: "insert", key: "k", cols: [] }] },
    { t: "mut", txId: "x", ops: [{ type: "insert", key: "k" }] },
    { t: "mut", collection: "notes", ops: [{ type: "insert", key: "k" }] },
    { t: "call", txId: "x" },
    { t: "call", txId: "x", name: "touch", args: [] },
    { t: "fetch", fetchId: "x" },
  ].map((object) => encode(object)),
];

/** Each is dropped and counted, and the connection lives. */
export async function badFrames(context) {
  const { tally, server } = context;
  const socket = await connected(context);
  await settled(socket, "start");
  for (const bytes of BAD) {
    const before = await server.metric(DROPPED);
    socket.write(frame(BINARY, bytes));
    const answers = await settled(socket, "after");
    const what = `${bytes.length < 100 ? Buffer.from(bytes).toString("hex") : `${bytes.length} bytes`}`;
    tally.check(answers.length === 0, `${what} was answered with ${JSON.stringify(answers)}`);
    tally.check((await server.metric(DROPPED)) === before + 1, `${what} was not counted as dropped`);
  }
  socket.end();
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

async function flood(context, share) {
  const { tally, random } = context;
  const socket = await connected(context);
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
  await Promise.all(Array.from({ length: CONNECTIONS }, () => flood(context, share)));
  const dropped = (await context.server.metric(DROPPED)) - before;
  console.log(`${share * CONNECTIONS} mutated frames, ${dropped} dropped`);
  context.tally.check(dropped > share, `only ${dropped} mutated frames were counted as dropped`);
}
