/*
 * replay - plays the client's side of a recording to a server and collects what that says.
 *
 * Before each message of the client it waits until this server has said, on every socket, what the recorded one had
 * said by then: the answers of transactions, the ends of snapshots and catch-ups, and deltas up to the same seq. A
 * recorded seq is translated by way of the transaction that got it.
 */
import { decode } from "@msgpack/msgpack";
import WebSocket from "ws";

import { until } from "../lib/server.mjs";
import { withSince } from "./recording.mjs";

const isAnswer = (frame) => frame.t === "committed" || frame.t === "rejected";
const endsSubscription = (frame) => frame.t === "snap-end" || (frame.t === "uptodate" && frame.sub != null);

class Socket {
  constructor(url, answers) {
    this.frames = [];
    this.seq = 0; // the highest that was seen
    this.ws = new WebSocket(url, { perMessageDeflate: false });
    this.ws.on("message", (data, isBinary) => isBinary && this.receive(decode(data), answers));
    this.opened = new Promise((done, fail) => this.ws.on("open", done).on("error", fail));
  }

  receive(frame, answers) {
    this.frames.push(frame);
    this.seq = Math.max(this.seq, Number(frame.seq ?? 0));
    if (isAnswer(frame)) answers.set(frame.txId, frame);
  }

  has({ t, sub }) {
    return this.frames.some((one) => one.t === t && one.sub === sub);
  }
}

class Replay {
  constructor(entries, url) {
    this.url = url;
    this.sockets = new Map();
    this.answers = new Map(); // this server's, by txId
    this.transactions = new Map(); // recorded seq -> txId
    for (const { frame } of entries) if (frame?.t === "committed") this.transactions.set(frame.seq, frame.txId);
    this.due = []; // what the recorded server has said, still to be waited for
  }

  /** This server's seq for a recorded one; undefined while it has not answered. */
  seq(recorded) {
    return recorded === "0" ? "0" : this.answers.get(this.transactions.get(recorded))?.seq;
  }

  async catchUp() {
    for (const { conn, frame } of this.due.splice(0)) {
      const socket = this.sockets.get(conn);
      if (isAnswer(frame)) await until(() => this.answers.has(frame.txId), `an answer to ${frame.txId}`);
      else if (endsSubscription(frame)) await until(() => socket.has(frame), `${frame.t} of ${frame.sub}`);
      else if (frame.t === "d") await until(() => socket.seq >= Number(this.seq(frame.seq)), `seq ${frame.seq}`);
    }
  }

  async play({ conn, open, closed, frame, bytes }) {
    await this.catchUp();
    if (open) {
      this.sockets.set(conn, new Socket(this.url, this.answers));
      await this.sockets.get(conn).opened;
    } else if (closed) {
      this.sockets.get(conn).ws.terminate();
    } else {
      this.sockets.get(conn).ws.send(frame.since ? withSince(bytes, frame.since, this.seq(frame.since)) : bytes);
    }
  }
}

/** Plays `entries`; frames for which `isLeftOut(frame)` are not waited for. Returns what came, by conn. */
export async function replay(entries, url, isLeftOut) {
  const playing = new Replay(entries, url);
  for (const entry of entries) {
    if (entry.from !== "server") await playing.play(entry);
    else if (!isLeftOut(entry.frame)) playing.due.push(entry);
  }
  return new Map([...playing.sockets].map(([conn, { frames }]) => [conn, frames]));
}
