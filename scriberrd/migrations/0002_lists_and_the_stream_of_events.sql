CREATE INDEX job_listed ON job (inbox, state) WHERE state <> 'processing';
CREATE INDEX job_put_off ON job (put_off) WHERE put_off = 1;

CREATE TABLE stream (
    generation TEXT NOT NULL,
    pruned INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO stream (generation) VALUES (lower(hex(randomblob(4))));
