/*
 * The app's own pages: what is in public/, nothing else, and no more of it in memory than the network takes.
 */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { RawSocket } from "../lib/raw.mjs";
import { Server, until } from "../lib/server.mjs";

const top = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "skerry-test-"));
const inPublic = (name) => join(folder, "public", name);
const LARGE = 4 << 20;
const AT_ONCE = 50;

const server = new Server(relative(join(top, "examples"), folder));
before(() => {
  cpSync(join(top, "tests/scenario/apps/seeded"), folder, { recursive: true });
  mkdirSync(inPublic("assets"), { recursive: true });
  writeFileSync(inPublic("index.html"), "<p>hello");
  writeFileSync(inPublic("assets/empty.css"), "");
  writeFileSync(inPublic("large.bin"), Buffer.alloc(LARGE, "large"));
  writeFileSync(inPublic(".hidden"), "hidden");
  symlinkSync("index.html", inPublic("inside.html"));
  symlinkSync(join(folder, "app.json"), inPublic("outside.json"));
  return server.start();
});
after(async () => {
  await server.stop();
  server.remove();
  rmSync(folder, { recursive: true });
});

const get = (path, init) => fetch(`http://127.0.0.1:${server.port}${path}`, init);

test("a file is served as what it is", async () => {
  const page = await get("/");
  assert.equal(page.status, 200);
  assert.match(page.headers.get("content-type"), /^text\/html/);
  assert.equal(await page.text(), "<p>hello");
  const head = await get("/index.html", { method: "HEAD" });
  assert.equal(head.headers.get("content-length"), "8");
  const known = await get("/", { headers: { "If-None-Match": page.headers.get("etag") } });
  assert.equal(known.status, 304);
  assert.equal(await (await get("/inside.html")).text(), "<p>hello");
  assert.equal(await (await get("/assets/empty.css")).text(), "");
});

test("what is not in the folder is not there", async () => {
  for (const path of ["/.hidden", "/outside.json", "/assets", "/%2e%2e/app.json", "/assets/..%2f..%2fapp.json", "/a%00"])
    assert.equal((await get(path)).status, 404, path);
});

test("who asks for much and takes nothing gets it bit by bit", async () => {
  const socket = new RawSocket(server.port);
  socket.socket.pause();
  const request = (path, more) => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;
  socket.write(request("/large.bin", "").repeat(AT_ONCE) + request("/livez", "Connection: close\r\n"));
  const { pid } = server.children().find(({ role }) => role === "router");
  await until(() => socket.socket.writableLength === 0, "the requests to leave");
  assert.equal((await get("/livez")).status, 200); /* so the router has read what was sent before */
  const [, peak] = readFileSync(`/proc/${pid}/status`, "utf8").match(/VmHWM:\s+(\d+)/);
  assert.ok(peak < 100 << 10, `the router took ${peak >> 10} MiB`);

  let taken = 0;
  let end = "";
  socket.socket.removeAllListeners("data");
  socket.socket.on("data", (data) => ((taken += data.length), (end = data.toString("latin1").slice(-5))));
  socket.socket.resume();
  await socket.closed;
  assert.ok(taken > AT_ONCE * LARGE, `${taken} bytes came`);
  assert.equal(end, "alive");
});
