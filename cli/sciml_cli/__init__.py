"""The command line of sciml."""
