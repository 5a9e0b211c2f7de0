"""Noise that neighboring voxels share: found in the recording, and taken out of patches and put back."""
