/*
 * raw - a WebSocket client by hand, for what a well-made one would never send.
 */
import { randomBytes } from "node:crypto";
import { connect } from "node:net";

/** An upgrade request's head. `headers` replaces some (null: leaves out). */
export function upgradeHead(path, headers = {}) {
  const all = {
    Host: "127.0.0.1",
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    ...headers,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== null);
  return `GET ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}

/** A frame's bytes. `claim` is the length that the header tells, if not the payload's. */
export function frame(opcode, payload = Buffer.alloc(0), { fin = true, rsv = 0, masked = true, claim } = {}) {
  payload = Buffer.from(payload);
  const length = claim ?? payload.length;
  const short = length < 126 ? length : length < 65536 ? 126 : 127;
  const head = [Buffer.from([(fin ? 0x80 : 0) | (rsv << 4) | opcode, (masked ? 0x80 : 0) | short])];
  if (short === 126) head.push(Buffer.from([length >> 8, length & 255]));
  if (short === 127) {
    const eight = Buffer.alloc(8);
    eight.writeBigUInt64BE(BigInt(length));
    head.push(eight);
  }
  if (!masked) return Buffer.concat([...head, payload]);
  const mask = randomBytes(4);
  return Buffer.concat([...head, mask, payload.map((byte, i) => byte ^ mask[i & 3])]);
}

export class RawSocket {
  /** Connects; what comes is kept in `bytes`, as text in `text`. `closed` resolves at the end of the connection. */
  constructor(port) {
    this.bytes = Buffer.alloc(0);
    this.waiting = [];
    this.socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.closed = new Promise((done) => this.socket.on("close", done));
    this.isClosed = false;
    this.closed.then(() => ((this.isClosed = true), this.wake()));
    this.socket.on("error", () => {}); // "close" follows
    this.socket.on("data", (data) => {
      this.bytes = Buffer.concat([this.bytes, data]);
      this.wake();
    });
  }

  wake() {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  write(bytes) {
    this.socket.write(bytes);
    return this;
  }

  end() {
    this.socket.destroy();
  }

  /** Calls `take` whenever there is more, until it returns something; null if the connection ends before. */
  async next(take) {
    for (;;) {
      const taken = take();
      if (taken !== undefined) return taken;
      if (this.isClosed) return null;
      await new Promise((resolve) => this.waiting.push(resolve));
    }
  }

  /** The status of the next HTTP answer, whose head it takes off; null if the connection ends without one. */
  status() {
    return this.next(() => {
      const end = this.bytes.indexOf("\r\n\r\n");
      if (end < 0) return undefined;
      const status = Number(this.bytes.toString("latin1", 9, 12));
      this.bytes = this.bytes.subarray(end + 4);
      return status;
    });
  }

  /** The next message as {opcode, payload}, or {opcode: 8, code}; code 1006 if the connection ends without one. */
  async message() {
    const message = await this.next(() => this.take());
    return message ?? { opcode: 8, code: 1006 };
  }

  take() {
    const { bytes } = this;
    if (bytes.length < 2) return undefined;
    const short = bytes[1];
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length < head) return undefined;
    const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (bytes.length < head + length) return undefined;
    const payload = bytes.subarray(head, head + length);
    this.bytes = bytes.subarray(head + length);
    const opcode = bytes[0] & 15;
    return opcode === 8 ? { opcode, code: length >= 2 ? payload.readUInt16BE(0) : 1005 } : { opcode, payload };
  }

  /** Upgrades; the rest of the connection is frames. */
  async upgrade(path) {
    const status = await this.write(upgradeHead(path)).status();
    if (status !== 101) throw new Error(`the upgrade was answered with ${status}`);
    return this;
  }
}
