"""Outgoing requests: one request, one whole answer, within its limits."""
