from .tested import (
    Tested,
    baseline_numbers,
    covariances_by_session,
    model_outputs,
    outputs_of,
    parts_for_baselines,
    pool,
    rows_at_once,
)

__all__ = [
    "Tested",
    "baseline_numbers",
    "covariances_by_session",
    "model_outputs",
    "outputs_of",
    "parts_for_baselines",
    "pool",
    "rows_at_once",
]
