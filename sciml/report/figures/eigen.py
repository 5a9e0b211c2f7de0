"""Figures of spectra at the noise floor: eigenvalues of a recording, their order, the noise over frequency."""

import numpy as np

from sciml.noise import NoiseFloor
from sciml.plot import floors
from sciml.report.document.parts import Figure, Table
from sciml.report.figures.canvas import board, drawn, finish
from sciml.wording import count, p_number, p_value, per_root_hertz, quantity

__all__ = ["eigenvalue_histogram", "noise_spectrum", "scree", "spectrum_limits"]

MEMORY = 1.2  # samples that count as one, from which noise counts as correlated in time

spectrum_limits = floors.spectrum_limits


@drawn
def eigenvalue_histogram(
    floor: NoiseFloor, *, marchenko_pastur: bool = False, limits: tuple[float, float] | None = None
) -> Figure:
    """Draw the eigenvalues as a histogram, the law of pure noise over it, and the edge where signal begins.

    Parameters
    ----------
    marchenko_pastur
        Take the noise for white whatever it is: the plain Marchenko-Pastur law.
    limits
        Common range of the horizontal axis, to set two histograms side by side.
    """
    values = floors.positive(floor.mp_eigenvalues if marchenko_pastur else floor.eigenvalues)
    edge, rank = (floor.mp_edge, floor.mp_rank) if marchenko_pastur else (floor.edge, floor.rank)
    kind = "white noise (textbook)" if marchenko_pastur else f"{floor.model} noise"
    limits = limits or spectrum_limits(floor)
    figure, axes = board(height=3.1)
    floors.eigenvalues(floor, axes[0, 0], white=marchenko_pastur, limits=limits)
    axes[0, 0].set_title(f"Taken as {kind}: {rank} beyond the edge")
    bins = floors.histogram_bins(values, *limits)
    x, expected = floors.law(floor, bins, white=marchenko_pastur)
    return finish(
        figure,
        title=f"Eigenvalues beside the law of {kind}",
        description=(
            f"Histogram of {count(len(values), 'covariance eigenvalue')} on a logarithmic axis, with the density that "
            f"{kind} alone would have. The edge is at {edge:.3g}; {count(rank, 'eigenvalue')} "
            f"{'lies' if rank == 1 else 'lie'} beyond it, marked by hatched bars and triangles."
        ),
        table=_histogram_table(floor, marchenko_pastur=marchenko_pastur),
        data={"eigenvalues": values, "edge": edge, "law_x": x, "law_expected_per_bin": expected, "bins": bins},
    )


def _histogram_table(floor: NoiseFloor, *, marchenko_pastur: bool) -> Table:
    values = floor.mp_eigenvalues if marchenko_pastur else floor.eigenvalues
    rank, edge = (floor.mp_rank, floor.mp_edge) if marchenko_pastur else (floor.rank, floor.edge)
    noise = values[rank:]
    rows: list[tuple[object, ...]] = [
        ("eigenvalues", len(values)),
        ("edge [noise variances]", edge),
        ("beyond the edge", rank),
        ("largest [noise variances]", float(values[0])),
        ("largest within the noise [noise variances]", float(noise[0]) if len(noise) else None),
        ("median [noise variances]", float(np.median(values))),
        ("smallest [noise variances]", float(values[-1])),
    ]
    return Table("Eigenvalues and edge", ("quantity", "value"), tuple(rows))


@drawn
def scree(floor: NoiseFloor) -> Figure:
    """Draw the largest eigenvalues in order, with the edge and the p-values around it."""
    figure, axes = board(height=3.1)
    order = np.asarray(floors.scree(floor, axes[0, 0]).lines[0].get_xdata())
    n = len(order)
    values = floor.eigenvalues[:n]
    rows = [_component_row(floor, i) for i in range(min(n, floor.rank + 5))]
    return finish(
        figure,
        title="Eigenvalues in order, with p-values",
        description=(
            f"The {n} largest covariance eigenvalues in descending order on a logarithmic axis. "
            f"{count(floor.rank, 'eigenvalue').capitalize()} above the edge at {floor.edge:.3g} "
            f"(level {floor.alpha:g}); the largest of the rest has "
            f"{p_value(float(floor.p_values[floor.rank])) if floor.rank < len(floor.p_values) else 'no p-value'}."
        ),
        table=Table("Strongest components", COMPONENT_COLUMNS, tuple(rows)),
        data={"component": order, "eigenvalue": values, "p_value": floor.p_values[:n], "edge": floor.edge},
    )


COMPONENT_COLUMNS = (
    "component",
    "eigenvalue [noise variances]",
    "p",
    "taken as",
    "strength before the noise, in units of the data",
    "95 % from",
    "to",
    "overlap with the true map over channels (squared cosine)",
    "with the true time course",
)


def _component_row(floor: NoiseFloor, i: int) -> tuple[object, ...]:
    row = (i + 1, float(floor.eigenvalues[i]), p_number(float(floor.p_values[i])))
    if i >= floor.rank:
        return (*row, "noise", None, None, None, None, None)
    strengths = (float(floor.strengths[i]), *map(float, floor.strength_intervals[i]))
    return (*row, "signal", *strengths, float(floor.overlaps_channel[i]), float(floor.overlaps_time[i]))


@drawn
def noise_spectrum(floor: NoiseFloor) -> Figure:
    """Draw the spectrum in time of the noise beside the recording's and that of white noise of the same strength."""
    x, y, whole, white = floors.amplitudes(floor)
    unit = per_root_hertz(floor.units)
    figure, axes = board(height=3.1)
    floors.floor_spectrum(floor, axes[0, 0])
    picks = np.unique(np.geomspace(1, len(x), 10).astype(int)) - 1
    remembers = floor.correlation_time and floor.n_samples / floor.n_effective > MEMORY
    tau = f" It is correlated over {quantity(floor.correlation_time or 0, 's')}." if remembers else ""
    return finish(
        figure,
        title="Spectrum in time of the noise",
        description=(
            "Amplitude spectral density of what is left after the found components, and of the recording, root mean "
            f"square over channels, on logarithmic axes, beside the flat line of white noise of equal variance.{tau}"
        ),
        table=Table(
            "Noise amplitude at some frequencies",
            ("frequency [Hz]", f"noise [{unit}]", f"recording [{unit}]"),
            tuple((float(x[i]), float(y[i]), float(whole[i])) for i in picks),
        ),
        data={"frequency_hz": x, "amplitude": y, "recording_amplitude": whole, "white_amplitude": white, "units": unit},
    )
