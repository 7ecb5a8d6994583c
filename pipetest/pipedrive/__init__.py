"""Pipedrive's organizations and deals: asked, understood, and kept within Pipedrive's limits."""
