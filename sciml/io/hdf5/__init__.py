"""HDF5 files as they are: groups, datasets and links, guarded; what is odd about them; where values are stored."""
