ALTER TABLE job ADD COLUMN redo_stage TEXT;
ALTER TABLE job ADD COLUMN overrides TEXT NOT NULL DEFAULT '{}';
ALTER TABLE job ADD COLUMN diarized REAL;
ALTER TABLE job ADD COLUMN shown TEXT;
CREATE TABLE speaker (
    job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    turns TEXT NOT NULL,
    label TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (job, turns, label)
) STRICT, WITHOUT ROWID;
-- The first version left it when a job was completed, though its checkpoints were gone.
UPDATE job SET result = NULL WHERE state = 'completed';
