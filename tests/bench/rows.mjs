// The rows of the table: how one round of each is measured, and what is held against what.
//
// `round` returns numbers by name; `figures` say what is made of the medians of several rounds. The first figure is the
// row's value; a row is met when all of its figures are.

const atLeast = (bound) => ({ text: `>= ${bound}`, holds: (ratio) => ratio >= bound });
const atMost = (bound) => ({ text: `<= ${bound}`, holds: (ratio) => ratio <= bound });

const SEED = 20_000;
const KiB = 1024;
const MiB = 1024 * KiB;

let scopes = 0;
const freshScope = (row) => `${row}-${++scopes}`;

// Rows a and b, which row d is compared with as well.
const oneInFlight = (bench, server) =>
  bench.drive(server, 'insert', { scope: freshScope('a'), seconds: bench.seconds });
const manyInFlight = (bench, server, options = {}) =>
  bench.drive(server, 'insert', { scope: freshScope('b'), 'in-flight': 32, seconds: bench.seconds, ...options });

const a = {
  row: 'a',
  work: 'insert to committed, one in flight',
  async round(bench, server) {
    const chain = await bench.ceiling('chain', { dir: bench.dir, seconds: bench.seconds });
    const { committed_ms: ms, commits_per_s: rate } = await oneInFlight(bench, server);
    const { answer_ms: chainMs, frames_per_s: chainRate } = chain;
    return { p50: ms.p50, p99: ms.p99, rate, chainP50: chainMs.p50, chainP99: chainMs.p99, chainRate };
  },
  figures: [
    { label: 'p50', unit: 'ms', value: 'p50', ceiling: 'chainP50', target: atMost(2) },
    { label: 'p99', unit: 'ms', value: 'p99', ceiling: 'chainP99', target: atMost(3) },
    { label: 'rate', unit: '/s', value: 'rate', ceiling: 'chainRate' },
  ],
};

const batchOf = (bench, rows) => bench.ceiling('batch', { dir: bench.dir, seconds: bench.seconds, rows });

const b = {
  row: 'b',
  work: 'one scope, 32 in flight',
  async round(bench, server) {
    const batch = await batchOf(bench, 32);
    return { rate: (await manyInFlight(bench, server)).commits_per_s, batch: batch.rows_per_s };
  },
  figures: [{ label: 'commits', unit: '/s', value: 'rate', ceiling: 'batch', target: atLeast(0.3) }],
};

const bMany = {
  row: "b'",
  work: 'one scope, 32 connections, one in flight each',
  async round(bench, server) {
    const batch = await batchOf(bench, 32);
    const load = { scope: freshScope('b-many'), writers: 32, seconds: bench.seconds };
    return { rate: (await bench.drive(server, 'insert', load)).commits_per_s, batch: batch.rows_per_s };
  },
  figures: [{ label: 'commits', unit: '/s', value: 'rate', ceiling: 'batch', target: atLeast(0.15) }],
};

// Rows c, c' and l: so many in flight over so many scopes.
const overScopes = (bench, server, scopes, inFlight) =>
  bench.drive(server, 'insert', { scope: freshScope('c'), scopes, 'in-flight': inFlight, seconds: bench.seconds });
const journalOf = (bench, files, rows) =>
  bench.ceiling('journal', { dir: bench.dir, seconds: bench.seconds, files, rows });

const manyScopes = (row, scopes, inFlight) => ({
  row,
  work: `${scopes} scopes, ${inFlight} in flight each`,
  async round(bench, server) {
    const journal = await journalOf(bench, scopes, 1);
    const { commits_per_s: rate } = await overScopes(bench, server, scopes, inFlight);
    return { rate, journal: journal.rows_per_s };
  },
  figures: [{ label: 'commits', unit: '/s', value: 'rate', ceiling: 'journal', target: atLeast(0.5) }],
});

const d = {
  row: 'd',
  work: 'one writer at 32 in flight, 100 subscribers',
  async round(bench, server) {
    const alone = await manyInFlight(bench, server);
    const single = await oneInFlight(bench, server);
    const fan = await bench.ceiling('fan', { seconds: bench.seconds, sockets: 100 });
    const fanned = await manyInFlight(bench, server, { subscribers: 100 });
    return {
      deliveries: fanned.deliveries_per_s,
      fan: fan.deliveries_per_s,
      writer: fanned.commits_per_s,
      alone: alone.commits_per_s,
      p99: fanned.delivery_ms.p99,
      singleP99: single.committed_ms.p99,
    };
  },
  figures: [
    { label: 'deliveries', unit: '/s', value: 'deliveries', ceiling: 'fan', target: atLeast(0.4) },
    { label: 'writer, against b', unit: '/s', value: 'writer', ceiling: 'alone', target: atLeast(0.25) },
    { label: "p99, against a's", unit: 'ms', value: 'p99', ceiling: 'singleP99', target: atMost(10) },
  ],
};

const dMany = {
  row: "d'",
  work: 'one writer at 32 in flight, 1,000 subscribers',
  async round(bench, server) {
    const fan = await bench.ceiling('fan', { seconds: bench.seconds, sockets: 1000 });
    const fanned = await manyInFlight(bench, server, { subscribers: 1000 });
    return { deliveries: fanned.deliveries_per_s, fan: fan.deliveries_per_s };
  },
  figures: [{ label: 'deliveries', unit: '/s', value: 'deliveries', ceiling: 'fan', target: atLeast(0.4) }],
};

// The memory is that of the first snapshot of a server that has just opened the scope for another collection: after it,
// the allocator keeps what it once needed, and a second one would look free.
async function snapshotMemory(bench, server, scope) {
  await server.restart();
  return bench.holding(server, { scope, collection: 'notes', connections: 1 }, async () => {
    const before = await server.settledMemory();
    const peak = await server.peakMemory(bench.drive(server, 'snapshot', { scope, rows: SEED, seconds: 1 }));
    return (peak - before) / MiB;
  });
}

const e = {
  row: 'e',
  work: 'snapshot of 20,000 rows',
  async round(bench, server) {
    const scope = freshScope('e');
    await bench.drive(server, 'seed', { scope, rows: SEED });
    const scan = await bench.scan(SEED);
    const read = await bench.drive(server, 'snapshot', { scope, rows: SEED, seconds: bench.seconds });
    const memory = server.restart ? await snapshotMemory(bench, server, scope) : undefined;
    return { rows: read.rows_per_s, scan: scan.rows_per_s, memory };
  },
  figures: [
    { label: 'rows', unit: '/s', value: 'rows', ceiling: 'scan', target: atLeast(0.5) },
    { label: 'memory', unit: 'MiB', value: 'memory', target: atMost(1) },
  ],
};

const CHANGED = 5_000;

const f = {
  row: 'f',
  work: 'catch-up of 5,000 changed rows of 20,000',
  async round(bench, server) {
    const scope = freshScope('f');
    await bench.drive(server, 'seed', { scope, rows: SEED });
    const scan = await bench.scan(CHANGED);
    const load = { scope, rows: SEED, changed: CHANGED, seconds: bench.seconds };
    return { rows: (await bench.drive(server, 'catchup', load)).rows_per_s, scan: scan.rows_per_s };
  },
  figures: [{ label: 'rows', unit: '/s', value: 'rows', ceiling: 'scan', target: atLeast(0.3) }],
};

const g1 = {
  row: 'g1',
  work: 'memory, nothing connected',
  needsOwnServer: true,
  async round(bench, server) {
    await server.restart();
    return { memory: (await server.settledMemory()) / 1e6 };
  },
  figures: [{ label: 'all processes', unit: 'MB', value: 'memory', target: atMost(12) }],
};

const g2 = {
  row: 'g2',
  work: 'memory per idle subscribed socket',
  needsOwnServer: true,
  async round(bench, server) {
    const scope = freshScope('g2');
    await server.restart();
    const memory = await bench.holding(server, { scope, connections: 10 }, async () => {
      const before = await server.settledMemory();
      const after = await bench.holding(server, { scope, connections: bench.sockets }, () => server.settledMemory());
      return (after - before) / bench.sockets / KiB;
    });
    return { memory };
  },
  figures: [{ label: 'each', unit: 'KiB', value: 'memory', target: atMost(2) }],
};

const OPEN = 1_000;

async function heldMemory(bench, server, load) {
  await server.restart();
  return bench.holding(server, { connections: OPEN, ...load }, () => server.settledMemory());
}

// What the clients cost is taken off by as many clients of one scope.
const g3 = {
  row: 'g3',
  work: 'memory per open scope, clients not counted',
  needsOwnServer: true,
  async round(bench, server) {
    const scope = freshScope('g3');
    await bench.drive(server, 'seed', { scope, scopes: OPEN, rows: 20 });
    const together = await heldMemory(bench, server, { scope: `${scope}-0` });
    const apart = { scope, 'own-scopes': 1 };
    const each = (memory) => (memory - together) / (OPEN - 1) / KiB;
    const read = await heldMemory(bench, server, apart);
    const written = await heldMemory(bench, server, { ...apart, write: 1 });
    return { read: each(read), written: each(written) };
  },
  figures: [
    { label: 'each, read', unit: 'KiB', value: 'read', target: atMost(160) },
    { label: 'each, written to', unit: 'KiB', value: 'written', target: atMost(160) },
  ],
};

const SLEEPERS = 200;
const SLEEPER_ROWS = 20;

const h = {
  row: 'h',
  work: 'wake of a sleeping scope',
  needsOwnServer: true,
  async round(bench, server) {
    await server.asleep(); // what the rows before left it to do would disturb the ceiling
    const ceiling = await bench.ceiling('wake', { dir: bench.dir, files: SLEEPERS, rows: SLEEPER_ROWS });
    const load = { scope: freshScope('h'), scopes: SLEEPERS, rows: SLEEPER_ROWS };
    await bench.drive(server, 'seed', load);
    await server.asleep();
    const { frame_ms: frame } = await bench.drive(server, 'wake', load);
    await server.asleep();
    const { committed_ms: write } = await bench.drive(server, 'wake', { ...load, write: 1 });
    return { frame: frame.p50, read: ceiling.read_ms.p50, write: write.p50, commit: ceiling.write_ms.p50 };
  },
  figures: [
    { label: 'first frame, p50', unit: 'ms', value: 'frame', ceiling: 'read', target: atMost(5) },
    { label: 'first write, p50', unit: 'ms', value: 'write', ceiling: 'commit', target: atMost(4) },
  ],
};

const i = {
  row: 'i',
  work: '5,000 clients drop and return, 200 changes missed',
  async round(bench, server) {
    const load = { clients: 5_000, missed: 200, seconds: bench.seconds };
    const bare = await bench.against('resume', {}, 'storm', { ...load, 'every-ms': 0 });
    const storm = await bench.drive(server, 'storm', { ...load, scope: freshScope('i') });
    const { resumes_per_s: resumes, committed_before_ms: before, committed_during_ms: during } = storm;
    return { resumes, bare: bare.resumes_per_s, before: before.p99, during: during.p99 };
  },
  figures: [
    { label: 'resumes', unit: '/s', value: 'resumes', ceiling: 'bare', target: atLeast(0.4) },
    { label: "writer's p99, against before", unit: 'ms', value: 'during', ceiling: 'before', target: atMost(3) },
  ],
};

async function scopeWith(bench, server, rows) {
  const scope = freshScope('l');
  await bench.drive(server, 'seed', { scope, scopes: 1, rows });
  return scope;
}

let million; // rows, made once: what a round adds to them is little

async function ratesByRows(bench, server) {
  million ??= await scopeWith(bench, server, 1_000_000);
  const scopes = [await scopeWith(bench, server, 1), await scopeWith(bench, server, 10_000), million];
  const rates = [];
  for (const scope of scopes) rates.push((await manyInFlight(bench, server, { scope })).commits_per_s);
  return rates;
}

async function ratesByScopes(bench, server) {
  const rates = [];
  for (const scopes of [10, 100, 1000]) {
    rates.push((await overScopes(bench, server, scopes, 1000 / scopes)).commits_per_s);
  }
  return rates;
}

// The slowest is held against the fastest; the others say where it is lost.
const growth = (label, of, name) => [
  { label: `${label}, slowest`, unit: '/s', value: `${name}Least`, ceiling: `${name}Most`, target: atLeast(0.5) },
  ...of.map((what, i) => ({ label: what, unit: '/s', value: name + i, ceiling: `${name}Most` })),
];

const named = (name, rates) => ({
  ...Object.fromEntries(rates.map((rate, i) => [name + i, rate])),
  ...{ [`${name}Least`]: Math.min(...rates), [`${name}Most`]: Math.max(...rates) },
});

const l = {
  row: 'l',
  work: 'cost as work grows',
  async round(bench, server) {
    const rows = await ratesByRows(bench, server);
    const scopes = await ratesByScopes(bench, server);
    const few = await journalOf(bench, 10, 100);
    const many = await journalOf(bench, 1000, 1);
    return { ...named('rows', rows), ...named('scopes', scopes), few: few.rows_per_s, many: many.rows_per_s };
  },
  figures: [
    ...growth('rows', ['1 row', '10,000 rows', '1,000,000 rows'], 'rows'),
    ...growth('scopes', ['10 scopes', '100 scopes', '1,000 scopes'], 'scopes'),
    { label: '1,000 files alone, against 10', unit: '/s', value: 'many', ceiling: 'few' },
  ],
};

const c = manyScopes('c', 100, 4);
const cMany = manyScopes("c'", 1000, 1);

export const rows = [a, b, bMany, c, cMany, d, dMany, e, f, g1, g2, g3, h, i, l];
