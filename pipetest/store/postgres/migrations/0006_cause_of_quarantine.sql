ALTER TABLE pipetest.users ADD COLUMN status integer, ADD COLUMN code text;
ALTER TABLE pipetest.gists ADD COLUMN status integer, ADD COLUMN code text;
COMMENT ON COLUMN pipetest.gists.status IS 'in quarantine: the HTTP status of the refusal, and beside it its code';
