"""The spectra of a run's net: the net as it is and as it began, on the windows that it learned from."""
