"""GitHub and Pipedrive as they behave, in memory: the demonstration, the tests' fixture and the simulation's world.

``world`` puts it together; ``service`` is the one entry to each of the two. ``http`` and ``in_process`` are the ways in
for clients, ``control`` for tests; ``server`` puts all of it on loopback ports, and ``demo`` the daemon beside it.
"""
