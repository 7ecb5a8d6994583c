"""GitHub and Pipedrive as they behave, in memory: the demonstration, the tests' fixture and the simulation's world.

``world`` puts it together; ``service`` is the one entry to each of the two; ``web``, ``direct`` and ``sandbox`` are the
ways in, and ``control`` the way behind the scenes.
"""
