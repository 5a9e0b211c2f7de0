"""What a reader declares: signals, clocks, axes, tables; nothing of it has been read."""
