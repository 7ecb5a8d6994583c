"""A soak: one process for two hours at a hundred times the normal pace, with all faults on."""
