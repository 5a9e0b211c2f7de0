from .folder import ExportedRun, is_export, run_at

__all__ = [
    "ExportedRun",
    "is_export",
    "run_at",
]
