/*
 * Every command explains itself, and names what is wrong with its arguments, in the same way.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

import { program } from "../lib/server.mjs";

function run(...args) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  return { status, out: stdout, err: stderr };
}

const general = run("--help");
const commands = [...general.out.matchAll(/^  ([a-z]+)  /gm)].map(([, name]) => name);

test("skerry names its commands", () => {
  assert.equal(general.status, 0);
  for (const name of ["serve", "check", "backup", "version"]) assert.ok(commands.includes(name), name);
  assert.deepEqual(run("help"), general);
  assert.deepEqual(run(), { status: 2, out: "", err: general.out });
  assert.deepEqual(run("sevre"), { status: 2, out: "", err: "skerry: sevre: no such command; see skerry --help\n" });
});

for (const name of commands) {
  test(`skerry ${name} explains itself`, () => {
    const { status, out, err } = run(name, "--help");
    assert.equal(status, 0);
    assert.equal(err, "");
    const [usage, summary, ...parts] = out.split("\n\n");
    assert.match(usage, new RegExp(`^usage: skerry ${name}( [^\\[]+)? \\[options\\]$`));
    assert.match(summary, /^[A-Z][^\n]+[.]$/);
    const [options, exits] = parts.slice(-2);
    assert.match(options, /^options:\n(  --[a-z-]+( [A-Z:=]+)? +.+\n)*  --help +this text$/);
    for (const line of options.split("\n").filter((line) => /^  --[a-z-]+ (DIR|N|TIME|ADDR:PORT) /.test(line)))
      assert.match(line, /[(]default: .+[)]$/);
    assert.match(exits, /^exit status:\n  0  .+\n(  1  .+\n)?  2  wrong arguments\n$/);
    for (const line of out.split("\n")) assert.ok(line.length <= 110, line);
  });

  test(`skerry ${name} names wrong words in one line`, () => {
    const more = `see skerry ${name} --help\n`;
    assert.deepEqual(run(name, "--nope"), { status: 2, out: "", err: `skerry ${name}: --nope: no such option; ${more}` });
    const { status, out, err } = run(name, "a/b/c", "d", "e");
    assert.deepEqual({ status, out }, { status: 2, out: "" });
    assert.match(err, new RegExp(`^skerry ${name}: [ade/bc]+: unexpected; ${more}$`));
  });
}
