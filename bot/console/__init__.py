"""The web console: pages for managers and operators, in a process of its own."""
