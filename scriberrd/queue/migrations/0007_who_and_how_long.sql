ALTER TABLE job ADD COLUMN submitted_by TEXT;
ALTER TABLE execution ADD COLUMN model TEXT;
ALTER TABLE execution ADD COLUMN download_seconds REAL;
ALTER TABLE execution ADD COLUMN load_seconds REAL;
ALTER TABLE execution ADD COLUMN transcribe_seconds REAL;
ALTER TABLE execution ADD COLUMN diarize_seconds REAL;
CREATE TABLE lasting (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    job INTEGER,
    type TEXT NOT NULL,
    data TEXT NOT NULL
) STRICT;
INSERT INTO lasting SELECT id, at, job, type, data FROM event;
DELETE FROM sqlite_sequence WHERE name = 'lasting';
INSERT INTO sqlite_sequence SELECT 'lasting', seq FROM sqlite_sequence WHERE name = 'event';
DROP TABLE event;
ALTER TABLE lasting RENAME TO event;
CREATE INDEX event_job ON event (job);
