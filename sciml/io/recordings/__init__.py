"""From declarations to recordings: open, assemble, override, concatenate, look closely."""
