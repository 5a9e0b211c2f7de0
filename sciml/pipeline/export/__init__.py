"""A trained run as two files to hand on: weights as safetensors, and JSON that says what they are for."""

from sciml.pipeline.export.folder import ExportedRun, is_export, run_at

__all__ = ["ExportedRun", "is_export", "run_at"]
