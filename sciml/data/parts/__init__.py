"""What is done with the items of one part: how those of a file are read together, and how they are changed."""
