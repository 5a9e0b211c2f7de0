"""Replace layers of a net by their part above the noise floor, as long as held-out data allow it."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import nn

from sciml.errors import ConfigError
from sciml.nn.structure import Slot, weight_slots
from sciml.rmt.shrink import Shrinkage, check_shrinkage
from sciml.spectra.matrices import matrices
from sciml.spectra.truncation.measure import Batches, Loss, flops, held_out_loss
from sciml.spectra.truncation.part import Part, part_above_noise
from sciml.spectra.truncation.result import TruncatedLayer, Truncation
from sciml.spectra.truncation.thin import put_in_place, thin_layer
from sciml.spectra.weights import LayerSpectrum, weight_spectra

__all__ = ["Form", "truncate"]

Form = Literal["dense", "thin"]
_LEARNED, _START = "directions learned on a noise bulk", "like its initialization"


@dataclass
class _Candidate:
    """A matrix of the net that is being changed, and what would replace it."""

    slot: Slot
    spectrum: LayerSpectrum
    original: torch.Tensor
    part: Part | None
    layer: TruncatedLayer


def truncate(
    model: nn.Module,
    *,
    loss: Loss | None = None,
    data: Batches | None = None,
    tolerance: float = 0.01,
    shrinkage: Shrinkage = "frobenius",
    form: Form = "thin",
    alpha: float = 0.05,
    layers: Sequence[str] | None = None,
) -> Truncation:
    r"""Return a net of which each layer is replaced by its part above the noise floor, as far as held-out data allow.

    Layers with directions on a noise bulk are replaced by these directions. Where all values stand out, or none can be
    tested, there is no floor, and the layer stays. Every replacement is tried alone first; then, the least harmful
    first, each is kept if the loss of the whole net stays within

    .. math:: L_{before} + \text{tolerance} \cdot |L_{before}|.

    Parameters
    ----------
    model
        A net; it is left as it is, a copy is changed.
    loss
        Function of the output of the net and the targets: the mean over a batch, such as `nn.functional.cross_entropy`.
    data
        Held-out batches (inputs, targets), to be iterated several times: a list or a loader, no generator. Without data
        no loss is measured, the result says so, and layers that look like their initialization stay.
    tolerance
        Rise of the held-out loss that is allowed, relative to it.
    shrinkage
        "hard" keeps the singular values of the directions as they are; "frobenius", "operator", "nuclear" take off what
        noise has added to them.
    form
        "thin": two layers where that saves parameters and the type of the layer allows it, else one of the same shape;
        "dense": always one of the same shape.
    alpha
        Level of the test of the singular values.
    layers
        Names of the matrices that may be replaced; default all.

    Raises
    ------
    ConfigError
        An unknown shrinkage, form or layer, a negative tolerance, or a loss without data.
    DataError
        No batch in `data`.

    References
    ----------
    Shrinkage: Gavish, Donoho (2017), doi:10.1109/TIT.2017.2653801; nets without their noise bulk: Staats, Thamm,
    Rosenow (2023), doi:10.1103/PhysRevE.108.L022302.

    Examples
    --------
    >>> layer = nn.Linear(200, 80, bias=False)
    >>> noise = torch.randn(80, 200, generator=torch.Generator().manual_seed(0))
    >>> signal = torch.outer(torch.ones(80), torch.ones(200))
    >>> layer.weight = nn.Parameter(0.01 * noise + signal / 100)
    >>> x = torch.randn(64, 200, generator=torch.Generator().manual_seed(1))
    >>> data = [(x, x @ signal.mT / 100)]
    >>> found = truncate(layer, loss=nn.functional.mse_loss, data=data)
    >>> found.layers[0].rank, found.layers[0].form, found.n_parameters_after, found.loss_after < found.loss_before
    (1, 'thin', 280, True)
    """
    _check(loss, data, tolerance, shrinkage, form)
    changed = copy.deepcopy(model)
    candidates = _candidates(changed, alpha, shrinkage, layers, measured=data is not None)
    if loss is None or data is None:
        for each in candidates:
            _apply(each)
        found = _finished(changed, candidates, form)
    else:
        found = _measured(changed, candidates, loss, data, tolerance, form)
    return replace(found, n_parameters_before=_size(model))


def _check(loss: Loss | None, data: Batches | None, tolerance: float, shrinkage: str, form: str) -> None:
    check_shrinkage(shrinkage)
    if form not in get_args(Form):
        raise ConfigError(f"expected form to be one of {', '.join(get_args(Form))}, got {form!r}")
    if not 0.0 <= tolerance < math.inf:
        raise ConfigError(f"expected a tolerance of at least 0, got {tolerance}")
    if (loss is None) != (data is None):
        raise ConfigError("expected loss and held-out data together, got one of them; give both, or none")


def _candidates(
    model: nn.Module, alpha: float, shrinkage: Shrinkage, names: Sequence[str] | None, *, measured: bool
) -> list[_Candidate]:
    found = matrices(model)
    spectra = {each.name: each for each in weight_spectra(found, alpha=alpha)}
    for each in found:
        if each.name not in spectra:
            each.values()  # raises: a net with a layer that is not finite is not cut in the others
    slots = [slot for slot in weight_slots(model) if slot.name in spectra]
    unknown = sorted(set(names or ()) - {slot.name for slot in slots})
    if unknown:
        raise ConfigError(f"expected layers to name weight matrices of the net, got {unknown[0]!r}; see weight_spectra")
    wanted = {slot.name for slot in slots} if names is None else set(names)
    return [_candidate(slot, spectra[slot.name], shrinkage, slot.name in wanted, measured) for slot in slots]


def _candidate(slot: Slot, spectrum: LayerSpectrum, shrinkage: Shrinkage, wanted: bool, measured: bool) -> _Candidate:
    original = slot.weight.detach().clone()
    reason = "" if wanted else "not asked for"
    if not reason and spectrum.verdict == _START and not measured:
        reason = "nothing of it is above the noise, and without data it is not known whether the net needs it"
    elif not reason and spectrum.verdict not in (_LEARNED, _START):
        reason = f"{spectrum.verdict}: there is no noise floor to cut at"
    part = None if reason else part_above_noise(original.flatten(1).cpu(), spectrum, shrinkage)
    energy = None
    if part is not None:
        kept = original.flatten(1).cpu().double() - part.dense
        whole = float(original.double().square().sum())
        energy = 1.0 - float(kept.square().sum()) / whole if whole > 0.0 else 0.0
    n = original.numel()
    layer = TruncatedLayer(
        slot.name, spectrum.kind, spectrum.matrix_shape, spectrum.verdict, spectrum.rank, energy, False, "", n, n,
        reason=reason,
    )  # fmt: skip
    return _Candidate(slot, spectrum, original, part, layer)


def _apply(candidate: _Candidate) -> None:
    """Put the part of a layer in its place, or say why that is not possible."""
    if candidate.part is None:
        return
    original = candidate.original
    dense = candidate.part.dense.reshape(original.shape).to(original.device, original.dtype)
    said: str = candidate.slot.write(dense)
    if said:
        candidate.slot.write(original)
    candidate.layer = replace(candidate.layer, replaced=not said, form="" if said else "dense", reason=said)


def _undo(candidate: _Candidate, reason: str = "") -> None:
    candidate.slot.write(candidate.original)
    candidate.layer = replace(candidate.layer, replaced=False, form="", reason=reason or candidate.layer.reason)


def _measured(
    model: nn.Module, candidates: Sequence[_Candidate], loss: Loss, data: Batches, tolerance: float, form: Form
) -> Truncation:
    before, operations = held_out_loss(model, loss, data), flops(model, data)
    limit = before + tolerance * abs(before)
    _try(model, candidates, loss, data, limit)
    found = _finished(model, candidates, form)
    after = held_out_loss(found.model, loss, data)
    if not after <= limit and form == "thin":  # the rounding of two layers in the place of one
        found = _finished(_thick(found.model, candidates), candidates, "dense")
        after = held_out_loss(found.model, loss, data)
    return replace(
        found, loss_before=before, loss_after=after, loss_limit=limit,
        flops_before=operations, flops_after=flops(found.model, data),
    )  # fmt: skip


def _try(model: nn.Module, candidates: Sequence[_Candidate], loss: Loss, data: Batches, limit: float) -> None:
    """Replace what the held-out data allow: each matrix alone, then together, the least harmful first."""
    for each in candidates:
        if each.part is not None:
            _apply(each)
            each.layer = replace(each.layer, loss=held_out_loss(model, loss, data))
            if each.layer.replaced:
                _undo(each)
    possible = [each for each in candidates if each.layer.loss is not None and not each.layer.reason]
    for each in sorted(possible, key=lambda each: _order(each.layer.loss)):
        _apply(each)
        found = held_out_loss(model, loss, data)
        if not found <= limit:
            _undo(each, f"the held-out loss would be {found:.4g}, more than {limit:.4g}")


def _order(loss: float | None) -> float:
    return math.inf if loss is None or math.isnan(loss) else loss


def _finished(model: nn.Module, candidates: Sequence[_Candidate], form: Form) -> Truncation:
    """Return the result, with two thin layers where they are asked for and possible."""
    for each in candidates:
        if each.layer.replaced and form == "thin":
            model = _thin(model, each)
    return Truncation(model, tuple(each.layer for each in candidates), 0, _size(model))


def _thin(model: nn.Module, candidate: _Candidate) -> nn.Module:
    if candidate.part is None:
        return model
    name = _name_of(model, candidate.slot.module)
    found = thin_layer(candidate.slot, candidate.part, shared=_is_shared(model, candidate.slot))
    if isinstance(found, str):
        candidate.layer = replace(candidate.layer, reason=found)
        return model
    n = candidate.part.rank * (candidate.part.left.shape[0] + candidate.part.right.shape[1])
    candidate.layer = replace(candidate.layer, form="thin", n_parameters_after=n)
    return put_in_place(model, name, found)


def _thick(model: nn.Module, candidates: Sequence[_Candidate]) -> nn.Module:
    """Return the net with one layer of low rank in the place of two thin ones."""
    for each in candidates:
        if each.layer.form == "thin":
            model = put_in_place(model, each.spectrum.facts.layer, each.slot.module)
            reason = "two layers would round the held-out loss beyond what is allowed"
            each.layer = replace(each.layer, form="dense", n_parameters_after=each.layer.n_parameters, reason=reason)
    return model


def _name_of(model: nn.Module, module: nn.Module) -> str:
    return next(str(name) for name, each in model.named_modules() if each is module)


def _is_shared(model: nn.Module, slot: Slot) -> bool:
    """Return whether another module has the parameter, or the net has the module in two places."""
    mine = {id(each) for each in slot.parameters()}
    modules = [each for _, each in model.named_modules(remove_duplicate=False)]
    return sum(any(id(each) in mine for each in module._parameters.values()) for module in modules) > 1


def _size(model: nn.Module) -> int:
    return sum(each.numel() for each in model.parameters())
