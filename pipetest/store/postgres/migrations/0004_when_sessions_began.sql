ALTER TABLE pipetest.sessions ADD COLUMN begun_at timestamptz;
COMMENT ON COLUMN pipetest.sessions.begun_at IS
    'when it first came; not known of one that began before this column, until it returns';
