"""What one pass over a recording yields, and which of its channels are used."""
