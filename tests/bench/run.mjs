// Measures rows and prints the table; scripts/bench builds what it needs and calls it.
import { parseArgs } from 'node:util';
import { resolve } from 'node:path';

import { Bench, BenchError, ForeignServer, Server } from './machine.mjs';
import { rows } from './rows.mjs';

const USAGE = `usage: scripts/bench [--json] [--rounds N] [--seconds N] [--sockets N] [--url TEMPLATE] [ROW...]

  ROW               ${rows.map(({ row }) => row).join(', ')}; without any, all
  --json            one object a row instead of the table
  --rounds N        medians of N rounds, 3 if not given
  --seconds N       each measurement's length, 3 if not given
  --sockets N       sockets of row g2, 10000 if not given
  --url TEMPLATE    measure a server that runs already: ws://HOST:PORT/PATH with {scope} in PATH`;

// ---- arguments ----

function bounded(text, name, max) {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new BenchError(`--${name} is a number from 1 to ${max}`);
}

function readArguments() {
  const flag = { type: 'boolean' };
  const text = (value) => ({ type: 'string', default: value });
  const numbers = { rounds: text('3'), seconds: text('3'), sockets: text('10000') };
  const options = { json: flag, help: flag, url: { type: 'string' }, ...numbers };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const unknown = positionals.find((name) => !rows.some(({ row }) => row === name));
  if (unknown) throw new BenchError(`no row '${unknown}'\n${USAGE}`);
  return {
    ...values,
    rounds: bounded(values.rounds, 'rounds', 25),
    seconds: bounded(values.seconds, 'seconds', 60),
    sockets: bounded(values.sockets, 'sockets', 18000),
    chosen: choose(positionals, values.url),
  };
}

function choose(names, url) {
  const chosen = rows.filter(({ row }) => names.length === 0 || names.includes(row));
  if (!url) return chosen;
  const refused = chosen.find((row) => row.needsOwnServer);
  if (refused && names.length > 0) throw new BenchError(`row ${refused.row} starts the server itself: leave out --url`);
  return chosen.filter((row) => !row.needsOwnServer);
}

// ---- measuring ----

function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else if (text) process.stderr.write(`${text}\n`);
}

// Rounds outside, rows inside: what the machine does meanwhile hits all rows alike.
async function measure(bench, server, { chosen, rounds }) {
  const results = new Map(chosen.map((row) => [row, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const row of chosen) {
      progress(`row ${row.row}, round ${round} of ${rounds}: ${row.work}`);
      try {
        results.get(row).push(await row.round(bench, server));
      } catch (error) {
        progress('');
        await server.check();
        throw new BenchError(`row ${row.row}, round ${round}: ${error.message}\n${server.lastWords}`);
      }
    }
  }
  progress('');
  return results;
}

function median(numbers) {
  const sorted = numbers.filter((number) => number !== undefined).sort((x, y) => x - y);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// A figure of the medians; undefined when no round measured it.
function judge({ label, unit, value, ceiling, target }, measured) {
  const of = (name) => median(measured.map((round) => round[name]));
  const figure = { label, value: of(value), unit, ceiling: null, ratio: null, target: null, met: null };
  if (Number.isNaN(figure.value)) return undefined;
  if (ceiling) {
    figure.ceiling = of(ceiling);
    figure.ratio = figure.value / figure.ceiling;
  }
  if (target) {
    figure.target = target.text;
    figure.met = target.holds(figure.ratio ?? figure.value);
  }
  return figure;
}

function summarize(row, measured) {
  const figures = row.figures.map((figure) => judge(figure, measured)).filter((figure) => figure);
  return { row: row.row, work: row.work, figures, met: figures.every(({ met }) => met !== false) };
}

// ---- printing ----

function toJson({ row, work, figures: [{ label, value, unit, ceiling, ratio, target }, ...also], met }) {
  return JSON.stringify({ row, work, label, value, unit, ceiling, ratio, target, met, also });
}

const number = (value) =>
  value === null ? '' : value >= 1000 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)));

const cells = ({ label, value, unit, ceiling, ratio, target, met }) => {
  const verdict = met === null ? '' : met ? 'yes' : 'no';
  return [label, number(value), unit, number(ceiling), number(ratio), target ?? '', verdict];
};

function table(summaries) {
  const lines = [['row', 'work', 'figure', 'value', 'unit', 'ceiling', 'ratio', 'target', 'met']];
  for (const { row, work, figures } of summaries) {
    figures.forEach((figure, i) => lines.push([...(i === 0 ? [row, work] : ['', '']), ...cells(figure)]));
  }
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const isNumber = (column) => [3, 5, 6].includes(column);
  const cell = (text, column) => (isNumber(column) ? text.padStart(widths[column]) : text.padEnd(widths[column]));
  return lines.map((line) => line.map(cell).join('  ').trimEnd()).join('\n');
}

// ---- all of it ----

async function main() {
  const options = readArguments();
  if (options.help) return console.log(USAGE);
  const build = resolve(process.env.BUILD_DIR ?? 'build');
  const bench = new Bench({
    skerry: resolve(process.env.SKERRY_BIN ?? `${build}/skerry`),
    app: resolve('examples/board'),
    programs: `${build}/tests/bench`,
    dir: resolve(process.env.BENCH_DIR ?? `${build}/bench-data`),
    seconds: options.seconds,
    sockets: options.sockets,
  });
  const server = options.url ? new ForeignServer(options.url) : new Server(bench, 'data');
  try {
    if (!options.url) await server.start();
    const results = await measure(bench, server, options);
    const summaries = options.chosen.map((row) => summarize(row, results.get(row)));
    console.log(options.json ? summaries.map(toJson).join('\n') : table(summaries));
  } finally {
    await server.stop();
    bench.release();
  }
}

main().catch((error) => {
  const isExpected = error instanceof BenchError || error.code?.startsWith('ERR_PARSE_ARGS');
  console.error(`bench: ${isExpected ? error.message.trim() : error.stack}`);
  process.exitCode = 1;
});
