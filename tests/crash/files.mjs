/*
 * files - what the server left on disk, read with the sqlite3 program, against what its clients were told.
 */
import { execFileSync } from "node:child_process";
import { cpSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";

import { firstOf } from "./scope.mjs";

const OPS = ["insert", "update", "delete"];

function query(file, sql) {
  const text = execFileSync("sqlite3", ["-json", file, sql], { encoding: "utf8", maxBuffer: 1 << 30 });
  return text === "" ? [] : JSON.parse(text);
}

function databases(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return databases(path);
    return name.endsWith(".db") ? [path] : [];
  });
}

function copyOf(server) {
  const copy = join(server.folder, "copy");
  rmSync(copy, { recursive: true, force: true });
  cpSync(server.data, copy, { recursive: true, filter: (path) => !/\.(sock|journal)$/.test(path) });
  return copy;
}

/** Each file is whole, as it lies there, and none was given up. */
export function checkIntegrity(server, tally) {
  const files = databases(copyOf(server));
  const script = files.map((file) => `.open '${file}'\nPRAGMA integrity_check;\n`).join("");
  const found = execFileSync("sqlite3", { input: script, encoding: "utf8" });
  const whole = found === "ok\n".repeat(files.length);
  tally.check(whole, `${server.app}: a file is damaged: ${found.replaceAll("ok\n", "")}`);
}

/** The files of a data folder, by the scope's name. Works on a copy, so that nothing is changed by looking. */
export function openFiles(server) {
  return new Map(
    databases(copyOf(server)).map((file) => [query(file, "SELECT value FROM _sync_meta WHERE name = 'scope'")[0]?.value, file]),
  );
}

/** The latest entry of each key, as [seq, collection, key, op], in order. */
function expectedLog(scope) {
  const latest = new Map();
  const committed = scope.sent.filter(({ answer }) => !answer.error).sort((a, b) => a.answer.seq - b.answer.seq);
  for (const one of committed) {
    one.changes.forEach(([collection, key, op], i) =>
      latest.set(`${collection} ${key}`, [firstOf(one) + i, collection, key, op]),
    );
  }
  return [...latest.values()].sort(([a], [b]) => a - b);
}

/** The positions of all outcomes, [first, last] each, cover everything from the first to the head, but for a few. */
function coversAll(ranges, head, missing) {
  ranges.sort(([a], [b]) => a - b);
  const overlap = ranges.some(([first], i) => i > 0 && first <= ranges[i - 1][1]);
  const covered = ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  return !overlap && covered <= head - ranges[0][0] + 1 && covered + missing >= head - ranges[0][0] + 1;
}

export function checkFile(scope, file, tally) {
  const named = (what) => `${scope.server.app}/${scope.name}: its file: ${what}`;
  if (!tally.check(file !== undefined, named("is missing"))) return;
  tally.check(query(file, "PRAGMA integrity_check")[0].integrity_check === "ok", named("is damaged"));

  const log = query(
    file,
    "SELECT seq, c.name AS collection, key, op FROM _sync_log LEFT JOIN _sync_collections c ON c.id = collection ORDER BY seq",
  );
  const changes = log.filter(({ op }) => op < OPS.length);
  const entries = changes.map(({ seq, collection, key, op }) => [seq, collection, key, OPS[op]]);
  tally.check(isDeepStrictEqual(entries, expectedLog(scope)), named("the log is not what the clients were told"));

  const receipts = new Map(
    query(file, "SELECT sub, tx, seq, code FROM _sync_receipts").map((one) => [`${one.sub} ${one.tx}`, one]),
  );
  tally.check(receipts.size === scope.sent.length, named(`${receipts.size} receipts of ${scope.sent.length}`));
  const ranges = [];
  for (const one of scope.sent) {
    const receipt = receipts.get(`${one.user} ${one.txId}`);
    const same =
      receipt?.code === (one.answer.error?.code ?? null) && (one.answer.error || receipt.seq === one.answer.seq);
    if (!same) return tally.check(false, named(`the receipt of ${one.txId} is ${JSON.stringify(receipt)}`));
    ranges.push(one.answer.error ? [receipt.seq, receipt.seq] : [firstOf(one), receipt.seq]);
  }
  tally.check(coversAll(ranges, log.at(-1).seq, scope.schemas), named("positions were left out, or given twice"));
}

// The clients leave and the server stops: cleanly, without a word of a fault, and its files say what the clients heard.
export async function checkEnd(server, scopes, tally, fault) {
  for (const scope of scopes) scope.clients().forEach((client) => client.stop());
  tally.check((await server.stop()) === 0, `${server.app}: the server did not stop cleanly`);
  tally.check(server.fault(fault) === null, `${server.app}: the log tells of a fault: ${server.fault(fault)}`);
  const files = openFiles(server);
  for (const scope of scopes) checkFile(scope, files.get(server.scope(scope.name)), tally);
}
