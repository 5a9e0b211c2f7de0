"""The recording as a matrix: eigenvalues, Fourier coefficients and spectra for any scaling of its channels."""
