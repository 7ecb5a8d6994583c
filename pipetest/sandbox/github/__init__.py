"""The sandbox's GitHub."""
