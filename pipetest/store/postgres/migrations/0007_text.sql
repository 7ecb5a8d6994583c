ALTER TABLE pipetest.gists ADD COLUMN text json;
CREATE INDEX without_text ON pipetest.gists (lower(username)) WHERE state <> 'done' AND text IS NULL;
COMMENT ON COLUMN pipetest.gists.text IS
    'its description and file names; NULL where they are not known, and once it is done or skipped';
