"""What a noise model is: how it sees the recording, the variances it allows, and when the data reject it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sciml._typing import FloatArray
from sciml.errors import DataError
from sciml.noise.channels.layout import Layout
from sciml.noise.channels.statistics import ChannelStatistics
from sciml.noise.matrix.gram import Matrix
from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.spatial.reference import FiniteReference
from sciml.noise.spatial.result import SpatialNoise
from sciml.noise.spatial.separable import PowerByReach
from sciml.noise.spatial.whiten import Whitening
from sciml.rmt.edges import EdgeLaw
from sciml.rmt.variance_profile import VarianceProfile

__all__ = ["Fit", "Given", "Methods", "NoiseModel", "Prepared", "ReadAll", "UnsuitableValuesError"]

ReadAll = Callable[[], ChannelStatistics]


class UnsuitableValuesError(DataError):
    """The values are none that the model can be fitted to, whatever their noise."""


@dataclass(frozen=True)
class Given:
    """What is known of a recording beside the values of its channels.

    `read_all` reads the recording once more and returns statistics that hold all values; None where it is too large for
    that. `layout` says where all its channels are, None where nobody knows; `reference` is what one pass over a
    recording of noise alone yields.
    """

    read_all: ReadAll | None = None
    layout: Layout | None = None
    reference: ChannelStatistics | None = None


@dataclass(frozen=True)
class Prepared:
    """The matrix that a model is fitted on.

    `channel_scale`, the noise standard deviation of each used channel in the units of the data, is set where the model
    scaled the values itself; `n_projected` of their dimensions were then projected out. Where channels share noise,
    `whitening` makes it independent: `matrix` is that of the whitened channels.

    `finite` is what is left of noise after a whitening that few samples of a reference told. `cautions` are what the
    user should know of it, `doubt` why nothing can be claimed by it ("" if it can). `reach` is how the variance of
    whitened noise differs by frequency and by range over the channels, where that is allowed for.
    """

    matrix: Matrix
    channel_scale: FloatArray | None = None
    n_projected: int = 0
    whitening: Whitening | None = None
    finite: FiniteReference | None = None
    cautions: tuple[str, ...] = ()
    doubt: str = ""
    reach: PowerByReach | None = None


@dataclass(frozen=True)
class Fit:
    """Rank and noise that agree: the spectrum in units of the noise, its law, the channels' scales and spectra.

    `law` and `profile` are those of the noise after removing the components found.
    """

    eigenvalues: FloatArray
    p_values: FloatArray
    scale: FloatArray
    law: EdgeLaw
    profile: VarianceProfile
    rank: int
    spectra: NoiseSpectra
    bulk_ratio: float
    converged: bool


@dataclass(frozen=True)
class Methods:
    """What a report says of a model: a sentence for its methods with the keys of what it cites, and one on its edge.

    `edge` is empty where the edge is that of noise without correlation in time.
    """

    sentence: str
    cites: tuple[str, ...]
    scaling: str = "divided by the standard deviation of their noise"
    edge: str = ""


class NoiseModel(Protocol):
    """A kind of noise. A new one is a class in a file of its own and one line in `sciml.noise.models.registry`.

    Attributes
    ----------
    name, words
        What the user calls it, and what that means.
    methods
        What a report says of it.
    colored
        Samples correlate in time: fewer count than there are.
    equal_variances
        All channels have noise of one variance, estimated with one sigma (`sciml.rmt.rank.white_test`).
    common_spectrum
        The channels' spectra are alike up to scale.
    needs_values
        It is fitted on all values at once; moments of the channels are not enough.
    must_converge
        Words for the reason if rank and noise do not converge and a richer model is tried; empty if none is.
    independent
        Channels share no noise. The others need to know where channels are, or what their noise is.
    refined
        Name of the model to take where slow noise reaches farther over the channels than fast noise, or less far.
    n_tests
        Between how many tests, of all directions and of `subspaces`, the level is shared.
    """

    name: str
    words: str
    methods: Methods
    colored: bool = False
    equal_variances: bool = False
    common_spectrum: bool = True
    needs_values: bool = False
    must_converge: str = ""
    independent: bool = True
    refined: str = ""
    n_tests: int = 1

    def ruled_out(self, matrix: Matrix) -> str | None:  # noqa: ARG002
        """Return in words why no fit of the model is worth its time, or None. What rules it out would reject it too."""
        return None

    def prepare(self, matrix: Matrix, given: Given) -> Prepared:  # noqa: ARG002
        """Return the matrix that the model is fitted on: by default that of the standardized channels.

        Raises
        ------
        UnsuitableValuesError
            The model cannot be fitted to such values.
        """
        return Prepared(matrix)

    def possible(self, given: Given) -> bool:  # noqa: ARG002
        """Return whether enough is known of the channels for the automatic choice to try it."""
        return True

    def needed(self, prepared: Prepared) -> bool:  # noqa: ARG002
        """Return whether channels share noise at all, as far as the preparation says."""
        return True

    def variance_profile(self, spectra: NoiseSpectra, prepared: Prepared) -> VarianceProfile:
        """Return the variances of the noise, (frequency, channel), over the samples of the matrix."""
        ...

    def estimate_noise(
        self,
        prepared: Prepared,
        before: Fit | None,  # noqa: ARG002
        scale: FloatArray,
        rank: int,
    ) -> tuple[Prepared, FloatArray]:
        """Return the matrix, and the standard deviation of each of its channels' noise, given `rank` components.

        `before` is the fit so far, None at first, on the matrix `prepared` with the noise `scale`.
        """
        return prepared, prepared.matrix.noise_scale(scale, rank)

    def subspaces(self, prepared: Prepared, fit: Fit) -> list[Prepared]:  # noqa: ARG002
        """Return matrices of fewer directions in which weaker components of some kind stand out."""
        return []

    @property
    def tested_on(self) -> "NoiseModel":
        """The model on whose fit `rejected` decides: itself, or a more general one of which it is a special case."""
        return self

    def rejected(self, fit: Fit, prepared: Prepared) -> str | None:  # noqa: ARG002
        """Return in words why the data reject the model that was fitted ("" for no words), or None if they do not."""
        return None

    def chosen(self, fit: Fit, prepared: Prepared) -> str:  # noqa: ARG002
        """Return in words what speaks for the model once it is chosen, after what rejected the simpler ones."""
        return ""

    def shared(self, prepared: Prepared, layout: Layout) -> SpatialNoise | None:  # noqa: ARG002
        """Return what is said of the noise that channels share, where the model has them share any."""
        return None

    def confirmed(self, fit: Fit, prepared: Prepared, alpha: float) -> Fit:  # noqa: ARG002
        """Return the fit after tests that the model demands of what stands out."""
        return fit
