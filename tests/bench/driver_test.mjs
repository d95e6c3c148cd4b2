// The driver against the fake server: content with a right one, and never with a wrong one.
// Run: DRIVER=build/tests/bench/driver node --test tests/bench/driver_test.mjs
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

import { faults, resumeFaults, serve } from './fake_server.mjs';

const binary = process.env.DRIVER ?? 'build/tests/bench/driver';

async function driver(url, command, ...options) {
  const child = spawn(binary, [command, '--url', url, ...options.map(String)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let error = '';
  child.stdout.on('data', (text) => (out += text));
  child.stderr.on('data', (text) => (error += text));
  const [code] = await once(child, 'close');
  return { code, error, result: code === 0 ? JSON.parse(out) : undefined };
}

// A server that ends with the test `t`, passed or failed.
async function serving(t, fault) {
  const server = await serve(fault);
  t.after(server.close);
  return server;
}

const insert = (url) =>
  driver(
    url,
    'insert',
    ...['--scopes', 2, '--writers', 2, '--subscribers', 3],
    ...['--in-flight', 8, '--warmup-ms', 0, '--count', 400],
  );

async function seedAndWake(url, write) {
  const seeded = await driver(url, 'seed', '--scopes', 2, '--rows', 30);
  return seeded.code === 0 ? driver(url, 'wake', '--scopes', 2, '--rows', 30, '--write', write) : seeded;
}

async function seedAndRead(url) {
  const seeded = await driver(url, 'seed', '--rows', 300, '--step', 100);
  return seeded.code === 0 ? driver(url, 'snapshot', '--rows', 300, '--seconds', 0) : seeded;
}

async function seedAndCatchUp(url) {
  const seeded = await driver(url, 'seed', '--rows', 300);
  return seeded.code === 0 ? driver(url, 'catchup', '--rows', 300, '--changed', 100, '--seconds', 0) : seeded;
}

const storm = (url) =>
  driver(
    url,
    'storm',
    ...['--clients', 20, '--at-once', 7, '--missed', 100],
    ...['--every-ms', 5, '--seconds', 1],
  );

test('a right server is measured', async (t) => {
  const server = await serving(t);
  const written = await insert(server.url);
  assert.equal(written.error, '');
  assert.equal(written.result.sent, 400);
  assert.equal(written.result.committed_ms.n, 400 - 4); // each writer's first is not measured
  assert.equal(written.result.delivery_ms.n, 3 * (400 - 4));
  const read = await seedAndRead(server.url);
  assert.equal(read.error, '');
  assert.equal(read.result.snapshots, 1);
  const held = await driver(server.url, 'idle', '--connections', 200);
  assert.equal(held.result.connections, 200);
  const apart = await driver(server.url, 'idle', '--connections', 50, '--own-scopes', 1, '--write', 1);
  assert.equal(apart.result.connections, 50);
});

test('a right server catches up whoever was away', async (t) => {
  const server = await serving(t);
  const one = await seedAndCatchUp(server.url);
  assert.equal(one.error, '');
  assert.equal(one.result.times, 1);
  const crowd = await storm(server.url);
  assert.equal(crowd.error, '');
  assert.equal(crowd.result.resume_ms.n, 20);
  assert.ok(crowd.result.committed_before_ms.n > 10);
  assert.ok(crowd.result.committed_during_ms.n > 0);
});

test('a right server is woken', async (t) => {
  const server = await serving(t);
  const read = await seedAndWake(server.url, 0);
  assert.equal(read.error, '');
  assert.equal(read.result.frame_ms.n, 2);
  const written = await seedAndWake(server.url, 1);
  assert.equal(written.error, '');
  assert.equal(written.result.committed_ms.n, 2);
});

// Of what was seeded and of what was written: in each case a row is missing.
for (const [write, fault] of [[0, 'row'], [1, 'row'], [1, 'reject']]) {
  test(`a wrong server is a failure when it is woken: ${faults[fault]}, ${write} written`, async (t) => {
    const server = await serving(t, fault);
    const { code, error } = await seedAndWake(server.url, write);
    assert.notEqual(code, 0);
    assert.match(error, fault === 'row' ? /not the next one of those/ : messages[fault]);
  });
}

test('a scope with more rows than were seeded is a failure', async (t) => {
  const server = await serving(t);
  await seedAndWake(server.url, 1);
  const { code, error } = await driver(server.url, 'wake', '--scopes', 2, '--rows', 30);
  assert.notEqual(code, 0);
  assert.match(error, /not the next one of those/);
});

const snapshotFaults = ['row', 'middle'];
const messages = {
  lose: /before the session's own change|before one that is lost|before the session was told/,
  double: /came twice/,
  value: /not what was written/,
  wide: /not what was written/,
  early: /an answer before/,
  seq: /another seq/,
  back: /boundary below the cursor/,
  short: /boundary below a delta/,
  row: /not the next one of the seed/,
  middle: /in the middle of a snapshot/,
  reject: /rejection.*FORBIDDEN told to/,
  trailing: /bytes after it/,
  close: /closed it with 1012/,
};

for (const [fault, what] of Object.entries(faults)) {
  test(`a wrong server is a failure: ${what}`, async (t) => {
    const server = await serving(t, fault);
    const { code, error } = snapshotFaults.includes(fault) ? await seedAndRead(server.url) : await insert(server.url);
    assert.notEqual(code, 0);
    assert.match(error, messages[fault]);
  });
}

const resumeMessages = {
  lacking: /catch-up that lacks changes/,
  again: /not in the order of the log/,
  stale: /not as it was changed|not what was written/,
  reset: /a reset, which nothing/,
  whole: /snapshot instead of a catch-up/,
  ending: /boundary below a delta/,
};

for (const [fault, what] of Object.entries(resumeFaults)) {
  for (const [name, load] of Object.entries({ 'one that was away': seedAndCatchUp, 'a crowd': storm })) {
    test(`a wrong server is a failure to ${name}: ${what}`, async (t) => {
      const server = await serving(t, fault);
      const { code, error } = await load(server.url);
      assert.notEqual(code, 0);
      assert.match(error, resumeMessages[fault]);
    });
  }
}

test('a wrong server is a failure to a crowd: catch-ups that do not end while changes go on', async (t) => {
  const server = await serving(t, 'endless');
  const { code, error } = await storm(server.url);
  assert.notEqual(code, 0);
  assert.match(error, /nobody has come back for 10 s/);
});

test('what is no server is named', async () => {
  const server = await serve();
  server.close();
  const { code, error } = await driver(server.url, 'seed');
  assert.notEqual(code, 0);
  assert.match(error, /cannot connect to 127\.0\.0\.1:\d+: Connection refused/);
});
