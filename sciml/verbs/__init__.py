"""The main verbs, for a file, a recording or an array: `sciml.open`, `sciml.noise_floor`, `sciml.fit` and others."""
