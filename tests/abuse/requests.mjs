/* requests - heads that are no upgrade, or no HTTP at all, or never end. */
import { setTimeout as nap } from "node:timers/promises";

import { RawSocket, upgradeHead } from "../lib/raw.mjs";
import { mutated } from "./mutate.mjs";

const LEAVERS = 100;
const AT_ONCE = 20;
const PATH = "/v1/board/board/one/sync?user=abuser";

/* What is sent, and the statuses that may answer it; null: the connection is closed without one. */
const HEADS = {
  "no HTTP": ["hello\r\n\r\n", [400, null]],
  zeros: [Buffer.alloc(100), [400, null]],
  "a TLS hello": [Buffer.from("16030100c8010000c403", "hex"), [400, null]],
  "an HTTP/2 preface": ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400, null]],
  "a head of 20,000 bytes": [upgradeHead(PATH, { Long: "x".repeat(20000) }), [400, 431, null]],
  "a line that never ends": [Buffer.alloc(20000, "x"), [400, 414, 431, null]],
  "200 headers": [
    upgradeHead(PATH, Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`H${i}`, "x"]))),
    [400, 431, null],
  ],
  "a header that is folded": [upgradeHead(PATH, { Fold: "a\r\n b" }), [400, null]],
  "a space before the colon": [upgradeHead(PATH, { "Bad ": "x" }), [400, null]],
  "a zero byte": [upgradeHead(PATH, { Zero: "\0" }), [400, null]],
  "another version of WebSocket": [upgradeHead(PATH, { "Sec-WebSocket-Version": "8" }), [400, 426]],
  "no key": [upgradeHead(PATH, { "Sec-WebSocket-Key": null }), [400]],
  "a short key": [upgradeHead(PATH, { "Sec-WebSocket-Key": "c2hvcnQ=" }), [400]],
  "a broken escape": [upgradeHead("/v1/board/board/%zz/sync?user=abuser"), [400, 404]],
  "a scope that is not UTF-8": [upgradeHead("/v1/board/board/%ff/sync?user=abuser"), [400, 404]],
  "a scope with a zero byte": [upgradeHead("/v1/board/board/a%00b/sync?user=abuser"), [400, 404]],
  "a scope of 2,000 bytes": [upgradeHead(`/v1/board/board/${"x".repeat(2000)}/sync?user=abuser`), [400, 404, 414]],
  "another app": [upgradeHead("/v1/nothing/board/one/sync?user=abuser"), [404]],
  "another kind": [upgradeHead("/v1/board/nothing/one/sync?user=abuser"), [404]],
  "a path upwards": [upgradeHead("/../../../etc/passwd"), [400, 404, 426]],
  "an escaped path upwards": ["GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", [400, 404]],
  "a POST": [upgradeHead(PATH).replace("GET", "POST"), [400, 404, 405]],
  "a name of elsewhere that leads here": [upgradeHead(PATH, { Host: "127.evil.example:8080" }), [401]],
  "a user who is not UTF-8": [upgradeHead("/v1/board/board/one/sync?user=%ff"), [401]],
  nobody: [upgradeHead("/v1/board/board/one/sync"), [401]],
  "a token that is none": [upgradeHead("/v1/board/board/one/sync?token=a.b.c"), [401]],
};

export async function requests({ server, tally }) {
  for (const [what, [head, statuses]] of Object.entries(HEADS)) {
    const socket = new RawSocket(server.port);
    const status = await socket.write(head).status();
    tally.check(statuses.includes(status), `${what} was answered with ${status}`);
    socket.end();
  }
}

const heads = [upgradeHead(PATH), upgradeHead(PATH, { Authorization: "Bearer a.b.c", Cookie: "a=b" })].map(Buffer.from);

/** Each gets an answer or is closed, or wants more: then it is the one who gives up. */
export async function mutatedRequests({ server, tally, random, options }) {
  const one = async () => {
    const socket = new RawSocket(server.port);
    socket.write(mutated(random, heads));
    socket.socket.end(); // so that nobody waits for more
    const status = await socket.status();
    tally.check(status === null || (status >= 101 && status < 500), `a mutated request was answered with ${status}`);
    socket.end();
  };
  for (let left = Number(options.requests); left > 0; left -= AT_ONCE)
    await Promise.all(Array.from({ length: AT_ONCE }, one));
}

/** HEAD gets no body, which would be read as the next answer's head; and the last answer is the connection's last word. */
export async function answers({ server, tally }) {
  const socket = new RawSocket(server.port);
  socket.write(
    "HEAD /nothing HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
  );
  tally.check((await socket.status()) === 404, "a HEAD of nothing was not answered with 404");
  tally.check((await socket.status()) === 200, "a GET behind a HEAD was not answered with 200");
  await Promise.race([socket.closed, nap(5000)]);
  tally.check(socket.isClosed, "a connection that was to be closed stayed open");
  socket.end();
}

/** Clients that ask for what a shard has to answer, and are gone when the answer comes. */
export async function leavers({ server, tally }) {
  const get = (path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
  for (let i = 0; i < LEAVERS; i++) {
    const { socket, closed } = new RawSocket(server.port);
    socket.on("connect", () => socket.write(get("/livez") + get("/metrics"), () => socket.resetAndDestroy()));
    await closed;
  }
  tally.check((await server.get("/livez")) === "alive", "the server does not answer when askers have left");
}
