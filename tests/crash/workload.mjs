/*
 * workload - what the writers of a crash test do, per example app, and what must become of it.
 *
 * A transaction is {frame, changes, code, apply}: the row changes that it makes when it is committed, as [collection,
 * key, op], or the code with which it must be rejected; apply(model) does to a model, a Map of collections, what it does
 * to the scope. A writer touches rows of its own, in the order in which it sends, so all of this is known beforehand.
 * Only `touch` is common ground: it adds up, so that a transaction which ran twice would show.
 */
const COMMON = ["a-0", "a-1", "a-2", "a-3"]; // sorts before all other keys

const mut = (collection, ...ops) => ({ t: "mut", collection, ops });
const op = (type, key, cols = null) => ({ type, key, cols });

/** A transaction of `ops` on one collection that must be committed. */
function change(collection, ...ops) {
  const apply = (model) => {
    const rows = model.get(collection);
    for (const { type, key, cols } of ops) {
      if (type === "delete") rows.delete(key);
      else rows.set(key, { ...rows.get(key), ...cols });
    }
  };
  return { frame: mut(collection, ...ops), changes: ops.map(({ type, key }) => [collection, key, type]), apply };
}

const rejected = (code, frame) => ({ frame, code, changes: [], apply: () => {} });
const nothing = (collection) => ({ frame: mut(collection, op("delete", "no-such-row")), changes: [], apply: () => {} });

/** What changes a row of one's own, or adds one, by turns. */
function ownRows(writer, random, collection, fresh, edit) {
  const key = `${writer.name}-${writer.n++}`;
  const existing = random.pick([...writer.own]);
  switch (existing === undefined ? 0 : random.below(4)) {
    case 1:
      return change(collection, op("update", existing, edit(writer.n)));
    case 2:
      writer.own.delete(existing);
      return change(collection, op("delete", existing));
    case 3:
      writer.own.add(key);
      return change(collection, op("insert", key, fresh(key)), op("update", key, edit(writer.n)));
    default:
      writer.own.add(key);
      return change(collection, op("insert", key, fresh(key)));
  }
}

function touch(n) {
  const keys = COMMON.slice(0, n);
  return {
    frame: { t: "call", name: "touch", args: { n } },
    changes: keys.map((key) => ["tasks", key, "update"]),
    apply: (model) => keys.forEach((key) => model.get("tasks").get(key).score++),
  };
}

const task = (title) => ({ title, status: "open", score: 0, updated_at: 1 });

const board = {
  collections: ["tasks", "notes"],
  /** The first transaction of a scope. */
  found: () => change("tasks", ...COMMON.map((key) => op("insert", key, task(key)))),
  /** The last one of a round, with a key that no other has. */
  seal: (key) => change("notes", op("insert", key, { body: "sealed" })),
  next(writer, random) {
    switch (random.below(8)) {
      case 0:
        return touch(1 + random.below(COMMON.length));
      case 1:
        return rejected("CONSTRAINT", mut("tasks", op("insert", "a-0", task("again"))));
      case 2:
        return nothing("tasks");
      case 3:
        return change("notes", op("insert", `${writer.name}-${writer.n++}`, { body: "noted", num: writer.n }));
      default:
        return ownRows(writer, random, "tasks", task, (score) => ({ score }));
    }
  },
};

const chat = {
  collections: ["messages"],
  found: () => change("messages", op("insert", "a-0", { text: "welcome" })),
  seal: (key) => change("messages", op("insert", key, { text: "sealed" })),
  next(writer, random) {
    switch (random.below(6)) {
      case 0:
        return rejected("FORBIDDEN", mut("messages", op("update", "a-0", { text: "mine now" })));
      case 1:
        return nothing("messages");
      default:
        return ownRows(
          writer,
          random,
          "messages",
          (text) => ({ text }),
          (n) => ({ text: `edit ${n}` }),
        );
    }
  },
};

export const workloads = { board, chat };

const BODIES = [..."abcdefgh"].map((letter) => letter.repeat(900000));

/** `n` transactions of which fill more than two segments of a journal, where rows may be that large; one row a writer. */
export const large = {
  board: {
    ...board,
    n: 40,
    found: () => change("notes", op("insert", "large", { body: "small" })),
    next(writer, random) {
      const key = `large-${writer.name}`;
      const type = writer.own.has(key) ? "update" : "insert";
      writer.own.add(key);
      return change("notes", op(type, key, { body: random.pick(BODIES) }));
    },
  },
};
