"""The store on a PostgreSQL server: any number of instances serve from it, one at a time writes feed and outbox."""
