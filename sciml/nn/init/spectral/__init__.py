"""Parts of the method `spectral`: signal subspace, spread of taps, calibration of branches, solved last layer."""
