"""Noise of the covariance that a recording of noise alone has, whatever it is."""

from dataclasses import replace

import numpy as np

from sciml._typing import FloatArray
from sciml.noise.matrix.gram import Matrix
from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.models.base import Fit, Given, Methods, NoiseModel, Prepared, UnsuitableValuesError
from sciml.noise.models.spatial import OnGrid, Spatial, level
from sciml.noise.models.spatial_groups import InGroups, SpatialGroups
from sciml.noise.spatial.reference import FiniteReference, Reference, drift_p_value, reference_on
from sciml.noise.spatial.scoring import SharedNoise
from sciml.noise.spatial.whiten import WhitenedMatrix, Whitening
from sciml.rmt.variance_profile import VarianceProfile
from sciml.wording import p_value, percent

__all__ = ["FromReference"]

FEWEST_PER_CHANNEL = 1.5  # independent samples, for a covariance of its own
PLENTY = 5  # independent samples per channel
LARGEST_SHIFT = 0.3  # of the edge, in widths of its law, that an uncertain model may make
DRIFT_LEVEL = 1e-3
LEVELS_DIFFER, LARGEST_Z = 0.03, 4.0  # of the variance; standard deviations


class FromReference(NoiseModel):
    r"""Covariances A S(f), A that of a reference of m samples: the edge of an F-matrix.

    Channels are whitened by the scatter of the reference. White noise has the inverse eigenvalues of the scatter of m
    samples for variances then: they are the columns of the variance profile, its rows the spectrum in time (Silverstein
    1995; for white samples Wachter 1980 and Johnstone 2008).
    """

    name = "reference"
    words = "the covariance over channels that a recording of noise alone has, one spectrum in time"
    methods = Methods(
        "Noise was taken to have the covariance over channels of a reference, a recording of noise alone, and a common "
        "power spectrum in time. Channels were whitened by it; as its samples are finite, noise then has the inverse "
        "eigenvalues of their scatter for variances, and the eigenvalues are those of an F-matrix (Wachter 1980; "
        "Johnstone 2008), the largest of which follows a Tracy–Widom law (Tracy and Widom 1996).",
        ("wachter", "johnstone2008", "tracy"),
        scaling="whitened by the noise of the reference",
    )
    colored = True
    independent = False
    must_converge = "and noise of the reference does not converge"

    def possible(self, given: Given) -> bool:
        """Return whether there is a reference."""
        return given.reference is not None

    def prepare(self, matrix: Matrix, given: Given) -> Prepared:
        """Whiten the channels by the reference, or by noise that neighbors share where it is too short.

        Raises
        ------
        UnsuitableValuesError
            No reference, or one that has fewer samples than channels, of which nobody knows where they are.
        """
        if given.reference is None:
            raise UnsuitableValuesError(
                "expected a reference for the model 'reference': a stretch of the recording in seconds, (0, 10), or "
                "a recording of the same channels without signal; give reference=..."
            )
        reference = reference_on(matrix, given.reference)
        if reference.n_effective < FEWEST_PER_CHANNEL * matrix.n_dimensions:
            return _short(matrix, reference, given)
        whitening = Whitening.of(reference.covariance, matrix.null)
        whitened = WhitenedMatrix(matrix, whitening)
        tau = whitened.spectra(whitened.total_scale, np.zeros((whitened.n_channels, 0))).tau
        return Prepared(
            whitened,
            whitening=whitening,
            finite=FiniteReference.of(reference, matrix.n_dimensions, matrix.dof / tau),
            doubt=_drift(reference),
            cautions=_cautions(reference, matrix),
        )

    def estimate_noise(
        self, prepared: Prepared, before: Fit | None, scale: FloatArray, rank: int
    ) -> tuple[Prepared, FloatArray]:
        """Return the level of the noise: its covariance is the reference's, or fitted where that is too short."""
        if isinstance(prepared, OnGrid):
            model = SpatialGroups() if isinstance(prepared, InGroups) else Spatial()
            found, scale = model.estimate_noise(prepared, before, scale, rank)
            return replace(found, cautions=prepared.cautions), scale
        return prepared, level(prepared.matrix, rank)

    def variance_profile(self, spectra: NoiseSpectra, prepared: Prepared) -> VarianceProfile:
        """Return the spectrum averaged over whitened channels."""
        return spectra.profile(prepared.matrix.dof, common=True)

    def chosen(self, fit: Fit, prepared: Prepared) -> str:
        """Whether the noise is as strong as in the reference."""
        ratio = float(fit.scale[0] ** 2) / (1.0 if prepared.finite is None else prepared.finite.inflation)
        chance = np.sqrt(2 * fit.spectra.tau / (prepared.matrix.dof * prepared.matrix.n_channels))
        if abs(np.log(ratio)) < max(LEVELS_DIFFER, LARGEST_Z * chance):
            return "noise of the covariance and the level of the reference"
        more = "more" if ratio > 1 else "less"
        return f"noise of the covariance of the reference, with {percent(abs(ratio - 1))} {more} power"


def _short(matrix: Matrix, reference: Reference, given: Given) -> Prepared:
    """Fit noise that neighbors share to a reference of too few samples for a covariance of its own."""
    model = next((each for each in (Spatial(), SpatialGroups()) if each.possible(given)), None)
    if model is None:
        raise UnsuitableValuesError(
            f"expected a reference of {FEWEST_PER_CHANNEL:g} independent samples a channel or more, got "
            f"{reference.n_effective:.0f} for {matrix.n_dimensions}, and nothing says which channels are neighbors; "
            f"give a longer one ({PLENTY} samples a channel are plenty), or positions of the channels"
        )
    shared = model.estimate_noise(model.prepare(reference.matrix, given), None, reference.matrix.total_scale, 0)[0]
    assert isinstance(shared, OnGrid) and shared.whitening is not None  # noqa: S101, PT018
    spread = _spread(shared.noise, reference)
    n, dof = matrix.n_dimensions, matrix.dof
    if spread * dof / n ** (1 / 3) > LARGEST_SHIFT:
        said = f"{_few_words(reference, matrix)} and for one of few parameters: noise that neighbors share was fitted"
        return replace(model.prepare(matrix, given), cautions=(f"{said} to the recording itself",))
    unit = np.sqrt(np.diag(reference.covariance).real)
    covariance = np.asarray(shared.whitening.color.conj().T @ shared.whitening.color)
    whitening = Whitening.of(covariance * unit[:, None] * unit, matrix.null)
    return Prepared(
        WhitenedMatrix(matrix, whitening),
        whitening=whitening,
        finite=FiniteReference.of_spread(spread, n),
        cautions=(f"{_few_words(reference, matrix)}: noise that neighbors share was fitted to it",),
    )


def _spread(noise: SharedNoise, reference: Reference) -> float:
    """Return the relative variance that the errors of fitted parameters leave of directions: 2 / (N m) for each.

    Each channel's level is one, as far as it was not pulled to a typical one. That moves the edge by n / N^{1/3} of it,
    in widths of its law.
    """
    n, m = len(noise.log_scale), reference.n_effective
    own = noise.spread / (noise.spread + 1 / (2 * m))
    return 2 * (len(noise.parameters) + n * own) / (n * m)


def _few_words(reference: Reference, matrix: Matrix) -> str:
    return (
        f"the reference has {reference.n_effective:.0f} independent samples for {matrix.n_dimensions} channels, too "
        "few for a covariance of its own"
    )


def _cautions(reference: Reference, matrix: Matrix) -> tuple[str, ...]:
    """Say what few samples of a reference cost."""
    n, m = matrix.n_dimensions, reference.n_effective
    if m >= PLENTY * n:
        return ()
    gamma, c = n / matrix.dof, n / m
    cost = (1 + np.sqrt(gamma + c - gamma * c)) / (1 - c) / (1 + np.sqrt(gamma))
    return (
        f"the reference has {m:.0f} independent samples for {n} channels: components have to be {np.sqrt(cost):.2g} "
        f"times as strong as with a long one to be found; {PLENTY * n} or more would do",
    )


def _drift(reference: Reference) -> str:
    p = drift_p_value(reference)
    if p is None or p >= DRIFT_LEVEL:
        return ""
    return (
        f"the two halves of the reference differ by more than chance ({p_value(p)}), and so may noise and reference: "
        "what drifts looks like signal"
    )
