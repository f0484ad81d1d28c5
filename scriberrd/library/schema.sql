-- Results of finished stages. A cache: whatever is lost here is only done again.

CREATE TABLE result (
    -- AUTOINCREMENT: nobody finds another result under the id of one that has gone
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stage TEXT NOT NULL,
    sha256 TEXT NOT NULL,           -- of the recording
    settings TEXT NOT NULL,         -- JSON: the settings as used, with the fallbacks
    model TEXT NOT NULL,
    revision TEXT NOT NULL,         -- of the model; '' where it has none
    policy INTEGER NOT NULL,        -- protocol.POLICY: how the worker decoded
    head BLOB NOT NULL,             -- JSON shelf.Head
    parts INTEGER NOT NULL DEFAULT 0,   -- how many it has
    size INTEGER NOT NULL DEFAULT 0,    -- bytes of them
    created_at REAL NOT NULL,
    used_at REAL NOT NULL,
    hits INTEGER NOT NULL DEFAULT 0,
    UNIQUE (sha256, stage, settings, revision, policy)
) STRICT;
CREATE INDEX result_used ON result (used_at, size);
CREATE INDEX result_model ON result (stage, model, created_at, revision);

CREATE TABLE part (
    result INTEGER NOT NULL REFERENCES result ON DELETE CASCADE,
    number INTEGER NOT NULL,        -- of the block
    content BLOB NOT NULL,          -- JSON transcript.BlockResult, compressed by zlib
    PRIMARY KEY (result, number)
) STRICT, WITHOUT ROWID;
