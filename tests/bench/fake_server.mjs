// A server of the base contract with one collection in memory, to test the driver against: right by default, wrong in
// exactly one way when it is told which. It decides what one read brought in one turn, as a real server does.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

// ---- MessagePack, as far as the driver speaks it ----

const str = (text) => {
  const bytes = Buffer.from(text);
  const head = bytes.length < 32 ? [0xa0 | bytes.length] : bytes.length < 256 ? [0xd9, bytes.length] : null;
  if (!head) throw new Error('a string too long for the fake server');
  return Buffer.concat([Buffer.from(head), bytes]);
};

const wideInteger = (value) => {
  const bytes = Buffer.alloc(9, 0xd3);
  bytes.writeBigInt64BE(BigInt(value), 1);
  return bytes;
};

const number = (value) => {
  if (Number.isInteger(value) && value >= 0 && value < 128) return Buffer.from([value]);
  const isShort = Number.isInteger(value) && value >= 0 && value < 2 ** 32;
  const bytes = Buffer.alloc(isShort ? 5 : 9, isShort ? 0xce : 0xcb);
  if (isShort) bytes.writeUInt32BE(value, 1);
  else bytes.writeDoubleBE(value, 1);
  return bytes;
};

function encode(value) {
  if (Buffer.isBuffer(value)) return value; // encoded already
  if (typeof value === 'string') return str(value);
  if (typeof value === 'number') return number(value);
  const pairs = Object.entries(value);
  return Buffer.concat([Buffer.from([0x80 | pairs.length]), ...pairs.flatMap(([k, v]) => [str(k), encode(v)])]);
}

function decodeAt(bytes, at) {
  const tag = bytes[at++];
  const text = (len) => ({ value: bytes.toString('utf8', at, at + len), at: at + len });
  const list = (n) => {
    const values = [];
    for (let i = 0; i < n; i++) {
      const item = decodeAt(bytes, at);
      values.push(item.value);
      at = item.at;
    }
    return values;
  };
  if (tag < 0x80) return { value: tag, at };
  if (tag < 0x90) {
    const flat = list(2 * (tag & 15));
    return { value: Object.fromEntries(flat.flatMap((k, i) => (i % 2 ? [] : [[k, flat[i + 1]]]))), at };
  }
  if (tag < 0xa0) return { value: list(tag & 15), at };
  if (tag < 0xc0) return text(tag & 31);
  if (tag === 0xd9) return at++, text(bytes[at - 1]);
  if (tag === 0xcb) return { value: bytes.readDoubleBE(at), at: at + 8 };
  if (tag === 0xcc) return { value: bytes[at], at: at + 1 };
  if (tag === 0xcd) return { value: bytes.readUInt16BE(at), at: at + 2 };
  if (tag === 0xce) return { value: bytes.readUInt32BE(at), at: at + 4 };
  throw new Error(`tag ${tag} is not for the fake server`);
}

// ---- WebSocket ----

function message(payload, opcode = 2) {
  const { length } = payload;
  const size = length < 126 ? [length] : [126, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([0x80 | opcode, ...size]), payload]);
}

// The payloads of the whole messages in `bytes`, and what is left.
function parse(bytes) {
  const payloads = [];
  for (;;) {
    const short = bytes[1] & 127;
    const at = short === 126 ? 4 : 2;
    if (bytes.length < at + 4) return { payloads, rest: bytes };
    const length = short === 126 ? bytes.readUInt16BE(2) : short;
    if (bytes.length < at + 4 + length) return { payloads, rest: bytes };
    const mask = bytes.subarray(at, at + 4);
    payloads.push(Buffer.from(bytes.subarray(at + 4, at + 4 + length)).map((b, i) => b ^ mask[i % 4]));
    bytes = bytes.subarray(at + 4 + length);
  }
}

// ---- the contract ----

export const faults = {
  lose: 'a delta that is never sent',
  double: 'a delta sent twice',
  value: 'a delta with another value than the one written',
  wide: 'a column as a 64-bit integer',
  early: 'an answer before the change',
  seq: 'an answer with another seq than its change',
  back: 'a boundary below the cursor',
  short: 'a boundary below its delta',
  row: 'a snapshot that lacks a row',
  middle: 'a boundary in the middle of a snapshot',
  reject: 'a rejection',
  trailing: 'bytes after a frame',
  close: 'a socket closed under way',
};

// Those of a resume.
export const resumeFaults = {
  lacking: 'a catch-up that lacks a change',
  again: 'a catch-up that has a change twice',
  stale: 'a catch-up with the value from before',
  reset: 'a reset instead of a catch-up',
  whole: 'a snapshot instead of a catch-up',
  ending: 'a boundary behind the catch-up that is below its last change',
};

const HELD_MS = 20; // a resumed session's boundaries repeat its cursor so long

class Scope {
  constructor(fault) {
    this.fault = fault;
    this.head = 100;
    this.rows = new Map(); // by key: { row, seq, op } of its latest change
    this.sessions = new Set();
  }

  // The fault happens once, at the 20th transaction or the first snapshot with rows.
  is(fault) {
    return this.fault === fault && this.head >= 120;
  }

  turn(session, frames) {
    const answers = [];
    const changes = [];
    const held = this.head;
    for (const frame of frames) {
      if (frame.t === 'sub') session.sub = frame.subId;
      if (frame.t === 'sub' && !frame.since) this.snapshot(session);
      if (frame.t === 'sub' && frame.since) this.catchUp(session, Number(frame.since));
      if (frame.t === 'unsub') session.sub = null;
      if (frame.t === 'call' && frame.name === 'seed') answers.push(this.seed(frame));
      if (frame.t === 'call' && frame.name === 'touch') answers.push(this.touch(frame, changes));
      if (frame.t === 'mut') answers.push(this.insert(frame, changes));
    }
    if (this.is('early') && answers.length) session.send(...answers.splice(0, 1));
    if (changes.length) this.fanOut(changes, held);
    session.send(...answers);
    if (this.is('close')) session.close();
  }

  snapshot(session) {
    const { sub } = session;
    const seq = String(this.head);
    const rows = [...this.rows].sort(([a], [b]) => (a < b ? -1 : 1)).slice(this.is('row') ? 1 : 0);
    const snaps = rows.map(([key, { row }]) => ({ t: 'snap', sub, key, row, seq }));
    if (this.is('middle')) snaps.splice(5, 0, { t: 'uptodate', seq });
    session.send(...snaps, { t: 'snap-end', sub, seq });
  }

  catchUp(session, since) {
    if (this.is('reset')) session.send({ t: 'reset', sub: session.sub });
    if (this.is('reset') || this.is('whole')) return this.snapshot(session);
    const changed = [...this.rows].filter(([, { seq }]) => seq > since).sort(([, a], [, b]) => a.seq - b.seq);
    if (this.is('lacking')) changed.shift();
    if (this.is('again')) changed.splice(1, 0, changed[0]);
    const deltas = changed.map(([key, { row, seq, op }]) => this.delta(session, { key, cols: row, seq, op }));
    if (this.is('stale')) deltas[0].cols = { ...deltas[0].cols, score: (deltas[0].cols.score + 99) % 100 };
    session.held = since;
    if (this.is('endless')) return session.send(...deltas);
    session.send(...deltas, { t: 'uptodate', sub: session.sub, seq: String(since) });
    setTimeout(() => {
      session.held = null;
      session.send({ t: 'uptodate', seq: String(this.is('ending') ? this.head - 1 : this.head) });
    }, HELD_MS);
  }

  delta({ sub }, { key, cols, seq, op }) {
    return { t: 'd', sub, key, op, cols, seq: String(seq) };
  }

  write(key, row, op) {
    this.rows.set(key, { row, op, seq: ++this.head });
    return { key, cols: row, op, seq: this.head };
  }

  seed({ txId, args }) {
    for (let i = args.from; i < args.from + args.n; i++) {
      const title = `task number ${i} with a title that pads the row out`;
      const id = `seed-${String(i).padStart(8, '0')}`;
      const status = i % 3 ? 'open' : 'done';
      this.write(id, { id, title, status, score: i % 100, updated_at: 1700000000000 + i }, 'insert');
    }
    return { t: 'committed', txId, seq: String(this.head), result: args.n };
  }

  touch({ txId, args }, changes) {
    for (const [key, { row }] of [...this.rows].slice(0, args.n)) {
      changes.push(this.write(key, { ...row, score: row.score + 1 }, 'update'));
    }
    return { t: 'committed', txId, seq: String(this.head), result: args.n };
  }

  insert({ txId, ops: [{ key, cols }] }, changes) {
    changes.push(this.write(key, cols, 'insert'));
    if (this.is('reject')) return { t: 'rejected', txId, error: { code: 'FORBIDDEN', message: 'told to' } };
    return { t: 'committed', txId, seq: String(this.is('seq') ? this.head - 1 : this.head) };
  }

  fanOut(changes, held) {
    let list = changes;
    const first = changes[0];
    if (this.is('value')) first.cols = { ...first.cols, score: (first.cols.score + 1) % 100 };
    if (this.is('wide')) first.cols = { ...first.cols, score: wideInteger(first.cols.score) };
    if (this.is('lose')) list = changes.slice(1);
    if (this.is('double')) list = [first, ...changes];
    const end = this.is('back') ? held - 1 : this.is('short') ? this.head - 1 : this.head;
    for (const session of this.sessions) {
      const deltas = list.map((change) => this.delta(session, change));
      if (session.sub) session.send(...deltas, { t: 'uptodate', seq: String(session.held ?? end) });
    }
  }
}

class Session {
  constructor(socket, scope) {
    this.socket = socket;
    this.scope = scope;
    this.rest = Buffer.alloc(0);
    this.sub = null;
    this.held = null;
  }

  read(bytes) {
    const { payloads, rest } = parse(Buffer.concat([this.rest, bytes]));
    this.rest = rest;
    if (payloads.length) this.scope.turn(this, payloads.map((payload) => decodeAt(payload, 0).value));
  }

  send(...frames) {
    const tail = Buffer.alloc(this.scope.is('trailing') ? 1 : 0);
    this.socket.write(Buffer.concat(frames.map((frame) => message(Buffer.concat([encode(frame), tail])))));
  }

  close() {
    this.socket.end(message(Buffer.from([0x03, 0xf4]), 8)); // 1012
  }
}

// Resolves to { url, close }. `fault` is a name of `faults` or `resumeFaults`, 'endless', or nothing.
export async function serve(fault) {
  const scopes = new Map();
  const sockets = new Set();
  const server = createServer((_, response) => response.writeHead(426).end('expected websocket upgrade'));
  server.on('upgrade', (request, socket) => {
    const [, name] = request.url.match(/^\/(.*)\/sync(\?|$)/);
    if (!scopes.has(name)) scopes.set(name, new Scope(fault));
    const session = new Session(socket, scopes.get(name));
    const accept = createHash('sha1')
      .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64');
    const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
    socket.write([...head, `Sec-WebSocket-Accept: ${accept}`, '', ''].join('\r\n'));
    sockets.add(socket);
    session.scope.sessions.add(session);
    socket.on('data', (bytes) => session.read(bytes));
    socket.on('error', () => {});
    socket.on('close', () => session.scope.sessions.delete(session));
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `ws://127.0.0.1:${server.address().port}/{scope}/sync`,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
