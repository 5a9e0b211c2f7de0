"""The denoiser as what it is: a linear map over channels, applied to one sample after the other."""

from dataclasses import dataclass

import numpy as np

from sciml._typing import AnyArray, BoolArray, FloatArray
from sciml.result import card, shown
from sciml.wording import count

__all__ = ["LinearDenoiser"]

FEW_MISSING = 0.02  # of a sample: more, and filters of shared noise are of no use
NEARLY_ONE = 1 - 1e-8  # a weight of one leaves scores without a prior, undetermined by fewer channels than components


@dataclass(frozen=True, eq=False, repr=False)
class LinearDenoiser:
    r"""A linear map over channels that keeps signal and removes noise, sample by sample.

    .. math:: \hat x = m + B \,\mathrm{diag}(w)\, A (x - m)

    with m the channel means, A = `encode` (k, N), B = `decode` (N, k) and w the weights of k components. For noise of
    standard deviations D and components U above the floor, A = U^H D^{-1} and B = D U; where channels share noise of
    correlation R = L L^H, of which U are components of what is whitened, A = U^H L^{-1} D^{-1} and B = D L U. It looks
    at one instant only, so it cannot carry the future into the past.
    """

    mean: AnyArray
    encode: AnyArray
    decode: AnyArray
    weights: FloatArray
    encode_gaps: AnyArray | None = None

    @property
    def rank(self) -> int:
        """Number of components kept; for counts, what is expected of independent channels is one of them."""
        return len(self.weights)

    def __repr__(self) -> str:
        """Return what it maps and how much of it is kept."""
        return shown(self._heading(), self._weights())

    def _repr_html_(self) -> str:
        rows = [(k + 1, f"{weight:.3g}") for k, weight in enumerate(self.weights)]
        return card(self._heading(), self._weights(), ("component", "weight"), rows)

    def _heading(self) -> str:
        return f"LinearDenoiser: {count(len(self.mean), 'channel')}, {count(self.rank, 'component')} kept"

    def _weights(self) -> str:
        if not self.rank:
            return "nothing is kept but the mean of each channel"
        return f"weights {max(self.weights):.3g} to {min(self.weights):.3g}: 1 keeps a component, 0 removes it"

    @property
    def matrix(self) -> AnyArray:
        """The map as one matrix M of shape (channel, channel): value -> mean + M (value - mean)."""
        return np.asarray((self.decode * self.weights) @ self.encode)

    def __call__(self, values: AnyArray, *, fill: bool = False) -> AnyArray:
        r"""Denoise samples of shape (n, channel).

        A missing value is taken to be what the map itself says, x_m = (M x)_m, which is the ridge regression of the
        scores on the channels present:

        .. math:: (I - \mathrm{diag}(w) A_m B_m)\, s = \mathrm{diag}(w) A_o (x_o - m_o), \qquad \hat x = m + B s

        It stays missing in the result unless `fill`.
        """
        centered = values - self.mean
        missing = np.isnan(centered)
        incomplete = missing.any(axis=1)
        if not incomplete.any():
            return np.asarray(self._scores(centered) @ self.decode.T + self.mean)
        filled = np.where(missing, 0, centered)
        scores, gaps = self._scores(filled), missing.mean(axis=1) > FEW_MISSING
        few = incomplete & ~gaps
        scores[few] = self._completed(self.encode, scores[few], missing[few])
        if gaps.any():
            encode = self.encode if self.encode_gaps is None else self.encode_gaps
            scores[gaps] = self._completed(encode, (filled[gaps] @ encode.T) * self.weights, missing[gaps])
        kept = scores @ self.decode.T + self.mean
        return np.asarray(kept if fill else np.where(missing, np.nan, kept))

    def _scores(self, centered: AnyArray) -> AnyArray:
        return np.asarray((centered @ self.encode.T) * self.weights)

    def _completed(self, encode: AnyArray, scores: AnyArray, missing: BoolArray) -> AnyArray:
        """Return the scores of samples with absent from those with zeros in the place of the absent."""
        steady = np.minimum(self.weights, NEARLY_ONE)[:, None] * encode
        _, first, pattern = np.unique(np.packbits(missing, axis=1), axis=0, return_index=True, return_inverse=True)
        out = np.empty_like(scores)
        for number, row in enumerate(first):
            rows, absent = pattern == number, missing[row]
            out[rows] = np.linalg.solve(np.eye(self.rank) - steady[:, absent] @ self.decode[absent], scores[rows].T).T
        return out
