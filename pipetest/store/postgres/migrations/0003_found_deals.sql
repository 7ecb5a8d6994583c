CREATE TABLE pipetest.found_deals (gist text PRIMARY KEY, deal_id bigint NOT NULL);
COMMENT ON TABLE pipetest.found_deals IS
    'deals that were found in Pipedrive, of gists that the feed lacks so far';
