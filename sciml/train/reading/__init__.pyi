from .order import batch_order, draw_keys, in_sequence, key
from .parts import (
    Batches,
    FitData,
    as_batches,
    fingerprint,
    labels_of,
    weights_of,
)
from .reader import Batch, Reader
from .workers import choose_workers, deaths_understood

__all__ = [
    "Batch",
    "Batches",
    "FitData",
    "Reader",
    "as_batches",
    "batch_order",
    "choose_workers",
    "deaths_understood",
    "draw_keys",
    "fingerprint",
    "in_sequence",
    "key",
    "labels_of",
    "weights_of",
]
