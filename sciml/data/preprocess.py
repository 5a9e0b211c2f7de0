"""What is learned about the units of a recording before a net sees it: means, scales and the matrix of a denoiser.

Fitted on the train part only. As a layer it is the first, untrained step of the net and travels in its checkpoint.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from sciml.data.layer import PreprocessLayer
from sciml.data.recordings.channels import channel_names, check_names, in_order
from sciml.data.samples import Missing
from sciml.data.training_range import TrainingRange
from sciml.data.windows import Windows
from sciml.errors import DataError, ScimlWarning
from sciml.recording import n_features, sampling_rate

__all__ = ["Preprocess"]

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
    missing
        "mask": the net is given, as further channels, where there is a value (1) and where not (0); "drop": it is not.
    range
        How far the train windows reach; None where that is not known.
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
    missing: Missing = "drop"
    range: TrainingRange | None = None

    @classmethod
    def fit(
        cls, windows: Windows, train: ArrayLike, *, matrix: ArrayLike | None = None, missing: Missing = "drop"
    ) -> "Preprocess":
        """Learn means and scales from the samples that the train windows cover, each once, without missing ones.

        Parameters
        ----------
        windows, train
            The windows, and the indices of those to learn from: `split.train`.
        matrix
            Matrix of a linear denoiser of the train part only, shape (channel, channel).
        missing
            Whether the net is to be given the mask of what is missing.

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
        scale = _scale(mean, np.sqrt(np.maximum(variance, 0.0)), channel_names(windows.recording))
        gain = 1.0
        if denoiser is not None:
            denoised = np.einsum("ij,jk,ik->i", denoiser, covariance, denoiser) / scale**2
            gain = float(1.0 / np.sqrt(denoised.mean())) if denoised.mean() > 0 else 1.0
        fitted = cls(
            mean,
            scale,
            denoiser,
            gain,
            str(windows.recording.attrs.get("units", "")),
            windows.rate,
            _labels(windows.recording),
            n,
            None if windows.targets is None else _of_numbers(windows, train),
            missing,
        )
        return replace(fitted, range=TrainingRange.fit(windows, train, fitted.standardize))

    @property
    def n_inputs(self) -> int:
        """Channels that a net is given: those of the recording, and of the mask where there is one."""
        return len(self.mean) * (2 if self.missing == "mask" else 1)

    def apply(self, X: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Return the input of a net: windows (n, channel, time) in the recording's units, denoised and scaled.

        What is missing is zero; with `missing` "mask" the mask follows as further channels.

        Examples
        --------
        >>> Preprocess(mean=np.ones(1), scale=np.array([2.0])).apply(np.array([[[1.0, 5.0]]])).tolist()
        [[[0.0, 2.0]]]
        >>> masked = Preprocess(mean=np.ones(1), scale=np.array([2.0]), missing="mask")
        >>> masked.apply(np.array([[[np.nan, 5.0]]])).tolist()
        [[[0.0, 2.0], [0.0, 1.0]]]
        """
        z = self.scaled(X)
        there = ~np.isnan(z)
        z = z if there.all() else np.where(there, z, np.float32(0.0))
        return np.concatenate([z, there.astype(np.float32)], axis=1) if self.missing == "mask" else z

    def scaled(self, X: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Return windows (n, channel, time) denoised and scaled, NaN where they are.

        Examples
        --------
        >>> Preprocess(mean=np.ones(1), scale=np.array([2.0])).scaled(np.array([[[np.nan, 5.0]]])).tolist()
        [[[nan, 2.0]]]
        """
        centered = X - self.mean.astype(np.float32)[:, None]
        if self.matrix is not None:
            missing = np.isnan(centered)
            filled = np.where(missing, np.float32(0.0), centered) if missing.any() else centered
            centered = np.matmul(self.matrix.astype(np.float32), filled)
            centered[missing] = np.nan
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
        return PreprocessLayer(self.mean, self.scale / self.gain, self.matrix, gives_mask=self.missing == "mask")

    def check(self, recording: xr.DataArray, *, assume_channels: bool = False) -> None:
        """Refuse a recording of other units, another sampling rate or other channels than were trained on.

        Parameters
        ----------
        recording
            Nothing of it is read.
        assume_channels
            Take its channels to be those of training, in their order, whatever their names.

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
        self._check_kind(recording)
        names = self._names(recording, assume=assume_channels)
        if names and list(names) != list(self.labels):
            raise DataError(self._difference(names))

    def checked(self, recording: xr.DataArray, *, assume_channels: bool = False) -> xr.DataArray:
        """Return the recording if `check` has nothing against it.

        Examples
        --------
        >>> wave = xr.DataArray(np.zeros((4, 1)), dims=("time", "channel"), attrs={"sampling_rate": 1.0})
        >>> Preprocess(mean=np.ones(1), scale=np.ones(1)).checked(wave).shape
        (4, 1)
        """
        self.check(recording, assume_channels=assume_channels)
        return recording

    def fit_to(self, recording: xr.DataArray, *, assume_channels: bool = False) -> xr.DataArray:
        """Return a recording with the channels that were trained on, in their order, whatever its own.

        Raises
        ------
        DataError
            As `check`, but for the order of channels, and channels besides.

        Examples
        --------
        >>> attrs = {"sampling_rate": 1.0, "units": "V"}
        >>> wave = xr.DataArray(np.eye(2), dims=("time", "channel"), coords={"channel": ["B", "A"]}, attrs=attrs)
        >>> Preprocess(mean=np.ones(2), scale=np.ones(2), units="V", labels=("A", "B")).fit_to(wave).channel.values
        array(['A', 'B'], dtype='<U1')
        """
        names = self._names(recording, assume=assume_channels)
        if names and set(self.labels) <= set(names):
            check_names(names, str(recording.attrs.get("source", "the recording")))
            recording = in_order(recording, names, self.labels)
        self.check(recording, assume_channels=assume_channels)
        return recording

    def _check_kind(self, recording: xr.DataArray) -> None:
        units, rate = str(recording.attrs.get("units", "")), sampling_rate(recording)
        if units != self.units:
            raise DataError(f"expected units {self.units!r} as in training, got {units!r}; convert the recording")
        if abs(rate - self.sampling_rate) > RATE_TOLERANCE * self.sampling_rate:
            raise DataError(
                f"expected a sampling rate of {self.sampling_rate:g} Hz as in training, got {rate:g} Hz; "
                f"resample it: recording.sciml.resample({self.sampling_rate:g}), or sciml preprocess --resample"
            )

    def _names(self, recording: xr.DataArray, *, assume: bool) -> tuple[str, ...]:
        """Return the names to compare with those of training; empty where there are none to compare."""
        if not assume and self.labels and (names := channel_names(recording)):
            return names
        if n_features(recording) != len(self.mean):
            raise DataError(
                f"expected {len(self.mean)} channels as in training, got {n_features(recording)}; "
                "choose the same channels"
            )
        if self.labels and not assume:
            raise DataError(
                f"expected channels with names, as in training ({', '.join(self.labels[:6])}"
                f"{', ...' if len(self.labels) > 6 else ''}), got none; "
                "with --assume-channels they are taken to be the same in the same order"
            )
        return ()

    def _difference(self, names: tuple[str, ...]) -> str:
        """Return in words how names differ from those of training."""
        missing = [name for name in self.labels if name not in set(names)]
        more = [name for name in names if name not in set(self.labels)]
        if not missing and not more:
            first = next(k for k, pair in enumerate(zip(self.labels, names, strict=True)) if pair[0] != pair[1])
            return (
                f"expected channel {self.labels[first]!r} as in training, got {names[first]!r}: the {len(names)} "
                "channels are the same in another order; --reorder brings them into that of training"
            )
        if not missing:
            return (
                f"expected {len(self.labels)} channels as in training, got {len(names)}, {len(more)} of them besides "
                f"({', '.join(more[:6])}); --reorder picks those of training by their names"
            )
        listed = ", ".join(missing[:6]) + (", ..." if len(missing) > 6 else "")
        return (
            f"expected {len(self.labels)} channels as in training, got {len(names)}: {len(missing)} are not there "
            f"({listed}); choose the same channels"
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
            "missing": self.missing,
            "range": None if self.range is None else self.range.to_state(),
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
            target, reach = state.get("target"), state.get("range")
            return cls(
                labels=tuple(state["labels"]),
                target=target and cls.from_state(target),
                missing=state.get("missing", "drop"),
                range=reach and TrainingRange.from_state(reach),
                **fields,
            )
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
    """Return number, mean, and variance (or covariance) of the samples that the train windows cover, without NaN."""
    n, count, mean = 0, np.zeros(windows.n_channels), np.zeros(windows.n_channels)
    for block in windows.samples(train):
        there = ~np.isnan(block)
        n, count = n + len(block), count + there.sum(axis=0)
        mean += np.where(there, block, np.float32(0.0)).sum(axis=0, dtype=np.float64)
    if not n:
        raise DataError("expected at least one train window, got none; choose a larger train fraction")
    mean /= np.maximum(count, 1)
    second = np.zeros((windows.n_channels,) * (2 if full else 1))
    pairs = np.zeros_like(second)
    for block in windows.samples(train):
        there = ~np.isnan(block)
        centered = np.where(there, block.astype(np.float64) - mean, 0.0)
        second += centered.T @ centered if full else np.einsum("tc,tc->c", centered, centered)
        pairs += there.T.astype(np.float64) @ there if full else there.sum(axis=0)
    return n, mean, second / np.maximum(pairs, 1)


def _scale(mean: NDArray[np.float64], deviation: NDArray[np.float64], known: Sequence[str]) -> NDArray[np.float64]:
    """Return the deviations, 1 for constant channels; say which channels carry nothing or too few digits."""
    rounding = np.abs(mean) * np.finfo(np.float32).eps
    # The deviation of a constant as float64 rounds it is far below the step of float32.
    constant = deviation <= 1e-3 * rounding
    if constant.all():
        raise DataError(f"expected channels that vary, got {len(mean)} constant channels; choose another signal")
    for channels, text in (
        (constant, "are constant, or have no sample, in the train part and carry nothing; leave them out"),
        (
            ~constant & (rounding > 0.01 * deviation),
            "vary little about a large mean, of which float32 keeps 7 digits; subtract it first",
        ),
    ):
        if channels.any():
            names = ", ".join(known[k] if known else str(k) for k in np.flatnonzero(channels)[:10])
            warnings.warn(f"{channels.sum()} of {len(mean)} channels ({names}) {text}", ScimlWarning, stacklevel=4)
    return np.where(constant, 1.0, deviation)


def _labels(recording: xr.DataArray) -> tuple[str, ...]:
    """Return the names of the channels, if each has one of its own."""
    names = channel_names(recording)
    return names if len(set(names)) == len(names) else ()
