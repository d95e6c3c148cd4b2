CREATE TABLE lists (id TEXT PRIMARY KEY, title TEXT NOT NULL CHECK (title <> ''));

CREATE TABLE items (
  id TEXT PRIMARY KEY,
  list TEXT REFERENCES lists(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  n INTEGER NOT NULL,
  body TEXT,
  owner TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX items_by_list ON items(list);

-- Of the items of each list, and of those without one: triggers keep them.
CREATE TABLE totals (list TEXT PRIMARY KEY, items INTEGER NOT NULL, sum INTEGER NOT NULL);

CREATE TRIGGER item_added AFTER INSERT ON items BEGIN
  INSERT INTO totals VALUES(coalesce(NEW.list, '-'), 1, NEW.n)
    ON CONFLICT DO UPDATE SET items = items + 1, sum = sum + excluded.sum;
END;

CREATE TRIGGER item_changed AFTER UPDATE OF n ON items BEGIN
  UPDATE totals SET sum = sum - OLD.n + NEW.n WHERE list = coalesce(OLD.list, '-');
END;

CREATE TRIGGER item_removed AFTER DELETE ON items BEGIN
  UPDATE totals SET items = items - 1, sum = sum - OLD.n WHERE list = coalesce(OLD.list, '-');
END;
