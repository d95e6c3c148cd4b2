// What a row is measured with: the server under test, the driver and the ceilings as child processes, and the memory of
// a process and its children. Every child is bounded in time and ended by its pid.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export class BenchError extends Error {}

const START_MS = 30_000;
const STOP_MS = 15_000;
const LAST_WORDS = 4000; // of a child's standard error

// Nothing outlives the bench, however it ends.
const running = new Set();
process.on('exit', () => running.forEach((child) => child.process.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

// A child whose output is kept: `lines` as they come, `exited` when it is over, `lastWords` for a message.
class Child {
  constructor(command, args, { stdin = 'ignore' } = {}) {
    this.name = command.split('/').pop();
    this.process = spawn(command, args, { stdio: [stdin, 'pipe', 'pipe'] });
    this.out = '';
    this.lastWords = '';
    this.over = null; // how it ended
    this.process.stdout.setEncoding('utf8').on('data', (text) => this.hear(text));
    this.process.stderr.setEncoding('utf8').on('data', (text) => this.note(text));
    this.exited = new Promise((resolve) => {
      this.process.on('error', (error) => resolve(`could not start: ${error.message}`));
      this.process.on('close', (code, signal) => resolve(signal ? `was killed by ${signal}` : `ended with ${code}`));
    }).then((how) => {
      this.over = how;
      running.delete(this);
    });
    running.add(this);
  }

  hear(text) {
    this.out += text;
    this.onLine?.();
  }

  note(text) {
    this.lastWords = (this.lastWords + text).slice(-LAST_WORDS);
  }

  // The first line that matches, within `ms`.
  async line(pattern, ms) {
    const heard = new Promise((resolve) => (this.onLine = () => pattern.test(this.out) && resolve()));
    this.onLine();
    await Promise.race([heard, this.exited, sleep(ms, null, { ref: false })]);
    const found = this.out.match(pattern);
    if (found) return found;
    const how = this.over ?? `was not ready within ${ms / 1000} s`;
    throw new BenchError(`${this.name} ${how}\n${this.lastWords}`);
  }

  // Standard output, if it ends well within `ms`.
  async output(ms) {
    await Promise.race([this.exited, sleep(ms, null, { ref: false })]);
    if (this.over === 'ended with 0') return this.out;
    const how = this.over ?? `did not end within ${ms / 1000} s`;
    await this.stop('SIGKILL');
    throw new BenchError(`${this.name} ${how}\n${this.lastWords}`);
  }

  async stop(signal = 'SIGTERM') {
    if (this.over) return;
    this.process.kill(signal);
    await Promise.race([this.exited, sleep(STOP_MS, null, { ref: false })]);
    if (this.over) return;
    this.process.kill('SIGKILL');
    await this.exited;
    throw new BenchError(`${this.name} did not stop within ${STOP_MS / 1000} s of ${signal}`);
  }
}

export async function run(command, args, ms) {
  return (await new Child(command, args).output(ms)).trim();
}

// ---- memory ----

function childrenOf() {
  const children = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const parent = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[1];
      children.set(parent, [...(children.get(parent) ?? []), pid]);
    } catch {
      // It is gone already.
    }
  }
  return children;
}

function family(pid) {
  const children = childrenOf();
  const all = [String(pid)];
  for (let i = 0; i < all.length; i++) all.push(...(children.get(all[i]) ?? []));
  return all;
}

const privateDirtyOf = (pid) =>
  1024 * Number(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').match(/^Private_Dirty:\s+(\d+) kB$/m)[1]);

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

// Bytes, over these processes.
const privateDirty = (pids) => sum(pids.map(privateDirtyOf));

// ---- the server ----

export class Server {
  // `bench` says where things are; `name` is its data folder's.
  constructor(bench, name) {
    this.bench = bench;
    this.data = join(bench.dir, name);
  }

  async start() {
    const { skerry, app } = this.bench;
    const options = ['--data', this.data, '--listen', '127.0.0.1:0', '--shards', '2'];
    this.child = new Child(skerry, ['serve', app, ...options]);
    const [, address] = await this.child.line(/^ready http:\/\/(\S+?)\/?$/m, START_MS);
    const token = await run(skerry, ['token', '--app', app, '--sub', 'bench', '--ttl', '1h'], 10_000);
    this.address = address;
    this.url = `ws://${address}/v1/board/board/{scope}/sync?token=${token}`;
    return this;
  }

  // Until it has closed every scope, or `ms` are over.
  async asleep(ms = 15_000) {
    const end = Date.now() + ms;
    for (;;) {
      const metrics = await (await fetch(`http://${this.address}/metrics`)).text();
      const [, open] = metrics.match(/^skerry_shard_scopes (\d+)$/m) ?? [];
      if (open === '0') return;
      if (Date.now() > end) throw new BenchError(`after ${ms / 1000} s without sessions, ${open} scopes are still open`);
      await sleep(50);
    }
  }

  async stop() {
    await this.child?.stop();
  }

  async restart() {
    await this.stop();
    await this.start();
  }

  // Throws, with what it said last, when the server is dead; its workers' deaths stand in what it said.
  async check() {
    await sleep(200); // for the news to arrive
    if (this.child?.over) throw new BenchError(`the server ${this.child.over}\n${this.child.lastWords}`);
  }

  get lastWords() {
    return this.child?.lastWords ?? '';
  }

  // Private_Dirty of all its processes once it stays the same for a second, or after `ms`.
  async settledMemory(ms = 15_000) {
    const end = Date.now() + ms;
    const last = [];
    for (;;) {
      last.push(this.memory());
      if (last.length > 5) last.shift();
      if (Date.now() > end || (last.length === 5 && Math.max(...last) - Math.min(...last) <= 16384)) return last.pop();
      await sleep(250);
    }
  }

  memory() {
    return privateDirty(family(this.child.process.pid));
  }

  // The most memory of its processes, looked at every few milliseconds while `work` goes on.
  async peakMemory(work) {
    const pids = family(this.child.process.pid);
    let isOver = false;
    work.then(() => (isOver = true), () => (isOver = true));
    let peak = 0;
    while (!isOver) {
      peak = Math.max(peak, privateDirty(pids));
      await sleep(5);
    }
    await work;
    return peak;
  }
}

// A server that somebody else runs: its processes are not ours to look at or to restart.
export class ForeignServer {
  constructor(url) {
    this.url = url;
    this.lastWords = '';
  }
  async stop() {}
  async check() {}
}

// ---- the driver and the ceilings ----

const TMPFS = 0x01021994;

export class Bench {
  constructor({ skerry, app, programs, dir, seconds, sockets }) {
    Object.assign(this, { skerry, app, programs, dir, seconds, sockets });
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true });
    if (statfsSync(dir).type === TMPFS) {
      throw new BenchError(`${dir} is in memory, where a sync costs nothing: name a folder on a disk with BENCH_DIR`);
    }
  }

  program(name) {
    return join(this.programs, name);
  }

  // The driver's one line of JSON. It ends by itself when the server is silent for 10 s.
  async drive(server, command, options = {}) {
    const out = await run(this.program('driver'), [command, ...flags({ url: server.url, ...options })], this.limitMs());
    return JSON.parse(out);
  }

  async ceiling(name, options = {}) {
    return JSON.parse(await run(this.program(name), flags(options), this.limitMs()));
  }

  // The driver against a ceiling that it takes for a server.
  async against(name, options, command, load) {
    const ceiling = new Child(this.program(name), flags(options));
    try {
      const [, address] = await ceiling.line(/^ready http:\/\/(\S+?)\/?$/m, START_MS);
      return await this.drive({ url: `ws://${address}/{scope}` }, command, load);
    } finally {
      await ceiling.stop();
    }
  }

  scan(rows) {
    return this.against('scan', { dir: this.dir, rows }, 'snapshot', { rows, seconds: this.seconds });
  }

  // Sockets that are subscribed and idle while `work` goes on.
  async holding(server, options, work) {
    const args = ['idle', ...flags({ url: server.url, ...options })];
    const driver = new Child(this.program('driver'), args, { stdin: 'pipe' });
    try {
      await driver.line(/"connections"/, this.limitMs());
      return await work();
    } finally {
      driver.process.stdin.end();
      await driver.output(STOP_MS);
    }
  }

  limitMs() {
    return 60_000 + 3000 * this.seconds;
  }

  release() {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const flags = (options) => Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
