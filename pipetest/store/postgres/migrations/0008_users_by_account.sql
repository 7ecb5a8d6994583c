CREATE INDEX users_by_account ON pipetest.users (owner_id);
