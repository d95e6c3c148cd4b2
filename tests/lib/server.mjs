/*
 * server - a `skerry serve --dev` of its own: started, stopped, killed in parts, started again on its data.
 *
 * The program is $SKERRY_BIN, or ./skerry of the sources' top.
 */
import { execFile, spawn } from "node:child_process";
import { createWriteStream, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as nap } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const top = fileURLToPath(new URL("../..", import.meta.url));
export const program = resolve(process.env.SKERRY_BIN ?? join(top, "skerry"));
const PATIENCE_MS = Number(process.env.SKERRY_PATIENCE_MS ?? 30000);

/** Waits until `condition` returns something true, and returns that. `what` is for the error when it does not. */
export async function until(condition, what, patienceMs = PATIENCE_MS) {
  const end = Date.now() + patienceMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited in vain for ${typeof what === "function" ? what() : what}`);
    await nap(5);
  }
}

/** A port that was free a moment ago: the same one serves a server's every start. */
function freePort() {
  return new Promise((done) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}

function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function isGone(pid) {
  const status = read(`/proc/${pid}/status`);
  return status === "" || /^State:\s+[ZX]/m.test(status);
}

/*
 * A test that fails half-way leaves no server behind, nor what a killed one has started: each leads a process group,
 * which stays here until nobody is left in it.
 */
const groups = new Set();
function killGroup(pid) {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // nobody is left in it
  }
}
process.on("exit", () => groups.forEach(killGroup));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

export class Server {
  /** `app` is the name of an app, `source` its folder: one of examples/, unless it is said. */
  constructor(app, { shards = 2, source = join(top, "examples", app) } = {}) {
    this.app = app;
    this.source = source;
    this.shards = shards;
    this.env = {}; // what its processes find in their environment, besides ours
    this.folder = mkdtempSync(join(tmpdir(), "skerry-test-"));
    this.data = join(this.folder, "data");
    this.log = join(this.folder, "log");
  }

  async start() {
    this.port ??= await freePort();
    const args = ["serve", this.source, "--dev", "--data", this.data];
    args.push("--listen", `127.0.0.1:${this.port}`, "--shards", String(this.shards));
    const env = { ...process.env, ...this.env };
    this.process = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true, env });
    groups.add(this.process.pid);
    this.process.stderr.pipe(createWriteStream(this.log, { flags: "a" }));
    this.ended = new Promise((done) => this.process.on("close", (status, signal) => done(signal ?? status)));
    const lines = createInterface(this.process.stdout);
    await new Promise((done, fail) => {
      lines.on("line", (line) => line.startsWith("ready http://") && done());
      this.process.on("error", fail);
      lines.on("close", () => fail(new Error(`${program} printed no ready line; its log:\n${read(this.log)}`)));
    });
  }

  /** SIGTERM. Returns the exit status. */
  async stop() {
    this.process.kill("SIGTERM");
    const status = await this.ended;
    groups.delete(this.process.pid);
    return status;
  }

  /** What a sanitizer or an assertion, or what `pattern` matches, has said in the log; null if nothing. */
  fault(pattern = /Sanitizer|runtime error|Assertion/) {
    const log = read(this.log);
    const at = log.search(pattern);
    return at < 0 ? null : log.slice(at, at + 4000);
  }

  /** How often the log says what matches `pattern`. */
  logged(pattern) {
    return read(this.log).split(pattern).length - 1;
  }

  /** The processes that the supervisor started, as {pid, role}. */
  children() {
    const { pid } = this.process;
    const pids = read(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
    return pids.map((child) => ({ pid: child, role: read(`/proc/${child}/cmdline`).split("\0")[1] }));
  }

  /** kill -9 of the child that plays `role`. */
  async killRole(role) {
    const child = await until(() => this.children().find((one) => one.role === role), `a ${role} to kill`);
    process.kill(child.pid, "SIGKILL");
    await until(() => isGone(child.pid), `the end of ${role} ${child.pid}`);
  }

  /** kill -9 of the supervisor alone: its children have to follow. */
  async killAll() {
    this.process.kill("SIGKILL");
    await this.ended;
    await until(() => this.processes().length === 0, "all processes to follow their supervisor");
    groups.delete(this.process.pid);
  }

  async killAllAndRestart() {
    await this.killAll();
    await this.start();
  }

  /** All processes that work on this data. */
  processes() {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
    return pids.filter((pid) => read(`/proc/${pid}/cmdline`).includes(this.data) && !isGone(pid)).map(Number);
  }

  /** A scope's whole name. */
  scope(id) {
    const kind = { chat: "room", board: "board" }[this.app];
    return `${this.app}/${kind}/${id}`;
  }

  url(id, user) {
    return `ws://127.0.0.1:${this.port}/v1/${this.scope(id)}/sync?user=${user}`;
  }

  /** Runs `skerry COMMAND` on this server, to its end: {status, out, err}. */
  command(command, ...args) {
    return new Promise((done) =>
      execFile(program, [command, "--data", this.data, ...args], (error, out, err) =>
        done({ status: error ? error.code : 0, out, err }),
      ),
    );
  }

  /** Text of a plain GET. */
  async get(path) {
    const answer = await fetch(`http://127.0.0.1:${this.port}${path}`);
    return answer.text();
  }

  /** The sum of a metric's series, 0 if there are none. */
  async metric(name) {
    const lines = (await this.get("/metrics")).split("\n").filter((line) => line.match(`^${name}[{ ]`));
    return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
