"""Models of the noise: one file each."""
