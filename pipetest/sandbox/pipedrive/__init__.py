"""The sandbox's Pipedrive."""
