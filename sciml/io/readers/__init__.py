"""One file or folder a format. A reader says how surely a file is of its format, and what is in it."""
