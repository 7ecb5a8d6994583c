"""The environment becomes settings, or one clear line."""
