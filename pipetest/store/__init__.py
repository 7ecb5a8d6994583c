"""Where state lives: one file, or a PostgreSQL server."""
