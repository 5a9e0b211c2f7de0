"""The cosine transform of channels over time."""

import numpy as np
import scipy.fft

from sciml._typing import AnyArray

__all__ = ["cosine_transform"]


def cosine_transform(values: AnyArray) -> AnyArray:
    """Return the orthonormal DCT-II over time of (T, N) without the mean: (T - 1, N), frequencies ascending.

    Cosines are nearly the principal axes of slow noise, where a Fourier basis takes the two ends for neighbors.

    Examples
    --------
    >>> cosine_transform(np.ones((5, 2))).round(12).any()
    np.False_
    """
    if not np.iscomplexobj(values):
        return np.asarray(scipy.fft.dct(values, axis=0, norm="ortho")[1:])
    real, imaginary = (scipy.fft.dct(part, axis=0, norm="ortho")[1:] for part in (values.real, values.imag))
    return np.asarray(real + 1j * imaginary)
