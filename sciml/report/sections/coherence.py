"""The floor in frequency in a report: which oscillations channels share, and where nothing can be said."""

from sciml.noise import CoherentBand, SpectralNoiseFloor
from sciml.report.document.parts import Figure, Finding, Section, Table
from sciml.report.document.wording import count, p_value, quantity, sentence, series
from sciml.report.figures.frequencies import MAX_BANDS, band_loadings, floor_over_frequency
from sciml.report.sections.evidence import Evidence

__all__ = ["coherence_evidence"]

TITLE = "The frequency-resolved floor"
MAX_NAMED = 10


def coherence_evidence(floor: SpectralNoiseFloor | str) -> Evidence:
    """Return what channels share at which frequency; of a reason why that is not known, the reason."""
    return Evidence(Section(TITLE, text=floor)) if isinstance(floor, str) else _evidence(floor)


def _evidence(floor: SpectralNoiseFloor) -> Evidence:
    figures: list[Figure] = [floor_over_frequency(floor)]
    tables: tuple[Table, ...] = ()
    if floor.bands:
        figures.append(band_loadings(floor))
        tables = (_band_table(floor),)
    cautions = tuple(Finding(sentence(f"by frequency: {text}"), "note") for text in floor.warnings)
    return Evidence(
        Section(TITLE, text=_text(floor), figures=tuple(figures), tables=tables),
        findings=(_finding(floor), *cautions),
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


def _finding(floor: SpectralNoiseFloor) -> Finding:
    if not floor.bands:
        return Finding("No oscillation is shared by the channels at any frequency.", "note", {"bands": 0})
    strongest = sorted(floor.bands, key=lambda band: -band.modes[0].strength)[:4]
    several = len(floor.bands) > len(strongest)
    return Finding(
        f"Channels share activity in {count(len(floor.bands), 'band')}{', most at ' if several else ': '}"
        f"{series(_where(floor, band) for band in strongest)}.",
        "result",
        {"bands": len(floor.bands), "peaks_hz": [band.frequency for band in floor.bands]},
    )


def _where(floor: SpectralNoiseFloor, band: CoherentBand) -> str:
    return f"{quantity(band.frequency, 'Hz')} ({len(band.channels)} of {len(floor.used)} channels)"


def _band_table(floor: SpectralNoiseFloor) -> Table:
    shown = sorted(floor.bands, key=lambda band: -band.modes[0].strength)[:MAX_BANDS]
    rows = tuple(
        (
            band.frequency, "line" if band.narrow else "band", band.low, band.high, len(band.modes),
            p_value(band.p_value), band.modes[0].strength, len(band.channels),
            [floor.names[i] for i in band.channels[:MAX_NAMED]],
        )
        for band in sorted(shown, key=lambda band: band.frequency)
    )  # fmt: skip
    columns = (
        "peak [Hz]", "kind", "from [Hz]", "to [Hz]", "modes", "p", "strength [noise of one channel]",
        "channels", "strongest channels",
    )  # fmt: skip
    more = f" (the strongest {MAX_BANDS} of {len(floor.bands)})" if len(floor.bands) > MAX_BANDS else ""
    return Table(f"What channels share{more}", columns, rows)
