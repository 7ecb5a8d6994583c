"""What all others know: values, errors by what to do next, the Protocols between packages."""
