-- The whole schema. Times are seconds since the Unix epoch, but for lease_expires.

CREATE TABLE job (
    -- AUTOINCREMENT: a reused id would break first in, first out, and links that people keep
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'processing', 'completed', 'failed', 'canceled')),
    stage TEXT CHECK (stage IN ('preparing', 'transcribing', 'diarizing', 'merging', 'saving')),
    inbox TEXT NOT NULL,
    path BLOB NOT NULL,             -- relative to the inbox; a BLOB, since it need not be UTF-8
    identity TEXT NOT NULL,         -- JSON [dev, inode, size, mtime_ns, ctime_ns]
    sha256 TEXT,                    -- NULL: the source could not be read
    profile TEXT NOT NULL,
    settings TEXT NOT NULL,         -- JSON: the profile as it was at submission
    priority INTEGER NOT NULL,
    lease INTEGER NOT NULL DEFAULT 0,   -- the fencing token: only ever grows
    lease_expires REAL,             -- on the monotonic clock of the daemon that granted it;
                                    -- a new daemon releases every lease before it grants one
    failures INTEGER NOT NULL DEFAULT 0,
    deaths INTEGER NOT NULL DEFAULT 0,          -- of workers, by these bytes
    interruptions INTEGER NOT NULL DEFAULT 0,   -- lost runs without a checkpoint, in a row
    fallbacks TEXT NOT NULL DEFAULT '[]',       -- JSON [model.Fallback]: what memory did not allow
    not_before REAL NOT NULL DEFAULT 0,
    put_off INTEGER NOT NULL DEFAULT 0, -- not_before waits for the machine, not for the recording
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    redo INTEGER NOT NULL DEFAULT 0,    -- ordered to be done anew: what there is does not serve
    redo_stage TEXT,                -- 'diarize' or 'merge': only from there on; NULL: all of it
    overrides TEXT NOT NULL DEFAULT '{}',   -- JSON {key: text}: what was ordered over the profile
    created_at REAL NOT NULL,
    queued_at REAL NOT NULL,
    started_at REAL,                -- of the latest claim; NULL: never claimed
    finished_at REAL,               -- NULL until the state is terminal
    progress REAL NOT NULL DEFAULT 0,   -- seconds of audio
    diarized REAL,                  -- 0 to 1; NULL unless it is diarizing
    duration REAL,                  -- seconds of audio; NULL until the recording was opened
    probe TEXT,                     -- JSON protocol.Probed; NULL until the recording was opened
    engine TEXT,                    -- JSON transcript.EngineInfo; NULL until the model was loaded
    language TEXT,                  -- NULL until finished, and when nothing was said
    shown TEXT,                     -- JSON model.Shown: the speakers of the published transcript;
                                    -- NULL: it has none
    warnings TEXT NOT NULL DEFAULT '[]',    -- JSON [text]: of the published transcript
    cached INTEGER NOT NULL DEFAULT 0,      -- its words came from the library
    uploaded INTEGER NOT NULL DEFAULT 0,    -- the file in the inbox is a copy that we made
    sidecar TEXT,                   -- JSON model.Sidecar; NULL: none
    submitted_by TEXT,              -- JSON asking.Who; NULL: it was found in its inbox
    disposed TEXT,                  -- what became of the recording: 'deleted', 'archived NAME' ...
                                    -- NULL: it is where it was
    result TEXT,                    -- JSON jobs.Done: all blocks are checkpointed
    published_at REAL,              -- when a transcript of these bytes last was; NULL: never
    error_code TEXT,                -- of the last failure
    error_detail TEXT,
    CHECK ((state = 'processing') = (stage IS NOT NULL)),
    CHECK ((state = 'processing') = (lease_expires IS NOT NULL)),
    CHECK ((state IN ('queued', 'processing')) = (finished_at IS NULL))
) STRICT;

-- Every index that a move changes is a page more to write and to sync: few of them, for all uses.

-- First the live jobs: the head of each inbox and priority is one step into this index, however
-- long the queue is; so are the retries that are due. Then the ended ones, by age.
CREATE INDEX job_order ON job (finished_at, state, not_before, inbox, priority, queued_at,
                               created_at, id);
-- The jobs of a recording: one live one, and any number that have ended.
CREATE UNIQUE INDEX job_source ON job (inbox, path, iif(finished_at IS NULL, 0, id));
CREATE INDEX job_sha256 ON job (sha256);
-- The lists, newest first: the few in processing are found by the order.
CREATE INDEX job_listed ON job (inbox, state) WHERE state <> 'processing';
-- The uploads that lie in their inboxes, by age.
CREATE INDEX job_uploaded ON job (finished_at) WHERE uploaded = 1 AND disposed IS NULL;
-- What waits for the machine, until it is claimed.
CREATE INDEX job_put_off ON job (put_off) WHERE put_off = 1;

-- Recordings whose jobs were pruned, if no other job is about them: they are no news.
CREATE TABLE tombstone (
    job INTEGER PRIMARY KEY,        -- its id, which it gets back when it is asked for
    inbox TEXT NOT NULL,
    path BLOB NOT NULL,
    identity TEXT NOT NULL,
    sha256 TEXT,
    state TEXT NOT NULL,
    lease INTEGER NOT NULL,         -- goes on where it was: no holder of old gets a claim
    finished_at REAL NOT NULL,
    disposed TEXT,                  -- as in job
    UNIQUE (inbox, path)
) STRICT;

-- Versions of files that were passed over: they are no news.
CREATE TABLE passed (
    inbox TEXT NOT NULL,
    path BLOB NOT NULL,
    identity TEXT NOT NULL,         -- JSON, as in job
    why TEXT NOT NULL CHECK (why IN ('existing', 'outputs')),
    PRIMARY KEY (inbox, path)
) STRICT, WITHOUT ROWID;

-- Recordings that are to leave their inbox: what is not carried out yet. No reference: a row
-- outlives a job that is removed.
CREATE TABLE disposal (
    job INTEGER PRIMARY KEY,
    inbox TEXT NOT NULL,
    path BLOB NOT NULL,
    identity TEXT NOT NULL,
    sha256 TEXT NOT NULL,           -- only these bytes leave
    action TEXT NOT NULL CHECK (action IN ('archive', 'delete', 'quarantine', 'upload')),
    token TEXT NOT NULL,            -- of the private name that the file has on its way
    target BLOB,                    -- its name in the archive: as wanted, or as it is begun
    begun INTEGER NOT NULL DEFAULT 0,   -- 1: the file may have its private name; 2: and `target`
    due REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT ''  -- of the latest try; for people
) STRICT;
CREATE INDEX disposal_due ON disposal (inbox, due);

-- Whose turn it is: every inbox that ever had a job, and the number of the claim it last got.
CREATE TABLE turn (
    inbox TEXT PRIMARY KEY,
    claimed INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TRIGGER job_comes AFTER INSERT ON job BEGIN
    INSERT INTO turn (inbox) VALUES (NEW.inbox) ON CONFLICT DO NOTHING;
END;

-- What is to wait until somebody resumes it.
CREATE TABLE pause (
    kind TEXT NOT NULL CHECK (kind IN ('everything', 'inbox', 'worker')),
    name TEXT NOT NULL,             -- of the inbox or worker pool; '' for everything
    reason TEXT NOT NULL,           -- for people; may be empty
    since REAL NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- How many jobs are in each state, kept by triggers: counting a million rows is slow.
CREATE TABLE tally (
    state TEXT PRIMARY KEY,
    jobs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO tally VALUES
    ('queued', 0), ('processing', 0), ('completed', 0), ('failed', 0), ('canceled', 0);
CREATE TRIGGER job_added AFTER INSERT ON job BEGIN
    UPDATE tally SET jobs = jobs + 1 WHERE state = NEW.state;
END;
CREATE TRIGGER job_moved AFTER UPDATE OF state ON job WHEN OLD.state <> NEW.state BEGIN
    UPDATE tally SET jobs = jobs - 1 WHERE state = OLD.state;
    UPDATE tally SET jobs = jobs + 1 WHERE state = NEW.state;
END;
CREATE TRIGGER job_removed AFTER DELETE ON job BEGIN
    UPDATE tally SET jobs = jobs - 1 WHERE state = OLD.state;
END;

-- What is done of an unfinished recording; deleted when the transcript is published.
CREATE TABLE checkpoint (
    job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    number INTEGER NOT NULL,
    block TEXT NOT NULL,            -- JSON transcript.Block
    PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;

-- Which published file is whose: what is not listed here is never overwritten. Where the output
-- folder of an inbox is, only the configuration knows: it can be moved.
CREATE TABLE output (
    inbox TEXT NOT NULL,
    name BLOB NOT NULL,             -- relative to the output folder of the inbox
    job INTEGER NOT NULL,           -- in the table job, or pruned and in the table tombstone;
                                    -- in neither: nobody's, of a recording that had left
    prints TEXT NOT NULL DEFAULT '',    -- model.Print of its bytes as they were published; until
                                    -- then of all that runs were about to write, the latest first
    published INTEGER NOT NULL DEFAULT 0,   -- the job whose transcript it has;
                                    -- 0: the name is reserved, the file may be anybody's
    published_at REAL,              -- when that was; NULL: the name is reserved
    edited INTEGER NOT NULL DEFAULT 0,      -- 1: somebody has changed it, so it is ours no more
    PRIMARY KEY (inbox, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX output_job ON output (job);
CREATE INDEX output_age ON output (published_at) WHERE published_at IS NOT NULL;

-- The names that people gave to speakers.
CREATE TABLE speaker (
    job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    turns TEXT NOT NULL,            -- as in model.Shown: of other turns, a label is somebody else
    label TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (job, turns, label)
) STRICT, WITHOUT ROWID;

-- Where something was mounted above a file that was published: with nothing mounted there, files
-- would be written to where nobody looks for them.
CREATE TABLE mount (
    path BLOB PRIMARY KEY           -- absolute
) STRICT, WITHOUT ROWID;

CREATE TABLE execution (
    job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    lease INTEGER NOT NULL,
    worker TEXT NOT NULL,
    model TEXT,                     -- NULL until it was loaded
    device TEXT,
    compute_type TEXT,
    download_seconds REAL,          -- each of these is NULL where nothing of the kind was done
    load_seconds REAL,
    transcribe_seconds REAL,        -- up to the latest checkpoint
    diarize_seconds REAL,           -- of all that it takes: its model, too
    started_at REAL NOT NULL,
    finished_at REAL,               -- NULL while it runs
    outcome TEXT,
    error_code TEXT,
    error_detail TEXT,
    returncode INTEGER,             -- of the worker, if it died: an exit status, or -signal
    stderr TEXT,                    -- its last lines; private: shown nowhere
    blocks INTEGER NOT NULL DEFAULT 0,  -- checkpoints that this run made
    start_position REAL NOT NULL,   -- seconds of audio: where this run went on
    audio_seconds REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (job, lease)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    job INTEGER,                    -- it may be forgotten; NULL: of a pause, or that one is
    type TEXT NOT NULL,
    data TEXT NOT NULL              -- JSON object
) STRICT;
CREATE INDEX event_job ON event (job);

-- What the ids and times of events are worth: one row.
CREATE TABLE stream (
    generation TEXT NOT NULL,       -- of this database: after a restart from a backup, another one
    pruned INTEGER NOT NULL DEFAULT 0,  -- the newest event that was forgotten for its age
    believed REAL                   -- a time that it is not before; NULL: see the latest event
) STRICT;
INSERT INTO stream (generation) VALUES (lower(hex(randomblob(4))));
