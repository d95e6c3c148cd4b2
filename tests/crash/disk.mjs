/*
 * disk - a folder as a disk holds it: what is durable, what was done since, and what a power cut leaves of that.
 *
 * It is told what was done by the log of lossy.c. A file's changes become durable by a sync of the file, a folder's
 * entries by one of the folder. Of the others a power cut takes any: of a folder's changes the last ones, of a file's
 * any sectors of any writes. A sector has only ever one of the contents that it had before, as it lies whole in one page.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

const SECTOR = 512;
const BLOCK = 64 * 1024; // of what is written at once; zeros are left out
const WHAT = "start open close write zeros truncate rename unlink mkdir sync synced".split(" "); // as in lossy.c
const ENTRY = 24;

/* A file's bytes, which can grow; what is behind `length` is zero. */
class Bytes {
  constructor(bytes = Buffer.alloc(0)) {
    this.buffer = Buffer.from(bytes);
    this.length = bytes.length;
  }

  resize(length) {
    if (length > this.buffer.length) {
      const larger = Buffer.alloc(Math.max(length, 2 * this.buffer.length));
      this.buffer.copy(larger, 0, 0, this.length);
      this.buffer = larger;
    }
    if (length < this.length) this.buffer.fill(0, length, this.length);
    this.length = length;
  }

  apply({ at, length, data }) {
    if (at + length > this.length) this.resize(at + length);
    if (data) data.copy(this.buffer, at);
    else this.buffer.fill(0, at, at + length);
  }

  get() {
    return this.buffer.subarray(0, this.length);
  }
}

/* What was changed but not synced, oldest first; each change has a number. */
class Changes {
  list = [];
  n = 0;

  add(change) {
    this.list.push({ ...change, number: ++this.n });
  }

  /** Those up to `number`, which are taken off. */
  take(number = this.n) {
    const end = this.list.findIndex((change) => change.number > number);
    return this.list.splice(0, end < 0 ? this.list.length : end);
  }
}

const applyTo = (bytes, change) => (change.size === undefined ? bytes.apply(change) : bytes.resize(change.size));

class File {
  durable = new Bytes();
  changes = new Changes();

  synced(number) {
    for (const change of this.changes.take(number)) applyTo(this.durable, change);
  }

  /** As the processes see it. */
  now() {
    if (this.changes.list.length === 0) return this.durable.get();
    const bytes = new Bytes(this.durable.get());
    for (const change of this.changes.list) applyTo(bytes, change);
    return bytes.get();
  }

  cut(random) {
    const changes = this.changes.take();
    const kept = [() => [], () => changes, () => someSectors(changes, random)];
    for (const change of random.pick(kept)()) applyTo(this.durable, change);
  }
}

/** What is left of changes: where a sector of a write is kept, so is what was written there before. */
function someSectors(changes, random) {
  const last = new Map(); // sector -> number of the last change of it that is kept
  const left = [];
  for (const { at, length, number } of changes.filter(({ size }) => size === undefined))
    for (const sector of someOf(sectors(at, length), random)) last.set(sector, number);
  for (const change of changes) {
    if (change.size === undefined) left.push(...partsOf(change, last));
    else if (random.below(2) === 0) left.push(change);
  }
  return left;
}

function sectors(at, length) {
  const first = Math.floor(at / SECTOR);
  return Array.from({ length: Math.floor((at + length - 1) / SECTOR) - first + 1 }, (_, i) => first + i);
}

/** All, none, the first or the last ones of a list. */
function someOf(list, random) {
  const cut = random.below(list.length + 1);
  return random.pick([list, [], list.slice(0, cut), list.slice(cut)]);
}

/** The runs of sectors of a write of which this or a later change is kept, as writes. */
function partsOf({ at, length, data, number }, last) {
  const parts = [];
  for (const sector of sectors(at, length)) {
    if (!(last.get(sector) >= number)) continue;
    const from = Math.max(at, sector * SECTOR);
    const to = Math.min(at + length, (sector + 1) * SECTOR);
    const before = parts.at(-1);
    if (before && before.at + before.length === from) before.length += to - from;
    else parts.push({ at: from, length: to - from });
  }
  return parts.map((part) => ({ ...part, data: data?.subarray(part.at - at, part.at - at + part.length) }));
}

class Folder {
  durable = new Map(); // name -> File or Folder
  entries = new Map(); // as the processes see them
  changes = new Changes(); // of entries: pairs of [name, node], where null takes the name away

  change(...pairs) {
    this.changes.add({ pairs });
    setAll(this.entries, pairs);
  }

  synced(number) {
    for (const { pairs } of this.changes.take(number)) setAll(this.durable, pairs);
  }

  now() {
    return this.entries;
  }

  cut(random) {
    const changes = this.changes.take();
    const n = random.pick([0, changes.length, random.below(changes.length + 1)]);
    for (const { pairs } of changes.slice(0, n)) setAll(this.durable, pairs);
    this.entries = new Map(this.durable);
    for (const node of this.entries.values()) node.cut(random);
  }
}

function setAll(map, pairs) {
  for (const [name, node] of pairs) {
    if (node === null) map.delete(name);
    else map.set(name, node);
  }
}

export class Disk {
  root = new Folder();

  /** `folder` is where the log's paths begin. */
  constructor(folder) {
    this.folder = folder;
  }

  /** Takes part in what a log tells. Returns the number of its entries. */
  replay(log) {
    let open, n, at;
    const handlers = {
      start: () => (open = new Map()), // descriptor -> {node, syncing}; of a new process
      open: ({ fd, at: truncates, text }) => open.set(fd, { node: this.open(text, truncates) }),
      close: ({ fd }) => open.delete(fd),
      write: ({ fd, at, length, data }) => open.get(fd).node.changes.add({ at, length, data }),
      zeros: ({ fd, at, length }) => open.get(fd).node.changes.add({ at, length }),
      truncate: ({ fd, at: size }) => open.get(fd).node.changes.add({ size }),
      rename: ({ text }) => this.rename(...text.split("\0")),
      unlink: ({ text }) => this.unlink(text),
      mkdir: ({ text }) => this.set(text, new Folder()),
      sync: ({ fd }) => (open.get(fd).syncing = open.get(fd).node.changes.n),
      synced: ({ fd }) => open.get(fd).node.synced(open.get(fd).syncing),
    };
    for (n = 0, at = 0; at + ENTRY <= log.length; n++) {
      const entry = readEntry(log, at);
      if (entry.end > log.length) break; // it was killed while it wrote this one
      handlers[entry.what](entry);
      at = entry.end;
    }
    return n;
  }

  /** The folder and the last name of a path below the root. */
  at(path) {
    const names = path.slice(this.folder.length + 1).split("/").filter(Boolean);
    const last = names.pop();
    return [names.reduce((folder, name) => folder.entries.get(name), this.root), last];
  }

  open(path, truncates) {
    const [folder, name] = this.at(path);
    if (name === undefined) return this.root;
    if (!folder.entries.has(name)) folder.change([name, new File()]);
    const node = folder.entries.get(name);
    if (truncates) node.changes.add({ size: 0 });
    return node;
  }

  set(path, node) {
    const [folder, name] = this.at(path);
    folder.change([name, node]);
  }

  unlink(path) {
    const [folder, name] = this.at(path);
    if (folder.entries.has(name)) folder.change([name, null]); // a socket is not ours
  }

  rename(from, to) {
    const [folder, name] = this.at(from);
    const [toFolder, toName] = this.at(to);
    if (folder !== toFolder) throw new Error(`${from} was renamed into another folder, which is not provided for`);
    folder.change([toName, folder.entries.get(name)], [name, null]);
  }

  /** The power goes, and comes back. */
  cut(random) {
    this.root.cut(random);
  }

  /** Makes a real folder of it, in the place of what is there. */
  write(path = this.folder) {
    rmSync(path, { recursive: true, force: true });
    writeNode(path, this.root);
  }
}

function readEntry(log, at) {
  const what = WHAT[log.readUInt32LE(at)];
  const fd = log.readInt32LE(at + 4);
  const length = Number(log.readBigUInt64LE(at + 16));
  const begin = at + ENTRY;
  const end = begin + (what === "zeros" ? 0 : length);
  const data = log.subarray(begin, end);
  const isText = ["open", "rename", "unlink", "mkdir"].includes(what);
  return { what, fd, at: Number(log.readBigUInt64LE(at + 8)), length, data, text: isText && data.toString(), end };
}

function writeNode(path, node) {
  if (node instanceof Folder) {
    mkdirSync(path, { mode: 0o700 });
    for (const [name, child] of node.now()) writeNode(join(path, name), child);
    return;
  }
  const bytes = node.now();
  const fd = openSync(path, "wx", 0o600);
  for (let at = 0; at < bytes.length; at += BLOCK) {
    const block = bytes.subarray(at, at + BLOCK);
    if (!isZero(block)) writeSync(fd, block, 0, block.length, at);
  }
  ftruncateSync(fd, bytes.length);
  closeSync(fd);
}

const ZEROS = Buffer.alloc(BLOCK);
const isZero = (block) => block.equals(ZEROS.subarray(0, block.length));

