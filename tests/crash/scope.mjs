/*
 * scope - one scope under load: its writers, all that was sent, what was answered, and whether that fits together.
 */
import { Client, difference } from "../lib/client.mjs";
import { isDeepStrictEqual } from "node:util";

const IN_FLIGHT = 8; // transactions that a writer keeps unanswered
const REPEATS = 6; // old transactions that are sent again after a round

export class Scope {
  /** `extended` are the users who speak skerry.v1. */
  constructor(server, workload, name, writers, random, extended = []) {
    Object.assign(this, { server, workload, name, random, extended });
    this.sent = []; // {txId, user, frame, changes, code, apply, answer}, in the order of sending
    this.seen = new Map(); // seq -> the row that changed there, as any client was told
    this.broken = []; // what clients were told that does not fit together
    this.schemas = 0; // positions that changes of the schema may have taken
    this.users = ["founder", ...Array.from({ length: writers }, (_, i) => `w${i}`)];
    this.writers = this.users.map((user) => ({ name: user, own: new Set(), n: 0, client: this.open(user) }));
    this.founder = this.writers.shift();
    this.watcher = this.open("watcher"); // writes nothing, sees everything
  }

  open(user, collections = this.workload.collections) {
    const extended = this.extended.includes(user);
    const client = new Client(this.server.url(this.name, user), collections, { extended });
    client.onDelta = (frame, seq) => this.see(seq, `${frame.key} of ${frame.sub}`);
    return client;
  }

  /** A position stands for one change, for ever. */
  see(seq, row) {
    const before = this.seen.get(seq);
    if (before !== undefined && before !== row) this.broken.push(`${seq} was given to ${before}, and then to ${row}`);
    this.seen.set(seq, row);
  }

  /** Its clients go; they come back with what they hold. */
  leave() {
    for (const client of this.clients()) client.stop();
  }

  come() {
    for (const client of this.clients()) client.start();
  }

  async send({ name, client }, transaction, onAnswer = () => {}) {
    const txId = `${this.name}-${name}-${this.sent.length}`;
    const sent = { ...transaction, frame: { txId, ...transaction.frame }, txId, user: name };
    this.sent.push(sent);
    sent.answer = await client.transact(sent.frame, sent.changes.length > 0);
    onAnswer();
  }

  found() {
    return this.send(this.founder, this.workload.found());
  }

  /** Each writer sends `n` transactions, some at a time. Resolves when all are answered. */
  load(n, onAnswer) {
    const left = new Map(this.writers.map((writer) => [writer, n]));
    const take = (writer) => left.set(writer, left.get(writer) - 1).get(writer) >= 0;
    return this.loadWhile(take, onAnswer);
  }

  /** The same for as long as a writer `wants` to. */
  async loadWhile(wants, onAnswer) {
    const lane = async (writer) => {
      while (wants(writer)) await this.send(writer, this.workload.next(writer, this.random), onAnswer);
    };
    const lanes = this.writers.flatMap((writer) => Array.from({ length: IN_FLIGHT }, () => lane(writer)));
    await Promise.all(lanes);
    await this.send(this.founder, this.workload.seal(`z-${this.sent.length}`));
  }

  /** What the transactions, as answered, make of an empty scope. */
  model() {
    const model = new Map(this.workload.collections.map((name) => [name, new Map()]));
    for (const { answer, apply } of this.sent) if (!answer.error) apply(model);
    return model;
  }

  async check(tally) {
    const named = (what) => `${this.server.app}/${this.name}: ${what}`;
    const wrong = this.sent.filter(({ answer, code }) => (answer.error?.code ?? undefined) !== code);
    tally.check(wrong.length === 0, named(`answered unlike the rules say: ${JSON.stringify(wrong[0])}`));
    tally.check(this.gap() === null, named(this.gap()));

    const fresh = this.open("fresh");
    const clients = [fresh, ...this.clients()];
    await Promise.all(clients.map((client) => client.settle()));
    fresh.stop();
    tally.check(this.broken.length === 0, named(this.broken[0]));
    tally.check(this.agrees(fresh.rows), named("the rows are not what was confirmed"));
    for (const client of clients) {
      tally.check(client.broken.length === 0, named(`${client.url}: ${client.broken.splice(0)[0]}`));
      const differs = difference(client.rows, fresh.rows);
      tally.check(differs === null, named(`${client.url} holds other rows: ${differs}`));
      tally.check(client.cursor <= fresh.cursor, named(`${client.url} is at ${client.cursor}, above the head`));
    }
    await this.repeat(tally, named);
  }

  /**
   * Positions are given once each, and only rejections leave holes between those of the first and the last commit, and
   * changes of the schema.
   */
  gap() {
    const committed = this.sent.filter(({ answer }) => !answer.error).sort((a, b) => a.answer.seq - b.answer.seq);
    const rejections = this.sent.length - committed.length;
    let holes = 0;
    let end = firstOf(committed[0]) - 1;
    for (const one of committed) {
      if (firstOf(one) <= end) return `${one.txId} has a position that another transaction has too`;
      holes += firstOf(one) - end - 1;
      end = one.answer.seq;
    }
    if (holes >= rejections && holes <= rejections + this.schemas) return null;
    return `${holes} positions are missing, but ${rejections} transactions were rejected`;
  }

  /** Whether `rows` are the model's; columns that the server decides are left out. */
  agrees(rows) {
    for (const [name, expected] of this.model()) {
      if (rows.get(name).size !== expected.size) return false;
      for (const [key, row] of expected) {
        const held = rows.get(name).get(key) ?? {};
        if (Object.entries(row).some(([column, value]) => held[column] !== value)) return false;
      }
    }
    return true;
  }

  /** The same id again, on another socket of the same user: the same answer. */
  async repeat(tally, named) {
    for (let i = 0; i < REPEATS; i++) {
      const { user, frame, answer } = this.random.pick(this.sent);
      const client = this.open(user, []);
      const again = await client.transact(frame);
      client.stop();
      const both = `${JSON.stringify(answer)}, then ${JSON.stringify(again)}`;
      tally.check(isDeepStrictEqual(again, answer), named(`${frame.txId} was answered with ${both}`));
    }
  }

  clients() {
    return [this.watcher, this.founder.client, ...this.writers.map(({ client }) => client)];
  }
}

/** The first position of a committed transaction: it has one for each change, and one if it changed nothing. */
export function firstOf({ changes, answer }) {
  return answer.seq - Math.max(changes.length, 1) + 1;
}
