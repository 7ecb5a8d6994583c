"""Store to Pipedrive: one organization per user and one deal per gist, never two."""
