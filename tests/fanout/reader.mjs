/*
 * reader - a client of the board's tasks that can stop reading its socket, as a phone in a tunnel does, and read on. It
 * tells what was in the socket's own buffers when it read on from what it was sent after that.
 */
import { readFileSync } from "node:fs";

import { Client } from "../lib/client.mjs";

const headerLength = (length) => (length < 126 ? 2 : length < 65536 ? 4 : 10);

export class Reader extends Client {
  constructor(url) {
    super(url, ["tasks"]);
    this.left = Infinity; // where, in the bytes of the connection, begins what was not in its buffers
    this.stale = 0; // deltas in the buffers
    this.caughtUp = new Map(); // key -> deltas behind them
  }

  connect() {
    super.connect();
    this.socket.on("upgrade", ({ socket }) => {
      this.tcp = socket;
      this.at = socket.bytesRead; // behind the answer, where frames begin
    });
    this.socket.on("ping", (data) => (this.at += headerLength(data.length) + data.length));
  }

  stopReading() {
    this.socket.pause();
  }

  /** Nothing may be written meanwhile: what waits in the kernel, at both ends, is what the stop has left there. */
  readOn() {
    this.left = this.tcp.bytesRead + queued(this.tcp);
    this.socket.resume();
  }

  message(data) {
    this.isStale = this.at < this.left;
    this.at += headerLength(data.length) + data.length;
    super.message(data);
  }

  on_d(frame, seq) {
    super.on_d(frame, seq);
    if (this.left === Infinity) return;
    if (this.isStale) this.stale++;
    else this.caughtUp.set(frame.key, (this.caughtUp.get(frame.key) ?? 0) + 1);
  }
}

/** The bytes that wait in the kernel to be sent to this socket of ours, or to be read by it. */
function queued({ localPort, remotePort }) {
  const lines = readFileSync("/proc/net/tcp", "utf8").trim().split("\n").slice(1);
  const of = lines.map((line) => line.trim().split(/\s+/)).filter(([, ...ends]) => {
    const ports = ends.slice(0, 2).map((end) => parseInt(end.split(":")[1], 16));
    return ports.includes(localPort) && ports.includes(remotePort);
  });
  if (of.length !== 2) throw new Error(`${of.length} ends of a connection in /proc/net/tcp`);
  return of.reduce((sum, fields) => sum + fields[4].split(":").reduce((a, hex) => a + parseInt(hex, 16), 0), 0);
}
