"""What channels share, without a model of their covariance: between sets of channels, and over time."""
