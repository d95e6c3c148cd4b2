CREATE TABLE messages (
  id TEXT PRIMARY KEY,
  author TEXT NOT NULL,
  text TEXT NOT NULL CONSTRAINT "a message has 1 to 4000 characters" CHECK (length(text) BETWEEN 1 AND 4000),
  created_at INTEGER NOT NULL, -- milliseconds, by the server's clock
  edited_at INTEGER
);
