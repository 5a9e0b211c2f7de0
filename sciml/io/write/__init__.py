"""Recordings written: netCDF-4, Zarr, regions, a copy of an NWB file."""
