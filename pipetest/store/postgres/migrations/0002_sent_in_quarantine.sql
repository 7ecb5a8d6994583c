ALTER TABLE pipetest.users ADD COLUMN sent boolean NOT NULL DEFAULT false;
ALTER TABLE pipetest.gists ADD COLUMN sent boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN pipetest.gists.sent IS
    'in quarantine: whether an earlier request may have been carried out unseen';
