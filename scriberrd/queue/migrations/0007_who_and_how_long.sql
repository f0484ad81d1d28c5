ALTER TABLE job ADD COLUMN submitted_by TEXT;
ALTER TABLE execution ADD COLUMN model TEXT;
ALTER TABLE execution ADD COLUMN download_seconds REAL;
ALTER TABLE execution ADD COLUMN load_seconds REAL;
ALTER TABLE execution ADD COLUMN transcribe_seconds REAL;
ALTER TABLE execution ADD COLUMN diarize_seconds REAL;
