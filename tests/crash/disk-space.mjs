/*
 * disk-space - a small file system of its own, that can be filled to the last byte and emptied again.
 *
 * It is a tmpfs in a mount namespace of the test, which is made by starting the test once more: so nobody needs to be
 * root, and nothing stays mounted.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";

const INSIDE = "SKERRY_TEST_NAMESPACE";
const REFILL_MS = 5;
const CHUNKS = [1 << 20, 1 << 16, 1 << 12].map((size) => Buffer.alloc(size, "full "));

/** Returns in the namespace; the process outside of it ends with the status of the one inside. */
export function enterNamespace() {
  if (process.env[INSIDE]) return;
  const user = process.getuid() === 0 ? [] : ["--user", "--map-root-user"];
  const args = [...user, "--mount", process.execPath, ...process.argv.slice(1)];
  const { status, error } = spawnSync("unshare", args, { stdio: "inherit", env: { ...process.env, [INSIDE]: "1" } });
  if (error) throw error;
  process.exit(status ?? 1);
}

export class Space {
  /** Mounts `mebibytes` at `folder`, which is made. */
  constructor(folder, mebibytes) {
    this.folder = folder;
    this.filler = join(folder, "filler");
    mkdirSync(folder);
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", folder]);
  }

  /** Nothing is left, and nothing stays that is given back, until `free`. */
  fill() {
    this.file = openSync(this.filler, "w");
    this.take();
    this.timer = setInterval(() => this.take(), REFILL_MS);
  }

  take() {
    for (const chunk of CHUNKS) while (this.isWritten(chunk));
  }

  isWritten(chunk) {
    try {
      return writeSync(this.file, chunk) > 0;
    } catch (error) {
      if (error.code === "ENOSPC") return false;
      throw error;
    }
  }

  free() {
    clearInterval(this.timer);
    closeSync(this.file);
    rmSync(this.filler);
  }

  get bytesLeft() {
    const { bavail, bsize } = statfsSync(this.folder);
    return bavail * bsize;
  }

  remove() {
    execFileSync("umount", ["--lazy", this.folder]);
  }
}
