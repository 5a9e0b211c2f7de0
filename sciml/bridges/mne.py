"""From and to MNE-Python: `mne.io.Raw`."""

from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.bridges.arrays import Sliced, channel_names, demand, from_numpy, start_of, to_volts
from sciml.errors import DataError
from sciml.recording import TIME, sampling_rate, segments

__all__ = ["from_mne", "to_mne"]

UNITS = {"mag": "T", "grad": "T/m", "misc": "", "stim": "", "syst": ""}  # all others are in volts


def from_mne(raw: Any, picks: Any = None) -> xr.DataArray:
    """Return the channels of an `mne.io.Raw` as a recording (time, channel); what is not preloaded stays unread.

    Bad channels are marked by the coordinate `bad`, times of annotations that begin with "bad" by `mask`, positions by
    `x`, `y`, `z` in meters.

    Parameters
    ----------
    raw
        Of any format that MNE reads.
    picks
        As `raw.get_data` takes them; default the data channels, or all where there are none.

    Raises
    ------
    DataError
        No channels are picked.
    """
    chosen = _picked(raw, picks)
    kinds = [raw.get_channel_types(picks=[index])[0] for index in chosen]
    units = {UNITS.get(kind, "V") for kind in kinds}
    place = np.array([raw.info["chs"][index]["loc"][:3] for index in chosen], np.float64)
    names = [raw.ch_names[index] for index in chosen]
    table = {"channel": names, "kind": kinds, "bad": [name in raw.info["bads"] for name in names]}
    known = np.isfinite(place).all() and np.abs(place).sum() > 0
    table |= dict(zip("xyz", place.T, strict=True)) if known else {}
    values = Sliced(partial(_read, raw, chosen), (len(raw.times), len(chosen)), np.float64)
    unit = units.pop() if len(units) == 1 else ""
    recording = from_numpy(values, float(raw.info["sfreq"]), unit, table, start=float(raw.first_time), name="raw")
    date = raw.info["meas_date"]
    recording = recording if date is None else recording.assign_attrs(start=date.isoformat())
    return _masked(recording, raw)


def _picked(raw: Any, picks: Any) -> list[int]:
    mne = demand("mne")
    if picks is None:
        data = mne.pick_types(raw.info, meg=True, eeg=True, seeg=True, ecog=True, dbs=True, fnirs=True, exclude=())
        picks = "data" if len(data) else "all"
    chosen = mne._fiff.pick._picks_to_idx(raw.info, picks, exclude=()) if hasattr(mne, "_fiff") else picks
    if len(chosen) == 0:
        raise DataError(f"expected channels of {picks!r}, got none of {', '.join(raw.ch_names[:8])}")
    return [int(index) for index in chosen]


def _read(raw: Any, chosen: list[int], start: int, stop: int) -> NDArray[Any]:
    return np.asarray(raw.get_data(picks=chosen, start=start, stop=stop).T)


def _masked(recording: xr.DataArray, raw: Any) -> xr.DataArray:
    """Return a recording whose samples in bad annotations are masked."""
    mask, rate = np.zeros(recording.sizes[TIME], bool), float(raw.info["sfreq"])
    for each in raw.annotations:
        if str(each["description"]).lower().startswith("bad"):
            start = round((each["onset"] - raw.first_time) * rate)  # times of annotations hold that of the first sample
            mask[max(start, 0) : max(start + int(np.ceil(each["duration"] * rate)), 0)] = True
    return recording.assign_coords(mask=(TIME, mask)) if mask.any() else recording


def to_mne(recording: xr.DataArray, kind: str | None = None) -> Any:
    """Return a recording (time, channel) as `mne.io.RawArray`, in volts; values are read.

    Parameters
    ----------
    recording
        With a regular clock. Values that are missing or not finite become zero: under an annotation `bad_missing` where
        all channels miss them, else their channel is among the bad ones.
    kind
        Type of the channels in MNE's words; default "eeg" for voltages, "misc" for others, which keep their unit.

    Raises
    ------
    DataError
        The clock has gaps: convert the parts between them.
    """
    mne = demand("mne")
    if len(segments(recording)) > 1:
        raise DataError(
            "expected a recording without gaps, got several segments; convert each: recording.isel(time=part)"
        )
    names, rate = channel_names(recording), sampling_rate(recording)
    volts = to_volts(str(recording.attrs.get("units", "")))
    kinds = kind or ("misc" if volts is None else "eeg")
    info = mne.create_info(names, rate, kinds)
    values = recording.transpose(TIME, ...).values.reshape(len(recording[TIME]), -1).T.astype(np.float64)
    values *= 1.0 if volts is None else volts
    known = np.isfinite(values)
    first = round(start_of(recording) * rate)
    raw = mne.io.RawArray(np.where(known, values, 0.0), info, first_samp=first, verbose="error")
    missing = _missing(recording, known)
    bad = np.asarray(np.logical_not(known | missing).any(axis=1))
    if "bad" in recording.coords:
        bad |= recording["bad"].values.astype(bool)
    raw.info["bads"] = [name for name, is_bad in zip(names, bad, strict=True) if is_bad]
    _annotate(mne, raw, missing, rate)
    return raw


def _missing(recording: xr.DataArray, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which samples no channel has."""
    missing: NDArray[np.bool_] = np.logical_not(known.any(axis=0))
    mask = recording.coords.get("mask")
    return missing if mask is None or mask.dims != (TIME,) else np.asarray(missing | mask.values)


def _annotate(mne: Any, raw: Any, missing: NDArray[np.bool_], rate: float) -> None:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]])))
    if len(edges):
        onset, end = edges[::2] / rate, edges[1::2] / rate
        raw.set_annotations(mne.Annotations(onset, end - onset, "bad_missing"))
