ALTER TABLE seen RENAME TO tombstone;

-- How long the work took is noted when it is done, and a transcript counts from when it is published.
UPDATE job SET result = json_set(result, '$.seconds', (
    SELECT total(max(0, min(coalesce(finished_at, transcribed_at), transcribed_at) - started_at))
    FROM execution WHERE execution.job = job.id)) WHERE result IS NOT NULL;
ALTER TABLE job DROP COLUMN transcribed_at;
ALTER TABLE job ADD COLUMN published_at REAL;
UPDATE job SET published_at = coalesce(finished_at, queued_at) WHERE state = 'completed' OR redo;
