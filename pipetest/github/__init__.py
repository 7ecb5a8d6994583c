"""GitHub's gists: asked, understood, and kept within GitHub's limits."""
