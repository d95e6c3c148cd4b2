CREATE TABLE items (
  id TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  text TEXT NOT NULL CHECK (text <> ''),
  rank INTEGER UNIQUE
);
