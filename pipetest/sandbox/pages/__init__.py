"""What people see of the sandbox in a browser: gists, deals, and a playground to break things in."""
