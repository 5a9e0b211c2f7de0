"""The noise floor in frequency: which oscillations channels share."""
