"""``pipetest check``: what would go wrong, before it does. A module for each thing that is looked at."""
