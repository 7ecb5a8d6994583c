"""What visitors and operators may ask over HTTP."""
