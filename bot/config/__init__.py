"""The configuration: settings, checks, and errors with the line they are about."""
