"""Every public gist of the GitHub users you follow becomes a deal in Pipedrive: once, always, unattended."""
