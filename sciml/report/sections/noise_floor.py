"""The noise floor in a report: the sentence that says what was found, and the evidence for it."""

from typing import Any

import numpy as np

from sciml.noise import NoiseFloor
from sciml.noise.spatial.result import SpatialNoise
from sciml.report.document.parts import Finding, Section, Table
from sciml.report.figures.eigen import eigenvalue_histogram, noise_spectrum, scree, spectrum_limits
from sciml.report.figures.shared_noise import correlation_figure
from sciml.wording import count, p_value, percent, quantity, sentence, unit_or_blank

__all__ = ["floor_facts", "floor_findings", "floor_numbers", "floor_section", "headline"]

MEMORY = 1.2  # samples that count as one, from which correlation in time is named as the reason
SAME_EDGE = 0.05  # relative distance below which two edges are one to a reader


def headline(floor: NoiseFloor) -> str:
    """Return the first sentence of a report on a recording.

    Examples
    --------
    >>> import xarray as xr
    >>> from sciml.noise import noise_floor
    >>> noise = np.random.default_rng(1).normal(size=(500, 8))
    >>> headline(noise_floor(xr.DataArray(noise, dims=("time", "channel")), model="white"))
    'No components above the noise floor (the strongest has p = ...); a white-noise test says the same.'
    """
    found = count(floor.rank, "component")
    if floor.doubt:
        return _doubtful(floor, found)
    found = found[0].upper() + found[1:]
    if floor.rank:
        text = f"{found} above the noise floor, {p_value(float(floor.p_values[floor.rank - 1]))}"
    else:
        text = f"{found} above the noise floor (the strongest has {p_value(float(floor.p_values[0]))})"
    return f"{text}; {_comparison(floor)}."


def _doubtful(floor: NoiseFloor, found: str) -> str:
    """Return the first sentence where the noise is none of the models."""
    if floor.rank_is == "not determined":
        text = f"The number of components above the noise floor is not determined: {floor.doubt}"
    else:
        text = f"At least {found} above the noise floor; how many more is not determined: {floor.doubt}"
    return f"{text}." if floor.mp_rank == floor.rank else f"{text}; {_comparison(floor)}."


def _comparison(floor: NoiseFloor) -> str:
    if floor.mp_rank == floor.rank:
        return "a white-noise test says the same"
    would = "none" if floor.mp_rank == 0 else str(floor.mp_rank)
    return f"a white-noise test would have said {would}, because {_reason(floor)}"


def _reason(floor: NoiseFloor) -> str:
    """Say why the textbook counts differently."""
    if floor.spatial is not None and floor.mp_rank > floor.rank:
        return "neighboring channels share noise"
    if floor.mp_rank < floor.rank:
        return "it takes what the components add to the variance for noise"
    if floor.noise_model.colored and floor.n_samples / floor.n_effective > MEMORY:
        return f"neighboring samples correlate {_memory(floor)}"
    return "its edge makes no allowance for chance fluctuation"


def _memory(floor: NoiseFloor) -> str:
    if floor.correlation_time is not None:
        return f"with time constant {quantity(floor.correlation_time, 's')}"
    return f"over {floor.n_samples / floor.n_effective:.3g} samples"


def floor_findings(floor: NoiseFloor) -> tuple[Finding, ...]:
    """Return the headline, what the components carry, and what limits the answer."""
    unit = unit_or_blank(floor.units)
    numbers = {
        "rank": floor.rank,
        "rank_is": floor.rank_is,
        "mp_rank": floor.mp_rank,
        "p_value": None if floor.doubt else float(floor.p_values[max(floor.rank - 1, 0)]),
        "correlation_time_s": floor.correlation_time,
    }
    found = [Finding(headline(floor), numbers=numbers)]
    if floor.rank and floor.rank_is != "not determined":
        explained = _explained(floor)
        weighed = "whitened channels" if floor.spatial else "channels weighted by their noise"
        verb = "carries" if floor.rank == 1 else "carry"
        noise = f"noise has an rms of {quantity(floor.sigma, unit)} per channel and sample"
        found.append(
            Finding(
                f"{'The component' if floor.rank == 1 else 'The components'} {verb} {percent(explained)} of the "
                f"variance ({weighed}); the {noise}.",
                severity="note",
                numbers={"explained": explained, "sigma": floor.sigma},
            )
        )
    if floor.spatial is not None:
        found.append(Finding(_shared_noise(floor.spatial), "note", floor.spatial.to_dict()))
    cautions = [Finding(sentence(warning), severity="caution") for warning in floor.warnings]
    return (*found, *cautions)


def _shared_noise(spatial: SpatialNoise) -> str:
    """Say how far noise is shared, and what that means for components."""
    one = spatial.one_axis
    scan = "" if one is None else f" Noise along {one.dim} alone is what a scan line by line, or its amplifier, leaves."
    return f"{spatial.summary()} Components were tested beside it.{scan}"


def _explained(floor: NoiseFloor) -> float:
    return float(np.sum(floor.eigenvalues[: floor.rank]) / np.sum(floor.eigenvalues))


def floor_facts(floor: NoiseFloor) -> tuple[tuple[str, str], ...]:
    """Return the few values that place a floor at a glance."""
    return (
        ("above the floor", floor.rank_words),
        ("noise model", floor.model),
        ("noise rms", quantity(floor.sigma, unit_or_blank(floor.units))),
    )


def floor_numbers(floor: NoiseFloor) -> dict[str, Any]:
    """Return the whole floor by the names of its fields."""
    return {**floor.to_dict(), "explained": _explained(floor)}


def floor_section(floor: NoiseFloor) -> Section:
    """Return the noise floor as white and as found, side by side, with the reason for the difference."""
    limits = spectrum_limits(floor)
    return Section(
        title="Noise floor",
        text=f"{_choice(floor)}\n\n{_why(floor)}",
        figures=(
            eigenvalue_histogram(floor, marchenko_pastur=True, limits=limits),
            eigenvalue_histogram(floor, limits=limits),
            scree(floor),
            noise_spectrum(floor),
            *([] if floor.spatial is None else [correlation_figure(floor.spatial)]),
        ),
        tables=(_side_by_side(floor),),
    )


def _choice(floor: NoiseFloor) -> str:
    how = "chosen by test" if floor.requested == "auto" else "as asked for"
    return f"Noise model: {floor.model}, {how} ({floor.reason})."


def _why(floor: NoiseFloor) -> str:
    if floor.spatial is not None:
        return (
            "Why the two edges differ: the textbook law takes the channels for independent. Here neighbors share noise "
            "(correlation by lag below), so channels were whitened: the right-hand figure shows the eigenvalues of "
            "combinations of channels whose noise is independent, and the law of noise with its spectrum in time. A "
            "component found there exceeds the noise that channels share."
        )
    if floor.noise_model.methods.edge:
        return floor.noise_model.methods.edge
    if not floor.noise_model.colored:
        return (
            "Noise without correlation in time follows the Marchenko–Pastur law, and its largest eigenvalue fluctuates "
            "around the law's edge by the Tracy–Widom law; the edge in the right-hand figure includes that margin."
        )
    if floor.n_samples / floor.n_effective <= MEMORY or abs(floor.edge / floor.mp_edge - 1) < SAME_EDGE:
        return (
            "The spectrum of the noise is so nearly flat that the two edges differ by little; the edge in the "
            "right-hand figure includes the margin by which the largest eigenvalue of noise fluctuates."
        )
    worth = max(round(floor.n_effective), 1)
    return (
        f"Why the two edges differ: the textbook law takes the {floor.n_samples:,} samples for independent of each "
        f"other. Here noise correlates {_memory(floor)}, so each channel is worth about "
        f"{count(worth, 'independent sample')}, and channels that share nothing still correlate by chance. Noise alone "
        f"reaches eigenvalues up to {floor.edge:.3g} noise variances, where the textbook expects "
        f"{floor.mp_edge:.3g}. What lies between the two edges is no evidence of anything that channels share."
    )


def _side_by_side(floor: NoiseFloor) -> Table:
    taus, unit = floor.n_samples / floor.n_effective, unit_or_blank(floor.units) or "units"
    rows: tuple[tuple[Any, ...], ...] = (
        ("components above", floor.mp_rank, floor.rank_words if floor.doubt else floor.rank),
        ("edge [noise variances]", floor.mp_edge, floor.edge),
        ("independent samples per channel", floor.n_samples, floor.n_effective),
        ("correlation length [samples]", 1.0, taus),
        ("correlation time [s]", None, floor.correlation_time if taus > MEMORY else None),
        ("allows for the edge's fluctuation", False, True),
        ("level", None, floor.alpha),
        (f"weakest component that can stand out [{unit}]", None, floor.detection_limit),
        ("distance of the bulk from the law (Kolmogorov-Smirnov)", None, floor.bulk_distance),
        ("neighboring eigenvalues repel (mean ratio of spacings)", None, floor.spacing_ratio),
        (f"noise rms [{unit}]", None, floor.sigma),
        (f"standard error of the noise rms [{unit}]", None, floor.sigma_se),
    )
    return Table("Two views of the same recording", ("quantity", "textbook (white)", f"found ({floor.model})"), rows)
