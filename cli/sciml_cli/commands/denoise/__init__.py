"""`sciml denoise`: the command, its options, and what it does patch by patch."""
