/* memory - what a server's processes keep for themselves: Private_Dirty over all of them, in KiB. */
import { readFileSync } from "node:fs";
import { setTimeout as nap } from "node:timers/promises";

const SAMPLE_MS = 50;
const SETTLED_KIB = 16;
const SETTLED_SAMPLES = 20;
const SETTLE_MS = 15000;

export class Memory {
  constructor(server) {
    this.pids = server.processes();
    if (this.pids.length < 3) throw new Error(`a server of ${this.pids.length} processes`);
  }

  now() {
    const of = (pid) => /^Private_Dirty:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))[1];
    return this.pids.reduce((sum, pid) => sum + Number(of(pid)), 0);
  }

  /** Once it stays the same for a second; or what it is after a while. */
  async settled() {
    const end = Date.now() + SETTLE_MS;
    const last = [];
    for (;;) {
      last.push(this.now());
      if (last.length > SETTLED_SAMPLES) last.shift();
      const isSame = last.length === SETTLED_SAMPLES && Math.max(...last) - Math.min(...last) <= SETTLED_KIB;
      if (isSame || Date.now() > end) return last.at(-1);
      await nap(SAMPLE_MS);
    }
  }

  /** The most while `work` goes on. */
  async peak(work) {
    let isOver = false;
    work.finally(() => (isOver = true)).catch(() => {});
    let peak = 0;
    while (!isOver) {
      peak = Math.max(peak, this.now());
      await nap(SAMPLE_MS);
    }
    await work;
    return peak;
  }
}
