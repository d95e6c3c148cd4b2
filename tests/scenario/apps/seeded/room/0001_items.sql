CREATE TABLE items (id TEXT PRIMARY KEY, text TEXT NOT NULL);

INSERT INTO items VALUES ('rules', 'be kind'), ('welcome', 'hello');
