"""Cross-spectra of sine tapers, band by band: all tapered transforms of all segments (rows), or one matrix a band."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.fft

from sciml._typing import AnyArray, ComplexArray, FloatArray, IntArray
from sciml.noise.coherence.bands import BandPlan

__all__ = ["CrossSpectra", "cross_spectra", "sine_tapered"]


@dataclass
class CrossSpectra:
    """What all segments yield of each band.

    `rows[b]` (taper and segment, channel) holds the tapered transforms where they fit into memory; else `matrices[b]`
    (channel, channel) their cross-products. `n_averages[b]` counts them, `dof[b]` how many independent ones they are
    worth.
    """

    n_channels: int
    n_averages: IntArray
    dof: FloatArray
    rows: list[ComplexArray] = field(default_factory=list)
    matrices: AnyArray | None = None

    def matrix(self, band: int) -> AnyArray:
        """Return S = Y^H Y / n_averages, shape (channel, channel)."""
        if self.matrices is not None:
            return np.asarray(self.matrices[band] / self.n_averages[band])
        rows = self.rows[band]
        return np.asarray(rows.conj().T @ rows / len(rows))

    def wide(self, band: int) -> bool:
        """Tell whether there are more channels than averages, and the rows at hand."""
        return self.matrices is None and self.n_channels > self.n_averages[band]

    def power(self, band: int) -> FloatArray:
        """Return the mean square of each channel."""
        if self.matrices is not None:
            return np.asarray(np.diagonal(self.matrices[band]).real / self.n_averages[band], dtype=np.float64)
        return np.asarray(np.mean(np.abs(self.rows[band]) ** 2, axis=0))


def sine_tapered(transform: AnyArray, center: int, n_tapers: int, length: int) -> ComplexArray:
    r"""Return the transforms under the first K sine tapers at one frequency, shape (segment, taper, channel).

    .. math:: v_k(t) = \sqrt{\tfrac{2}{L + 1}} \sin\frac{\pi k t}{L + 1}, \qquad
              \sum_t v_k(t) x_t e^{-2\pi i m t / M} = \frac{X_{m - k} - X_{m + k}}{i \sqrt{2 (L + 1)}}

    with M = 2 (L + 1) and t = 1 ... L: one zero-padded transform X serves all tapers and frequencies.

    Parameters
    ----------
    transform
        X, shape (segment, frequency, channel): all M frequencies, or those from 0 to M / 2 for real data.

    References
    ----------
    Riedel and Sidorenko (1995), doi:10.1109/78.365298, eq. 2.12.
    """
    k = np.arange(1, n_tapers + 1)
    return np.asarray((transform[:, center - k] - transform[:, center + k]) / (1j * np.sqrt(2.0 * (length + 1))))


def cross_spectra(
    segments: Iterable[AnyArray], plan: BandPlan, n_channels: int, *, hold: bool, dtype: Any
) -> CrossSpectra:
    """Sum over whitened segments (segment, time, channel); with `hold` keep every row."""
    n_bands = len(plan.center)
    rows: list[list[ComplexArray]] = [[] for _ in range(n_bands)]
    matrices = None if hold else np.zeros((n_bands, n_channels, n_channels), dtype=dtype)
    dof = [_EffectiveDof() for _ in range(n_bands)]
    n_segments = 0
    for block in segments:
        if not len(block):
            continue
        n_segments += len(block)
        transform = _transform(block, plan.n_fft)
        for band, (center, n_tapers) in enumerate(zip(plan.center, plan.n_tapers, strict=True)):
            tapered = sine_tapered(transform, int(center), int(n_tapers), plan.length)
            dof[band].add(tapered)
            flat = tapered.reshape(-1, n_channels)
            if matrices is None:
                rows[band].append(flat)
            else:
                narrow = flat.astype(dtype, copy=False)
                matrices[band] += narrow.conj().T @ narrow
    n_averages = plan.n_tapers * n_segments
    effective = np.array([each.of(int(n)) for each, n in zip(dof, n_averages, strict=True)])
    return CrossSpectra(n_channels, n_averages, effective, [np.concatenate(r) for r in rows if r], matrices)


def _transform(block: AnyArray, n_fft: int) -> AnyArray:
    """Transform samples t = 1 ... L (the phase of the first sample matters to the sine tapers)."""
    padded = np.concatenate([np.zeros_like(block[:, :1]), block], axis=1)
    if np.iscomplexobj(block):
        return np.asarray(scipy.fft.fft(padded, n_fft, axis=1))
    return np.asarray(scipy.fft.rfft(padded, n_fft, axis=1))


class _EffectiveDof:
    r"""Effective degrees of freedom of averages that correlate: n = (tr B)^2 / tr B^2, B their covariance.

    Tapers correlate where the spectrum is steep within the band, has a line there, or leaks from elsewhere; and
    segments differ in power where the noise is not steady. B is averaged over channels, segment by segment; its
    sampling error would look like correlation and is removed: E|B_kl|^2 is raised by B_kk B_ll / N.
    """

    def __init__(self) -> None:
        self.weight: FloatArray | None = None
        self.trace = self.square = 0.0

    def add(self, tapered: ComplexArray) -> None:
        n_channels = tapered.shape[2]
        if self.weight is None:
            power = np.mean(np.abs(tapered) ** 2, axis=(0, 1))
            self.weight = 1 / np.sqrt(np.maximum(power, np.finfo(float).tiny))
        scaled = tapered * self.weight
        pooled = scaled @ scaled.conj().transpose(0, 2, 1) / n_channels
        trace = np.trace(pooled, axis1=1, axis2=2).real
        square = np.sum(np.abs(pooled) ** 2, axis=(1, 2)) - trace**2 / n_channels
        self.trace += float(trace.sum())
        self.square += float(square.sum()) / (1 - 1 / n_channels)

    def of(self, n_averages: int) -> float:
        if self.square <= 0:
            return float(n_averages)
        return float(np.clip(self.trace**2 / self.square, 1.0, n_averages))
