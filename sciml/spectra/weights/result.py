"""The weight spectra of a whole net: every layer tested, false discoveries controlled over all of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from numpy.typing import ArrayLike

from sciml._typing import FloatArray
from sciml.errors import ConfigError, DataError
from sciml.result import Plots, card, shown
from sciml.spectra.matrices import LeftOut, Matrices, Matrix, NotFiniteError, Source, matrices
from sciml.spectra.matrices.modules import Grid
from sciml.spectra.weights.change import LayerChange, alignment, layer_change
from sciml.spectra.weights.discovery import Discoveries, discoveries
from sciml.spectra.weights.layers import LayerFacts, LayerSpectrum
from sciml.spectra.weights.noise import NoiseTest, noise_test
from sciml.spectra.weights.outliers import Outliers, outliers
from sciml.spectra.weights.power_law import power_law
from sciml.spectra.weights.singular import leading, product_values, singular_values
from sciml.spectra.weights.variables import Variables, layer_variables
from sciml.spectra.weights.verdict import is_tested, verdict_of
from sciml.wording import count, percent, series

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

__all__ = ["WeightSpectra", "weight_spectra"]


@dataclass(frozen=True, repr=False)
class WeightSpectra(Sequence[LayerSpectrum]):
    """The spectra of the weight matrices of a net, in the order of its layers.

    Attributes
    ----------
    layers
        One for each matrix, heads and products of attention included.
    left_out
        Parameters of two or more dims that are no matrix to analyze, with the reason.
    n_parameters
        Number of parameters of the net.
    alpha
        Expected fraction of false ones among the layers that are said to have learned.
    notes
        What is to be known of how the weights were read.
    """

    layers: tuple[LayerSpectrum, ...]
    left_out: tuple[LeftOut, ...]
    n_parameters: int
    alpha: float
    notes: tuple[str, ...] = ()

    plot = Plots("layer_spectra")

    @overload
    def __getitem__(self, key: int) -> LayerSpectrum: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[LayerSpectrum]: ...
    def __getitem__(self, key: int | slice) -> LayerSpectrum | Sequence[LayerSpectrum]:
        """Return a layer by its place."""
        return self.layers[key]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[LayerSpectrum]:
        return iter(self.layers)

    def named(self, name: str) -> LayerSpectrum:
        """Return the layer of this name; KeyError if there is none."""
        found = next((each for each in self.layers if each.name == name), None)
        if found is None:
            raise KeyError(f"no matrix {name!r}; there are {', '.join(each.name for each in self.layers)}")
        return found

    @property
    def own(self) -> tuple[LayerSpectrum, ...]:
        """The layers without those that are parts or products of others (heads, QK, OV)."""
        return tuple(each for each in self.layers if not each.facts.derived)

    @property
    def coverage(self) -> float:
        """Fraction of the parameters that the matrices are made of; the rest are vectors, and what is left out."""
        covered = sum(each.facts.n_parameters for each in self.layers)
        return covered / self.n_parameters if self.n_parameters else 0.0

    @property
    def verdicts(self) -> dict[str, tuple[str, ...]]:
        """Names of the layers, heads and products excepted, by verdict."""
        found: dict[str, list[str]] = {}
        for each in self.own:
            found.setdefault(each.verdict, []).append(each.name)
        return {verdict: tuple(names) for verdict, names in found.items()}

    def summary(self) -> str:
        """Return what was analyzed, the verdicts and what was left out, as plain text.

        Examples
        --------
        >>> print(weight_spectra(torch.nn.Linear(40, 30)).summary().splitlines()[0])
        1 weight matrix, 97.6 % of 1,230 parameters
        """
        covered = f"{percent(self.coverage)} of {count(self.n_parameters, 'parameter')}"
        head = f"{count(len(self.own), 'weight matrix')}, {covered}"
        lines = [f"{verdict}: {series(names)}" for verdict, names in self.verdicts.items()]
        left = [f"left out: {each.name} {each.shape}: {each.reason}" for each in self.left_out]
        return "\n".join([head, *lines, *left, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "alpha": self.alpha,
            "n_parameters": self.n_parameters,
            "coverage": self.coverage,
            "verdicts": {verdict: list(names) for verdict, names in self.verdicts.items()},
            "layers": [each.to_dict() for each in self.layers],
            "left_out": [
                {**vars(each), "shape": list(each.shape), "fraction": _fraction(each, self.n_parameters)}
                for each in self.left_out
            ],
            "notes": list(self.notes),
        }

    def variables(self) -> Variables:
        """Return singular values and numbers of all layers as arrays of dims layer and index, NaN where there are none.

        Examples
        --------
        >>> dims, values, attributes = weight_spectra(torch.nn.Linear(40, 30)).variables()["singular_values"]
        >>> dims, values.shape, attributes["units"]
        (('layer', 'index'), (1, 30), '1')
        """
        return layer_variables(self.layers)

    def __repr__(self) -> str:
        first, *verdicts = self.summary().splitlines()
        return shown(f"WeightSpectra: {first}", *verdicts)

    def to_dataframe(self) -> "pd.DataFrame":
        """Return a table of pandas, one row a layer.

        Examples
        --------
        >>> weight_spectra({"head.weight": torch.ones(40, 30)}).to_dataframe().index.tolist()
        ['head']
        """
        import pandas as pd

        columns = ["verdict", "rank", "q_value", "edge", "relative_norm"]
        rows = [[getattr(each, name) for name in columns] for each in self.layers]
        return pd.DataFrame(rows, index=pd.Index([each.name for each in self.layers], name="layer"), columns=columns)

    def _repr_html_(self) -> str:
        first, *verdicts = self.summary().splitlines()
        rows = [(each.name, " x ".join(map(str, each.matrix_shape)), each.words) for each in self.layers]
        return card(f"WeightSpectra: {first}", "; ".join(verdicts), ("layer", "matrix", "verdict"), rows)


def _fraction(left_out: LeftOut, whole: int) -> float:
    return left_out.n_parameters / whole if whole else 0.0


def weight_spectra(
    source: Source | Matrices,
    *,
    alpha: float = 0.05,
    grid: Grid = None,
    memory: float | None = None,
    start: Source | Matrices | None = None,
    components: Mapping[str, ArrayLike] | None = None,
    power_laws: bool = False,
) -> WeightSpectra:
    """Test the singular values of each weight matrix against the noise edge of its own size.

    Rows and columns of unequal scale and entries of heavy tails (pruned, quantized, normalized weights) are recognized
    from the weights and equalized before the test, so that untrained weights of any such law keep the level.

    Parameters
    ----------
    source
        A net, which is left as it is; a state dict, nested ones too; a file (`sciml.spectra.matrices.matrices`), or
        what that has listed.
    alpha
        Expected fraction of false ones among the layers that are said to have learned, and in one layer of pure noise
        the probability of an outlier.
    grid
        Size of the signal that the convolutions see (time samples), or of each by its name
        (`sciml.spectra.convolution.grids(model, sample)`), for their exact `operator_norm`.
    memory
        Bytes that the analysis of one matrix may take; larger ones are left out and listed.
    start
        The weights that training began with, from anything that `source` may be: adds `change` to each layer.
    components
        Name of a layer -> directions of its input in the data (n_components, n_in), principal components for instance:
        adds `data_alignment` to its outliers, and to its change.
    power_laws
        Fit a power law to the squared singular values of each layer, with interval and alternatives
        (`sciml.spectra.weights.power_law`): about 0.2 s a layer.

    Returns
    -------
    WeightSpectra
        A sequence of `LayerSpectrum` in the order of the layers, with what was left out and why.

    Raises
    ------
    ConfigError
        `alpha` not between 0 and 1, or a source without weight matrices.
    DataError
        Weights none of which is finite, real and with storage (not on the device "meta"); where others are, such a
        one is left out and listed.

    References
    ----------
    See the module. False discoveries: Benjamini, Hochberg (1995), doi:10.1111/j.2517-6161.1995.tb02031.x.

    Examples
    --------
    >>> weight = torch.randn(80, 200, generator=torch.Generator().manual_seed(0))
    >>> weight += 4.0 * torch.outer(torch.full((80,), 80**-0.5), torch.full((200,), 1.0))
    >>> [spectrum] = weight_spectra({"head.weight": weight})
    >>> spectrum.name, spectrum.words, bool(spectrum.p_values[0] < 1e-6 < spectrum.p_values[1])
    ('head', '1 direction learned on a noise bulk', True)
    """
    if not 0.0 < alpha < 1.0:
        raise ConfigError(f"expected 0 < alpha < 1, got {alpha}")
    found, drafts = _drafts(_matrices(source, grid, memory), alpha)
    # Heads and products of attention are made of the other matrices: their p-values are a family of their own.
    families = {derived: _controlled(drafts, derived=derived, alpha=alpha) for derived in (False, True)}
    layers = [_layer(each, families[each.facts.derived], alpha) for each in drafts]
    before = {} if start is None else {each.name: each for each in _matrices(start, None, memory)}
    extras = _Extras(before, components or {}, power_laws=power_laws)
    whole = tuple(extras.added(layer, matrix) for layer, matrix in zip(layers, found, strict=True))
    return WeightSpectra(whole, found.left_out, found.n_parameters, alpha, (*found.notes, *extras.notes(whole)))


def _matrices(source: Source | Matrices, grid: Grid, memory: float | None) -> Matrices:
    return source if isinstance(source, Matrices) else matrices(source, grid=grid, memory=memory)


@dataclass(frozen=True)
class _Extras:
    """What is added to the layers where it is asked for."""

    before: Mapping[str, Matrix]
    components: Mapping[str, ArrayLike]
    power_laws: bool

    def added(self, layer: LayerSpectrum, matrix: Matrix) -> LayerSpectrum:
        """Return the layer with power law, change and alignment."""
        if self.power_laws:
            short, long = sorted(layer.matrix_shape)
            layer = replace(layer, power_law=power_law(layer.singular_values**2, gamma=short / long))
        start, components = self.before.get(layer.name), self.components.get(layer.name)
        if matrix.factors is not None or not ((layer.rank and components is not None) or start is not None):
            return layer
        weights = matrix.values().double()
        if layer.rank and components is not None:
            layer = replace(layer, data_alignment=alignment(leading(weights, layer.rank).right, components))
        return layer if start is None else replace(layer, change=self.change(layer, weights, start, components))

    def change(
        self, layer: LayerSpectrum, weights: torch.Tensor, start: Matrix, components: ArrayLike | None
    ) -> LayerChange:
        """Return what became of the start."""
        if start.matrix_shape != layer.matrix_shape:
            raise DataError(
                f"layer {layer.name!r}: expected a start of shape {layer.matrix_shape}, got {start.matrix_shape}; "
                "give the start of the same net"
            )
        before = start.values().double()
        return layer_change(weights, before, n_outliers=layer.rank or 0, components=components, alpha=layer.alpha)

    def notes(self, layers: Sequence[LayerSpectrum]) -> Iterator[str]:
        """Yield what could not be added."""
        names = {each.name for each in layers}
        missing = [each.name for each in layers if each.name not in self.before and not each.facts.derived]
        if self.before and missing:
            yield f"not in the start: {series(missing)}"
        unknown = [name for name in self.components if name not in names]
        if unknown:
            yield f"data components of layers that are not there: {series(unknown)}"


@dataclass(frozen=True)
class _Draft:
    """A layer before the other layers are known."""

    facts: LayerFacts
    values: FloatArray
    test: NoiseTest


def _drafts(found: Matrices, alpha: float) -> tuple[Matrices, list[_Draft]]:
    """Return the matrices that are finite, with their drafts; the others are left out, and listed with their numbers.

    Heads and products are listed with the matrix that they are made of.
    """
    kept, left, drafts = [], [], []
    for each in found:
        try:
            drafts.append(_draft(each, alpha))
            kept.append(each)
        except NotFiniteError as error:
            left.append(LeftOut(each.name, each.shape, each.n_parameters, error.reason))
    if not kept:
        raise NotFiniteError(left[0].name, left[0].reason)
    listed = (each for each in left if each.n_parameters)
    return replace(found, items=tuple(kept), left_out=(*found.left_out, *listed)), drafts


def _draft(matrix: Matrix, alpha: float) -> _Draft:
    if matrix.factors is not None:
        left, right = matrix.factors()
        values = product_values(left, right)
        test = NoiseTest(values, matrix.matrix_shape, reason=PRODUCT, warnings=(PRODUCT,))
        return _Draft(_facts(matrix, values), values, test)
    weights = matrix.values().double()
    values = singular_values(weights)
    blocks = weights.reshape(matrix.groups, -1, weights.shape[1]) if matrix.groups > 1 else None
    return _Draft(_facts(matrix, values), values, noise_test(weights, values, alpha, blocks=blocks, dtype=matrix.dtype))


PRODUCT = "a product of two matrices: its noise has another law than that of one matrix"


def _facts(matrix: Matrix, values: FloatArray) -> LayerFacts:
    norm, bound = (values[0], values[0]) if matrix.is_operator else (matrix.operator_norm, matrix.operator_bound)
    return LayerFacts(
        matrix.name, matrix.layer, matrix.kind, matrix.part, matrix.shape, matrix.matrix_shape, matrix.n_parameters,
        matrix.derived, matrix.fan_in, matrix.fan_out, _float(norm), _float(bound), matrix.note,
    )  # fmt: skip


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _controlled(drafts: Sequence[_Draft], *, derived: bool, alpha: float) -> tuple[dict[str, float], Discoveries]:
    tested = {
        each.facts.name: float(each.test.p_values[0])
        for each in drafts
        if each.facts.derived is derived and is_tested(each.test) and each.test.p_values is not None
    }
    found = discoveries(list(tested.values()), alpha)
    return dict(zip(tested, found.q_values.tolist(), strict=True)), found


def _layer(draft: _Draft, family: tuple[dict[str, float], Discoveries], alpha: float) -> LayerSpectrum:
    q_values, found = family
    test, q_value = draft.test, q_values.get(draft.facts.name)
    p_values = test.p_values if q_value is not None else None
    rank = None if p_values is None else int(np.count_nonzero(p_values <= found.cutoff))
    significant = test.p_values is not None and bool(test.p_values[0] < alpha)
    verdict = verdict_of(test, rank, significant=significant)
    if verdict == "undetermined":
        rank = q_value = None
    return LayerSpectrum(
        facts=draft.facts,
        singular_values=draft.values,
        test=test,
        verdict=verdict,
        rank=rank,
        q_value=q_value,
        outliers=_outliers(test, rank, found.cutoff),
        alpha=alpha,
        cutoff=found.cutoff,
    )


def _outliers(test: NoiseTest, rank: int | None, cutoff: float) -> Outliers | None:
    edge = test.edge(cutoff)
    if rank is None or edge is None or test.sigma is None:
        return None
    return outliers(test.tested[:rank], test.shape, test.sigma, edge, test.conversion)
