"""Figures of nets: singular values of weights and Jacobians, activations, curvature, tracks over training."""
