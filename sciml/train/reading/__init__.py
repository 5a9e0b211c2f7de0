"""Reading while training: the parts of the data, in which order their items come, and batches of them."""

from sciml.train.reading.order import batch_order, draw_keys, in_sequence, key
from sciml.train.reading.parts import Batches, FitData, as_batches, fingerprint, labels_of, weights_of
from sciml.train.reading.reader import Batch, Reader
from sciml.train.reading.workers import choose_workers, deaths_understood

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
