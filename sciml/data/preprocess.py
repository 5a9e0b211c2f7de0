"""What is learned about the units of a recording before a net sees it: means, scales and the matrix of a denoiser.

Fitted on the train part only. As a layer it is the first, untrained step of the net and travels in its checkpoint.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from torch import nn

from sciml.data.windows import Windows
from sciml.errors import DataError, ScimlWarning
from sciml.recording import feature_dims, n_features, sampling_rate

__all__ = ["Preprocess", "PreprocessLayer"]

RATE_TOLERANCE = 1e-3  # relative; a rate read off timestamps varies by their jitter


@dataclass(frozen=True, eq=False)
class Preprocess:
    r"""Standardize channels, after an optional linear denoiser.

    .. math:: z = g\, P (x - \mu) / s

    Attributes
    ----------
    mean
        Mean µ of each channel over the train part, shape (channel,), in `units`.
    scale
        Standard deviation s of each channel over the train part, shape (channel,), in `units`; 1 where constant.
    matrix
        Matrix P of a linear denoiser, shape (channel, channel), or None.
    gain
        Factor g that gives the denoised channels a mean variance of one; 1 without denoiser.
    units, sampling_rate, labels
        What the net was trained on: unit of the values, rate in Hz, names of the channels (empty if unnamed).
    n_samples
        Samples that the means were taken over.
    target
        The same of the numbers that are told from windows, as if they were channels; None where there are none.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    matrix: NDArray[np.float64] | None = None
    gain: float = 1.0
    units: str = ""
    sampling_rate: float = 1.0
    labels: tuple[str, ...] = ()
    n_samples: int = 0
    target: "Preprocess | None" = None

    @classmethod
    def fit(cls, windows: Windows, train: ArrayLike, *, matrix: ArrayLike | None = None) -> "Preprocess":
        """Learn means and scales from the samples that the train windows cover, each sample once.

        Parameters
        ----------
        windows, train
            The windows, and the indices of those to learn from: `split.train`.
        matrix
            Matrix of a linear denoiser of the train part only, shape (channel, channel).

        Raises
        ------
        DataError
            A matrix of another shape or with values that are not finite, or no channel that varies.

        Warns
        -----
        ScimlWarning
            Channels that are constant, or whose mean is so large that float32 hides their variation.

        Examples
        --------
        >>> from sciml.data import sliding_windows
        >>> wave = xr.DataArray(np.tile([1.0, 3.0], 50), dims="time", attrs={"sampling_rate": 1.0, "units": "V"})
        >>> fitted = Preprocess.fit(sliding_windows(wave, length=2, step=2), [0, 1, 2])
        >>> fitted.mean.tolist(), fitted.scale.tolist(), fitted.units
        ([2.0], [1.0], 'V')
        """
        denoiser = None if matrix is None else _check_denoiser(matrix, windows.n_channels)
        n, mean, covariance = _moments(windows, train, full=denoiser is not None)
        variance = np.diagonal(covariance) if denoiser is not None else covariance
        scale = _scale(mean, np.sqrt(np.maximum(variance, 0.0)))
        gain = 1.0
        if denoiser is not None:
            denoised = np.einsum("ij,jk,ik->i", denoiser, covariance, denoiser) / scale**2
            gain = float(1.0 / np.sqrt(denoised.mean())) if denoised.mean() > 0 else 1.0
        return cls(
            mean,
            scale,
            denoiser,
            gain,
            str(windows.recording.attrs.get("units", "")),
            windows.rate,
            _labels(windows.recording),
            n,
            None if windows.targets is None else _of_numbers(windows, train),
        )

    def apply(self, X: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Return the input of a net: windows (n, channel, time) in the recording's units, denoised and scaled.

        Examples
        --------
        >>> Preprocess(mean=np.ones(1), scale=np.array([2.0])).apply(np.array([[[1.0, 5.0]]])).tolist()
        [[[0.0, 2.0]]]
        """
        centered = X - self.mean.astype(np.float32)[:, None]
        if self.matrix is not None:
            centered = np.matmul(self.matrix.astype(np.float32), centered)
        return np.asarray(centered / (self.scale / self.gain).astype(np.float32)[:, None], dtype=np.float32)

    def standardize(self, y: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Return the target of a forecast: (n, channel, time), scaled but not denoised: it stays what was measured.

        Examples
        --------
        >>> Preprocess(mean=np.ones(1), scale=np.array([2.0])).standardize(np.array([[[1.0, 5.0]]])).tolist()
        [[[0.0, 2.0]]]
        """
        scaled = (y - self.mean.astype(np.float32)[:, None]) / self.scale.astype(np.float32)[:, None]
        return np.asarray(scaled, dtype=np.float32)

    def restore(self, z: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Return standardized values (n, channel, time) in the recording's units: the inverse of `standardize`.

        Examples
        --------
        >>> Preprocess(mean=np.ones(1), scale=np.array([2.0])).restore(np.array([[[0.0, 2.0]]])).tolist()
        [[[1.0, 5.0]]]
        """
        restored = z * self.scale.astype(np.float32)[:, None] + self.mean.astype(np.float32)[:, None]
        return np.asarray(restored, dtype=np.float32)

    def standardize_target(self, y: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Return what a net is to put out: numbers (n, k) in units of their spread, or as `standardize`.

        Examples
        --------
        >>> numbers = Preprocess(mean=np.ones(1), scale=np.array([2.0]))
        >>> Preprocess(np.zeros(3), np.ones(3), target=numbers).standardize_target(np.array([[5.0]])).tolist()
        [[2.0]]
        """
        return self.standardize(y) if self.target is None else self.target.standardize(y[..., None])[..., 0]

    def restore_target(self, z: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Return what a net put out in its own units: the inverse of `standardize_target`.

        Examples
        --------
        >>> numbers = Preprocess(mean=np.ones(1), scale=np.array([2.0]))
        >>> Preprocess(np.zeros(3), np.ones(3), target=numbers).restore_target(np.array([[2.0]])).tolist()
        [[5.0]]
        """
        return self.restore(z) if self.target is None else self.target.restore(z[..., None])[..., 0]

    def as_module(self) -> "PreprocessLayer":
        """Return `apply` as a layer without parameters, to be the first of a net.

        Examples
        --------
        >>> layer = Preprocess(mean=np.ones(1), scale=np.array([2.0])).as_module()
        >>> layer(torch.tensor([[[1.0, 5.0]]])).tolist()
        [[[0.0, 2.0]]]
        """
        return PreprocessLayer(self)

    def check(self, recording: xr.DataArray) -> None:
        """Refuse a recording of other units, another sampling rate or other channels than were trained on.

        Raises
        ------
        DataError
            Naming what was trained on and what came.

        Examples
        --------
        >>> wave = xr.DataArray(np.zeros((4, 1)), dims=("time", "channel"), attrs={"sampling_rate": 1.0, "units": "mV"})
        >>> Preprocess(mean=np.ones(1), scale=np.ones(1), units="V").check(wave)
        Traceback (most recent call last):
        sciml.errors.DataError: expected units 'V' as in training, got 'mV'; convert the recording
        """
        units, rate, labels = str(recording.attrs.get("units", "")), sampling_rate(recording), _labels(recording)
        if units != self.units:
            raise DataError(f"expected units {self.units!r} as in training, got {units!r}; convert the recording")
        if abs(rate - self.sampling_rate) > RATE_TOLERANCE * self.sampling_rate:
            raise DataError(
                f"expected a sampling rate of {self.sampling_rate:g} Hz as in training, got {rate:g} Hz; "
                "resample the recording"
            )
        if n_features(recording) != len(self.mean):
            raise DataError(
                f"expected {len(self.mean)} channels as in training, got {n_features(recording)}; "
                "choose the same channels"
            )
        other = [pair for pair in zip(self.labels, labels, strict=False) if pair[0] != pair[1]]
        if other:
            raise DataError(
                f"expected channel {other[0][0]!r} as in training, got {other[0][1]!r} "
                f"({len(other)} of {len(labels)} channels differ); choose the same channels in the same order"
            )

    def to_state(self) -> dict[str, Any]:
        """Return tensors, numbers and strings that `torch.load(weights_only=True)` reads back.

        Examples
        --------
        >>> fitted = Preprocess(mean=np.ones(1), scale=np.array([2.0]), units="V")
        >>> Preprocess.from_state(fitted.to_state()).units
        'V'
        """
        return {
            "mean": torch.from_numpy(self.mean.copy()),
            "scale": torch.from_numpy(self.scale.copy()),
            "matrix": None if self.matrix is None else torch.from_numpy(self.matrix.copy()),
            "gain": self.gain,
            "units": self.units,
            "sampling_rate": self.sampling_rate,
            "labels": list(self.labels),
            "n_samples": self.n_samples,
            "target": None if self.target is None else self.target.to_state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Preprocess":
        """Return the preprocessing that `to_state` described.

        Raises
        ------
        DataError
            A key is missing.

        Examples
        --------
        >>> Preprocess.from_state({})
        Traceback (most recent call last):
        sciml.errors.DataError: expected the state of a Preprocess, got no 'gain'; fit again
        """
        try:
            fields: dict[str, Any] = {key: state[key] for key in ("gain", "units", "sampling_rate", "n_samples")}
            for key in ("mean", "scale", "matrix"):
                fields[key] = None if state[key] is None else state[key].cpu().numpy()
            target = state.get("target")
            return cls(labels=tuple(state["labels"]), target=target and cls.from_state(target), **fields)
        except KeyError as error:
            raise DataError(f"expected the state of a Preprocess, got no {error}; fit again") from None


def _of_numbers(windows: Windows, train: ArrayLike) -> Preprocess:
    """Return mean and spread of the numbers that are told from the train windows."""
    targets = np.asarray(windows.targets)[np.asarray(train, dtype=np.int64)]
    mean, deviation = targets.mean(axis=0, dtype=np.float64), targets.std(axis=0, dtype=np.float64)
    return Preprocess(
        mean,
        np.where(deviation > 0, deviation, 1.0),
        units=", ".join(dict.fromkeys(windows.target_units)),
        labels=windows.target_names,
        n_samples=len(targets),
    )


class PreprocessLayer(nn.Module):
    """`Preprocess.apply` on tensors (batch, channel, time): buffers only, nothing to train."""

    mean: torch.Tensor
    scale: torch.Tensor
    matrix: torch.Tensor | None

    def __init__(self, fitted: Preprocess) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(fitted.mean).float()[:, None])
        self.register_buffer("scale", torch.from_numpy(fitted.scale / fitted.gain).float()[:, None])
        self.register_buffer("matrix", None if fitted.matrix is None else torch.from_numpy(fitted.matrix).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, time) in the recording's units to the same shape without unit."""
        # In bfloat16 the denoiser would cost five of the eight digits that the recording has.
        with torch.autocast(x.device.type, enabled=False):
            centered = x - self.mean
            if self.matrix is not None:
                centered = torch.matmul(self.matrix, centered)
            return centered / self.scale


def _check_denoiser(matrix: ArrayLike, n_channels: int) -> NDArray[np.float64]:
    denoiser = np.asarray(matrix, dtype=np.float64)
    if denoiser.shape != (n_channels, n_channels) or not np.isfinite(denoiser).all():
        raise DataError(
            f"expected a finite matrix of a denoiser of shape {(n_channels, n_channels)}, got shape {denoiser.shape}"
            f"{'' if np.isfinite(denoiser).all() else ' with values that are not finite'}; "
            "take the one of a denoiser of this recording"
        )
    return denoiser


def _moments(windows: Windows, train: ArrayLike, *, full: bool) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """Return number, mean, and variance (or covariance) of the samples that the train windows cover."""
    n, mean = 0, np.zeros(windows.n_channels)
    for block in windows.samples(train):
        n += len(block)
        mean += block.sum(axis=0, dtype=np.float64)
    if not n:
        raise DataError("expected at least one train window, got none; choose a larger train fraction")
    mean /= n
    second = np.zeros((windows.n_channels,) * (2 if full else 1))
    for block in windows.samples(train):
        centered = block.astype(np.float64) - mean
        second += centered.T @ centered if full else np.einsum("tc,tc->c", centered, centered)
    return n, mean, second / n


def _scale(mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the deviations, 1 for constant channels; say which channels carry nothing or too few digits."""
    rounding = np.abs(mean) * np.finfo(np.float32).eps
    # The deviation of a constant as float64 rounds it is far below the step of float32.
    constant = deviation <= 1e-3 * rounding
    if constant.all():
        raise DataError(f"expected channels that vary, got {len(mean)} constant channels; choose another signal")
    for channels, text in (
        (constant, "are constant in the train part and carry nothing; leave them out"),
        (
            ~constant & (rounding > 0.01 * deviation),
            "vary little about a large mean, of which float32 keeps 7 digits; subtract it first",
        ),
    ):
        if channels.any():
            names = ", ".join(map(str, np.flatnonzero(channels)[:10]))
            warnings.warn(f"{channels.sum()} of {len(mean)} channels ({names}) {text}", ScimlWarning, stacklevel=4)
    return np.where(constant, 1.0, deviation)


def _labels(recording: xr.DataArray) -> tuple[str, ...]:
    """Return the names of the channels: the coordinate of the one feature dim, if there is one."""
    dims = feature_dims(recording)
    if len(dims) != 1 or dims[0] not in recording.coords:
        return ()
    return tuple(str(name) for name in recording[dims[0]].values.tolist())
