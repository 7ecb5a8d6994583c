ALTER TABLE pipetest.gists ADD COLUMN skipped boolean NOT NULL DEFAULT false;
CREATE INDEX skipped ON pipetest.gists (lower(username)) WHERE skipped;
COMMENT ON COLUMN pipetest.gists.skipped IS
    'older than the backfill: it gets no deal; its state is "done", as an instance of the version before has to leave it alone';
