"""GitHub to store: reads every user's list, whole or not at all, and records what is new."""
