"""The noise floor of a recording: the model is chosen, rank and noise are estimated from each other."""
