-- An output is found by its inbox and its name, wherever the folder is.
CREATE TABLE moved (
    inbox TEXT NOT NULL,
    name BLOB NOT NULL,
    job INTEGER NOT NULL,
    prints TEXT NOT NULL DEFAULT '',
    published INTEGER NOT NULL DEFAULT 0,
    published_at REAL,
    edited INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (inbox, name)
) STRICT, WITHOUT ROWID;
-- Two rows have the same name only where an inbox had two output folders: the later one counts.
INSERT OR REPLACE INTO moved
    SELECT coalesce(job.inbox, seen.inbox), output.name, output.job, output.sha256,
           output.published, iif(output.published, coalesce(job.finished_at, seen.finished_at), NULL),
           0
    FROM output LEFT JOIN job ON job.id = output.job LEFT JOIN seen ON seen.job = output.job
    WHERE coalesce(job.inbox, seen.inbox) IS NOT NULL
    ORDER BY output.published, output.job;
DROP TABLE output;
ALTER TABLE moved RENAME TO output;
CREATE INDEX output_job ON output (job);
CREATE INDEX output_age ON output (published_at) WHERE published_at IS NOT NULL;

CREATE TABLE mount (
    path BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Lists, what waits for the machine, and how much of the stream of events is there.
CREATE INDEX job_listed ON job (inbox, state) WHERE state <> 'processing';
CREATE INDEX job_put_off ON job (put_off) WHERE put_off = 1;

CREATE TABLE stream (
    generation TEXT NOT NULL,
    pruned INTEGER NOT NULL DEFAULT 0,
    believed REAL
) STRICT;
INSERT INTO stream (generation) VALUES (lower(hex(randomblob(4))));
