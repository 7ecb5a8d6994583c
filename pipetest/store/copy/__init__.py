"""Moving a database from one kind of store to another: ``python -m pipetest.store.copy FROM TO``."""
