"""The floor in frequency in a report: which oscillations channels share, and where nothing can be said."""

from sciml.noise import CoherentBand, SpectralNoiseFloor
from sciml.report.document.parts import Figure, Finding, Section, Table
from sciml.report.figures.frequencies import MAX_BANDS, band_loadings, floor_over_frequency
from sciml.report.sections.evidence import Evidence
from sciml.wording import count, p_number, quantity, sentence, series, share

__all__ = ["coherence_evidence"]

TITLE = "The frequency-resolved floor"
MAX_NAMED = 10


def coherence_evidence(floor: SpectralNoiseFloor | str, *, rank: int | None = None) -> Evidence:
    """Return what channels share at which frequency; of a reason why that is not known, the reason.

    `rank` is the number of components that the floor over all frequencies counts.
    """
    return Evidence(Section(TITLE, text=floor)) if isinstance(floor, str) else _evidence(floor, rank)


def _evidence(floor: SpectralNoiseFloor, rank: int | None) -> Evidence:
    figures: list[Figure] = [floor_over_frequency(floor)]
    tables: tuple[Table, ...] = ()
    if floor.held_bands:
        figures.append(band_loadings(floor))
        tables = (_band_table(floor),)
    cautions = tuple(Finding(sentence(f"by frequency: {text}"), "note") for text in floor.warnings)
    return Evidence(
        Section(TITLE, text=f"{_text(floor)}{_agreement(floor, rank)}", figures=tuple(figures), tables=tables),
        findings=(_finding(floor), *_numerical(floor), *cautions),
        numbers=floor.to_dict(),
        methods=(
            f"Shared oscillations were sought in {count(len(floor.frequency), 'band')} by the largest eigenvalue of "
            "the coherence matrix and the largest pairwise coherence, from sine tapers (Riedel and Sidorenko 1995) of "
            f"{count(floor.n_segments, 'segment')} of {quantity(floor.segment, 's')} after each channel was whitened; "
            f"p-values were controlled over bands at level {floor.alpha:g} (Holm) and, for the channels that "
            "take part, over channels."
        ),
        cites=("riedel",),
    )


def _text(floor: SpectralNoiseFloor) -> str:
    return (
        f"At each of {count(len(floor.frequency), 'frequency')} the coherence matrix of the channels was compared with "
        "what channels that share nothing would show, whatever the color and power of their noise: here neither needs "
        f"a model. Bands are {quantity(float(floor.bandwidth.min()), 'Hz')} to "
        f"{quantity(float(floor.bandwidth.max()), 'Hz')} wide and worth {floor.degrees_of_freedom.min():.0f} to "
        f"{floor.degrees_of_freedom.max():.0f} degrees of freedom. In pure noise a band is found in at most "
        f"{100 * floor.alpha:g} % of recordings."
    )


def _agreement(floor: SpectralNoiseFloor, rank: int | None) -> str:
    """Say how the number of modes goes with that of the components over all frequencies."""
    modes = sum(len(band.modes) for band in floor.held_bands)
    if rank is None or not (modes or rank):
        return ""
    found = f" The bands hold {count(modes, 'mode')} together"
    if modes == rank:
        return f"{found}, as many as the components over all frequencies."
    why = (
        "what is confined to a band drowns there in the noise of all frequencies, or is counted once a band here"
        if modes > rank
        else f"what is slower than {quantity(float(floor.frequency[0]), 'Hz')}, or spread thinly over all frequencies, "
        "is not seen band by band"
    )
    return f"{found}; over all frequencies there {'is' if rank == 1 else 'are'} {count(rank, 'component')}: {why}."


def _finding(floor: SpectralNoiseFloor) -> Finding:
    bands = floor.held_bands
    if not bands:
        return Finding("No oscillation is shared by the channels at any frequency.", "note", {"bands": 0})
    strongest = sorted(bands, key=lambda band: -band.modes[0].strength)[:4]
    several = len(bands) > len(strongest)
    return Finding(
        f"Channels share activity in {count(len(bands), 'band')}{', above all ' if several else ': '}"
        f"{series(_where(floor, band) for band in strongest)}.",
        "result",
        {"bands": len(bands), "peaks_hz": [band.frequency for band in bands]},
    )


def _numerical(floor: SpectralNoiseFloor) -> tuple[Finding, ...]:
    """Return what is said of bands that hold nothing of the recording."""
    return tuple(
        Finding(
            f"What channels share at {band.words} is below what the recording holds ({share(band.share)} of its "
            "power): a filter's stop band, or rounding.",
            "note",
        )
        for band in floor.bands
        if not band.is_held
    )


def _where(floor: SpectralNoiseFloor, band: CoherentBand) -> str:
    return (
        f"{band.words} ({share(band.share)} of the recording's power, {len(band.channels)} of {len(floor.used)} "
        "channels)"
    )


def _band_table(floor: SpectralNoiseFloor) -> Table:
    shown = sorted(floor.held_bands, key=lambda band: -band.modes[0].strength)[:MAX_BANDS]
    rows = tuple(
        (
            band.frequency, "line" if band.narrow else "band", band.low, band.high, share(band.share),
            len(band.modes),
            p_number(band.p_value), band.modes[0].strength, len(band.channels),
            [floor.names[i] for i in band.channels[:MAX_NAMED]],
        )
        for band in sorted(shown, key=lambda band: band.frequency)
    )  # fmt: skip
    columns = (
        "peak [Hz]", "kind", "from [Hz]", "to [Hz]", "share of power", "modes", "p", "strength [noise of one channel]",
        "channels", "strongest channels",
    )  # fmt: skip
    more = f" (the strongest {MAX_BANDS} of {len(floor.held_bands)})" if len(floor.held_bands) > MAX_BANDS else ""
    return Table(f"What channels share{more}", columns, rows)
