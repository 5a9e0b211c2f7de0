"""Which noise model is chosen: the first, from simple to rich, that converges and that the data do not reject."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sciml.noise.floor.iterate import fitted, fitted_within
from sciml.noise.matrix.gram import Matrix
from sciml.noise.matrix.residual import ResidualRows, residual_rows
from sciml.noise.models.base import Fit, Given, NoiseModel, Prepared, UnsuitableValuesError
from sciml.noise.models.heteroscedastic import TEST_LEVEL
from sciml.noise.models.registry import NOISE_MODELS, noise_model
from sciml.noise.spatial.separable import Separability, separability
from sciml.noise.spatial.whiten import WhitenedMatrix

__all__ = ["Choice", "fit_requested", "select_model"]


@dataclass(frozen=True)
class Choice:
    """The model that was fitted, why, on which matrix, and how.

    Where more components stand out among some directions than among all, `whole` is the choice for all.
    """

    model: NoiseModel
    reason: str
    prepared: Prepared
    fit: Fit
    whole: "Choice | None" = None

    @property
    def matrix(self) -> Matrix:
        """That the model was fitted on."""
        return self.prepared.matrix

    @cached_property
    def separability(self) -> Separability | None:
        """Whether whitened noise is of one spectrum in time, however far it reaches; None where that is not asked."""
        if not isinstance(self.matrix, WhitenedMatrix) or self.prepared.reach is not None:
            return None
        directions = self.matrix.eigen(self.fit.scale, self.fit.rank).directions
        return separability(self.matrix, self.fit.spectra, self.fit.scale, directions)

    @property
    def separability_p_value(self) -> float:
        """Probability that noise of one spectrum looks as this; one where that is not asked."""
        return 1.0 if self.separability is None else self.separability.p_value

    @cached_property
    def residual(self) -> ResidualRows:
        """What components leave of each sample, or of a subsample that stands for all."""
        return self.residual_rows(every=False)

    def residual_rows(self, *, every: bool) -> ResidualRows:
        """Return what components leave of each sample; with `every` of each one that is held."""
        directions = self.matrix.eigen(self.fit.scale, self.fit.rank).directions
        return residual_rows(self.matrix, self.fit.scale, directions, every=every)


def fit_requested(model: NoiseModel, matrix: Matrix, alpha: float, given: Given) -> Choice:
    """Fit a model whether the data reject it or not."""
    prepared, fit = fitted(model, model.prepare(matrix, given), alpha, give_up=False)
    return _narrowed(Choice(model, "as requested", prepared, model.confirmed(fit, prepared, alpha)), alpha)


def _narrowed(choice: Choice, alpha: float) -> Choice:
    """Return the choice for the directions in which most components stand out: all, or a subspace of the model's."""
    best, level = choice, float(choice.fit.scale[0])
    for prepared in choice.model.subspaces(choice.prepared, choice.fit) if choice.fit.converged else []:
        fit = fitted_within(choice.model, prepared, alpha, level=level)
        if fit.converged and fit.rank > best.fit.rank:
            best = replace(choice, prepared=prepared, fit=fit, whole=choice)
    return best


def select_model(matrix: Matrix, alpha: float, given: Given) -> Choice:
    """Walk the models from simple to rich, and take the first that converges and is not rejected.

    Where none converges, the simplest that the data do not reject is taken. Where it is known which channels are
    neighbors, and they share noise, a model of that is taken if it converges, or if independent noise fits less.
    """
    selection = _Selection(matrix, alpha, given)
    shared: list[Choice] = []
    for model in NOISE_MODELS:
        choice = None if model.independent else selection.shared(model)
        if choice is not None and choice.fit.converged:
            return selection.refined(choice)
        shared += [choice] if choice is not None else []
    independent = selection.simplest([model for model in NOISE_MODELS if model.independent])
    return independent if independent.fit.converged else min([independent, *shared], key=_misfit)


def _misfit(choice: Choice) -> float:
    return abs(float(np.log(choice.fit.bulk_ratio)))


class _Selection:
    """Fits models as they are asked for, and remembers why the ones so far were not taken."""

    def __init__(self, matrix: Matrix, alpha: float, given: Given) -> None:
        self.matrix, self.alpha, self.given = matrix, alpha, given
        self.reasons: list[str] = []
        self.unconverged: list[NoiseModel] = []
        self._fits: dict[str, tuple[Prepared, Fit]] = {}

    def simplest(self, models: Sequence[NoiseModel]) -> Choice:
        for model in models:
            if self.stands(model):
                return self.choice(model)
        return self.choice(self.unconverged[0] if self.unconverged else models[-1])

    def shared(self, model: NoiseModel) -> Choice | None:
        """Return noise that channels share; None where nothing says which do, or they share none."""
        if not model.possible(self.given):
            return None
        try:
            prepared = model.prepare(self.matrix, self.given)
        except UnsuitableValuesError:
            return None
        if not model.needed(prepared):
            return None
        prepared, fit = fitted(model, prepared, self.alpha, give_up=False)
        choice = Choice(model, model.chosen(fit, prepared), prepared, model.confirmed(fit, prepared, self.alpha))
        return _narrowed(choice, self.alpha)

    def refined(self, choice: Choice) -> Choice:
        """Return the choice, or that of a model for noise that does not reach equally far at all frequencies."""
        if not choice.model.refined or (choice.whole or choice).separability_p_value >= TEST_LEVEL:
            return choice
        model = noise_model(choice.model.refined)
        better = fit_requested(model, self.matrix, self.alpha, self.given)
        return replace(better, reason=model.chosen(better.fit, better.prepared)) if better.fit.converged else choice

    def stands(self, model: NoiseModel) -> bool:
        ruled_out = model.ruled_out(self.matrix)
        if ruled_out is not None:
            self.reasons.append(ruled_out)
            return False
        try:
            prepared, fit = self.fit(model.tested_on)
        except UnsuitableValuesError:
            return False
        rejected = model.rejected(fit, prepared)
        if rejected is None and (fit.converged or not model.must_converge):
            return True
        if rejected is None:
            self.unconverged.append(model)
        self.reasons.append(model.must_converge if rejected is None else rejected)
        return False

    def fit(self, model: NoiseModel) -> tuple[Prepared, Fit]:
        if model.name not in self._fits:
            prepared = model.prepare(self.matrix, self.given)
            self._fits[model.name] = fitted(model, prepared, self.alpha, give_up=True)
        return self._fits[model.name]

    def choice(self, model: NoiseModel) -> Choice:
        prepared, fit = self.fit(model)
        # What the model itself failed at is no reason to take it, and `converged` says so.
        own = model.must_converge if model in self.unconverged else ""
        words = [*(each for each in self.reasons if each != own), "" if own else model.chosen(fit, prepared)]
        reason = ", ".join(dict.fromkeys(each for each in words if each))
        return Choice(model, reason, prepared, model.confirmed(fit, prepared, self.alpha))
