// The driver against the fake server: content with a right one, and never with a wrong one.
// Run: DRIVER=build/tests/bench/driver node --test tests/bench/driver_test.mjs
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

import { faults, serve } from './fake_server.mjs';

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

test('a right server is measured', async () => {
  const server = await serve();
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
  server.close();
});

test('a right server is woken', async () => {
  const server = await serve();
  const read = await seedAndWake(server.url, 0);
  assert.equal(read.error, '');
  assert.equal(read.result.frame_ms.n, 2);
  const written = await seedAndWake(server.url, 1);
  assert.equal(written.error, '');
  assert.equal(written.result.committed_ms.n, 2);
  server.close();
});

// Of what was seeded and of what was written: in each case a row is missing.
for (const [write, fault] of [[0, 'row'], [1, 'row'], [1, 'reject']]) {
  test(`a wrong server is a failure when it is woken: ${faults[fault]}, ${write} written`, async () => {
    const server = await serve(fault);
    const { code, error } = await seedAndWake(server.url, write);
    server.close();
    assert.notEqual(code, 0);
    assert.match(error, fault === 'row' ? /not the next one of those/ : messages[fault]);
  });
}

test('a scope with more rows than were seeded is a failure', async () => {
  const server = await serve();
  await seedAndWake(server.url, 1);
  const { code, error } = await driver(server.url, 'wake', '--scopes', 2, '--rows', 30);
  server.close();
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
  test(`a wrong server is a failure: ${what}`, async () => {
    const server = await serve(fault);
    const { code, error } = snapshotFaults.includes(fault) ? await seedAndRead(server.url) : await insert(server.url);
    server.close();
    assert.notEqual(code, 0);
    assert.match(error, messages[fault]);
  });
}

test('what is no server is named', async () => {
  const server = await serve();
  server.close();
  const { code, error } = await driver(server.url, 'seed');
  assert.notEqual(code, 0);
  assert.match(error, /cannot connect to 127\.0\.0\.1:\d+: Connection refused/);
});
