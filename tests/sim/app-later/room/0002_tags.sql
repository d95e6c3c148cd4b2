ALTER TABLE items ADD COLUMN tag TEXT NOT NULL DEFAULT 'none';
UPDATE lists SET title = title || '!';
UPDATE items SET tag = 'even' WHERE n % 2 = 0;
