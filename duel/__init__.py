"""``python -m duel``: pipetest beside what one would take instead, on one sandbox; see docs/duel.md.

``older_service``, ``plain_outbox``, ``dlt_pipeline``, ``drt_project/`` and ``n8n_workflow.json`` are what their users
would write: each runs in an environment of its own, knows nothing of pipetest, and is told by environment variables
where the services are.
``contestants`` says how each is run, ``scenarios`` what is done to them.
"""
