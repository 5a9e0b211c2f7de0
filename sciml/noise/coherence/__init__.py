"""The noise floor in frequency: which oscillations channels have in common."""
