"""Lazy arrays: values that stay in their file until they are indexed, in physical units."""
