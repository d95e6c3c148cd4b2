/* sockets - WebSocket framing that breaks RFC 6455, and messages that are too large. */
import { encode } from "@msgpack/msgpack";

import { frame } from "../lib/raw.mjs";
import { connected, settled } from "./frames.mjs";

const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10];
const FRAME_MAX = 1 << 20; // above it a message is dropped
const MESSAGE_MAX = 16 << 20; // above it the connection is closed
const OVERSIZED = "skerry_router_oversized_frames_total";

const bytes = (...list) => Buffer.from(list);
const unsub = encode({ t: "unsub", subId: "nobody" });

/* What is sent, and the code that it is closed with. */
const BROKEN = {
  "an unmasked frame": [frame(BINARY, unsub, { masked: false }), 1002],
  "a reserved bit": [frame(BINARY, unsub, { rsv: 4 }), 1002],
  "a compressed bit of a control frame": [frame(PING, "x", { rsv: 4 }), 1002],
  "data opcode 3": [frame(3, "x"), 1002],
  "control opcode 11": [frame(11, "x"), 1002],
  "a ping of 126 bytes": [frame(PING, Buffer.alloc(126)), 1002],
  "a ping in fragments": [frame(PING, "x", { fin: false }), 1002],
  "a continuation of nothing": [frame(CONTINUATION, "x"), 1002],
  "a message within a message": [Buffer.concat([frame(BINARY, "x", { fin: false }), frame(BINARY, "y")]), 1002],
  "text that is not UTF-8": [frame(TEXT, bytes(0xc3, 0x28)), 1007],
  "a close of one byte": [frame(CLOSE, bytes(3)), 1002],
  "a close with the code 1005": [frame(CLOSE, bytes(3, 237)), 1002],
  "a close with the code 5000": [frame(CLOSE, bytes(0x13, 0x88)), 1002],
  "a proper close": [frame(CLOSE, bytes(3, 232)), 1000],
  "a claim of 16 MiB and a byte": [frame(BINARY, "", { claim: MESSAGE_MAX + 1 }), 1009],
  "a claim of 2^62": [frame(BINARY, "", { claim: 2n ** 62n }), 1009],
  "a claim of 2^63": [frame(BINARY, "", { claim: 2n ** 63n }), 1009],
};

export async function framing(context) {
  const { tally } = context;
  for (const [what, [sent, code]] of Object.entries(BROKEN)) {
    const socket = await connected(context);
    const answer = await socket.write(sent).message();
    tally.check(answer.opcode === CLOSE && answer.code === code, `${what}: ${JSON.stringify(answer)}, not ${code}`);
    await socket.closed;
  }

  /* One message in many fragments, a ping after each. */
  const socket = await connected(context);
  const message = encode({ t: "sub", subId: "pieces", collection: "nothing" });
  message.forEach((byte, i) => {
    socket.write(frame(i === 0 ? BINARY : CONTINUATION, bytes(byte), { fin: i === message.length - 1 }));
    if (i < message.length - 1) socket.write(frame(PING, String(i)));
  });
  for (let i = 0; i < message.length - 1; i++) {
    const pong = await socket.message();
    tally.check(
      pong.opcode === PONG && String(pong.payload) === String(i),
      `ping ${i} within a message was not answered`,
    );
  }
  const answers = await settled(socket, "pieces");
  tally.check(answers.length === 1 && answers[0].t === "reset", `a message in pieces: ${JSON.stringify(answers)}`);
  socket.end();
}

/** A frame above 1 MiB is dropped and the connection lives; a message above 16 MiB ends it, in one piece or in many. */
export async function sizes(context) {
  const { tally, server } = context;
  const mut = (size) =>
    encode({
      t: "mut",
      txId: `size-${size}`,
      collection: "notes",
      ops: [{ type: "insert", key: `size-${size}`, cols: { body: "x".repeat(size) } }],
    });
  const socket = await connected(context);
  const fits = mut(FRAME_MAX - 200);
  const [answer] = await (socket.write(frame(BINARY, fits)), settled(socket, "fits"));
  tally.check(answer?.t === "committed", `a frame of ${fits.length} bytes: ${JSON.stringify(answer)?.slice(0, 200)}`);

  const before = await server.metric(OVERSIZED);
  for (const size of [FRAME_MAX, 8 * FRAME_MAX, MESSAGE_MAX - 1000]) socket.write(frame(BINARY, mut(size)));
  tally.check((await settled(socket, "dropped")).length === 0, "a frame above 1 MiB was answered");
  tally.check((await server.metric(OVERSIZED)) === before + 3, "frames above 1 MiB were not counted");

  const piece = Buffer.alloc(4 << 20);
  socket.write(frame(BINARY, piece, { fin: false }));
  for (let i = 0; i < 3; i++) socket.write(frame(CONTINUATION, piece, { fin: false }));
  socket.write(frame(CONTINUATION, "x"));
  const close = await socket.message();
  tally.check(close.opcode === CLOSE && close.code === 1009, `17 MiB in pieces: ${JSON.stringify(close)}`);
  socket.end();
}
