"""Critical weights and biases of mean-field theory."""

from sciml.errors import ConfigError
from sciml.nn.init.rules import Law, Net, Plan, Rule, usual
from sciml.nn.options import check_name
from sciml.nn.structure import NORMS, Activation, Layer
from sciml.theory import meanfield

__all__ = ["activation_of_theory", "critical"]


def critical(
    net: Net,
    *,
    activation: str | None = None,
    sigma_b2: float | None = None,
    q: float | None = None,
    law: str = "gaussian",
) -> Plan:
    """Mean-field critical weights and biases: squared gradients keep their size from layer to layer, χ₁ = 1.

    σ_w² and σ_b² come from `theory.meanfield.critical_point` for the activation found in the net, be it a module, a
    function that it calls or one of your own, or for the one named. `law="gaussian"` draws independent entries, whose
    singular values have a noise edge that training can be seen to cross; `law="orthogonal"` Haar matrices, of a
    convolution in its central tap (delta-orthogonal). Where a layer widens, the matrix is scaled by √(n_out / n_in), so
    that the second moment of each unit, not of the whole layer, is what the theory says: fan_in · mean(w²) is σ_w² in
    every layer. Norm layers and skips are outside this theory.

    Schoenholz et al. (2017), arXiv:1611.01232; Xiao et al. (2018), arXiv:1806.05393.
    """
    check_name(law, ("gaussian", "orthogonal"), what="law")
    given: str | Activation = activation if activation is not None else _activation(net)
    name = given if isinstance(given, str) else given.name
    point = meanfield.critical_point(activation_of_theory(given), sigma_b2=sigma_b2, q=q)

    def rule(layer: Layer) -> Rule:
        chosen: Law = "gaussian" if law == "gaussian" else ("delta" if layer.slot.kernel else "orthogonal")
        special = usual(net, layer.slot)
        if special is not None:
            return special
        if not layer.slot.bias_vectors() and point.sigma_b2:
            return Rule(chosen, point.sigma_w2, note="no bias to carry σ_b²")
        return Rule(chosen, point.sigma_w2, point.sigma_b2)

    notes = [
        f"critical point of {name}: σ_w² = {point.sigma_w2:.6g}, σ_b² = {point.sigma_b2:.6g}, q = {point.q:.6g}, "
        f"χ_q = {point.chi_q:.6g}"
    ]
    if any(isinstance(module, NORMS) for module in net.model.modules()):
        notes.append("the net has norm layers, which set the length themselves: the critical point is only nominal")
    return Plan(rule, notes=tuple(notes))


def _activation(net: Net) -> str | Activation:
    layers = [layer for layer in net.structure.layers if usual(net, layer.slot) is None]
    found = {_label(each): each for layer in layers for each in (layer.activation, layer.reads) if each is not None}
    if len(found) > 1:
        raise ConfigError(f"expected one kind of activation, got {', '.join(sorted(found))}; name one: activation=...")
    if not found and len(layers) > 1:
        how = "in the pass through the net" if net.structure.traced else "among its modules; give a sample,"
        raise ConfigError(
            f"found no activation {how} between several layers; name it with activation=..., 'identity' if none"
        )
    return found.popitem()[1] if found else "identity"


def _label(activation: Activation) -> str:
    slope = activation.slope
    return f"leaky_relu({slope:g})" if slope is not None and activation.name == "leaky_relu" else activation.name


def activation_of_theory(given: str | Activation) -> meanfield.AnyActivation:
    """Return the activation by its name where theory knows it, by its slope, or as a function."""
    if isinstance(given, str):
        return given
    if given.name == "leaky_relu" and given.slope is not None:
        return meanfield.leaky_relu(given.slope)
    return given.name if given.name in meanfield.ACTIVATIONS else given
