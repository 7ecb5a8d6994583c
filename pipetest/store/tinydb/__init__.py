"""The store in one file, for a daemon that works alone."""
