"""``pipetest plan``: what there is to do, before the daemon does it."""
