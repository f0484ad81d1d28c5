ALTER TABLE job ADD COLUMN cached INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN uploaded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN sidecar TEXT;
ALTER TABLE job ADD COLUMN disposed TEXT;
ALTER TABLE tombstone ADD COLUMN disposed TEXT;
CREATE INDEX job_uploaded ON job (finished_at) WHERE uploaded = 1 AND disposed IS NULL;
CREATE TABLE passed (
    inbox TEXT NOT NULL,
    path BLOB NOT NULL,
    identity TEXT NOT NULL,
    why TEXT NOT NULL CHECK (why IN ('existing', 'outputs')),
    PRIMARY KEY (inbox, path)
) STRICT, WITHOUT ROWID;
CREATE TABLE disposal (
    job INTEGER PRIMARY KEY,
    inbox TEXT NOT NULL,
    path BLOB NOT NULL,
    identity TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('archive', 'delete', 'quarantine', 'upload')),
    token TEXT NOT NULL,
    target BLOB,
    begun INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX disposal_due ON disposal (inbox, due);
