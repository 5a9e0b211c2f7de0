"""Covariance spectra of activations: the law of random weights, sample size, neural collapse."""

import numpy as np
import pytest
import torch
from torch import nn

from sciml.errors import ConfigError, DataError
from sciml.nn import models
from sciml.rmt.laws import MarchenkoPastur
from sciml.spectra import jacobian_spectrum
from sciml.spectra.activations import activation_spectra, input_components, neural_collapse
from sciml.spectra.activations.features import read_features


def seeded(build, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def draws(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def by_name(found, name):
    return next(each for each in found if each.name == name)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.LeakyReLU])
@pytest.mark.parametrize("inputs", ["white", "correlated", "with a mean"])
def test_random_weights_follow_their_law_on_any_inputs(activation, inputs):
    x = draws(150, 40)
    if inputs == "correlated":
        x = x @ torch.diag(torch.linspace(3.0, 0.1, 40)) + 2.0 * draws(150, 1, seed=2) * torch.ones(40)
    if inputs == "with a mean":
        x = x + 1.5
    measured, ratios = [], []
    for seed in range(8):
        net = seeded(lambda: nn.Sequential(nn.Linear(40, 100), activation(), nn.Linear(100, 2)), seed)
        found = by_name(activation_spectra(net, x), "2")
        # units differ in strength where all inputs share a direction: the law of equal ones is then not claimed
        assert inputs != "white" or found.random_by == "law"
        measured.append(found.eigenvalues)
        ratios.append(found.dimension)
    mean = np.mean(measured, axis=0)
    cumulative = np.cumsum(found.random_eigenvalues) / found.random_eigenvalues.sum()
    assert np.cumsum(mean) / mean.sum() == pytest.approx(cumulative, abs=0.05)
    assert mean.sum() == pytest.approx(found.random_eigenvalues.sum(), rel=0.1)
    assert np.mean(ratios) == pytest.approx(found.random_dimension, rel=0.1)


def test_an_activation_without_linear_part_hides_the_inputs():
    # Pennington and Worah (2017): E[φ'] = 0 leaves the Marchenko-Pastur law of independent entries, whatever the depth
    class Even(nn.Module):
        def forward(self, x):
            return x.square() - 1.0

    net = seeded(lambda: nn.Sequential(nn.Linear(400, 200, bias=False), Even(), nn.Linear(200, 2)))
    with torch.no_grad():
        net.get_parameter("0.weight").copy_(draws(200, 400, seed=3) / 20.0)
    found = by_name(activation_spectra(net, draws(600, 400)), "2")
    law = MarchenkoPastur(200 / 599, 2.0**0.5)  # E[(h² - 1)²] = 2
    expected = law.ppf(1.0 - (np.arange(200) + 0.5) / 200)
    assert found.eigenvalues[20:180] == pytest.approx(expected[20:180], rel=0.15)


def test_units_that_share_nothing_have_the_dimension_of_their_sample():
    net = nn.Sequential(nn.Linear(50, 50, bias=False), nn.Identity(), nn.Linear(50, 2))
    with torch.no_grad():
        net.get_parameter("0.weight").copy_(torch.diag(torch.linspace(0.5, 2.0, 50)))
    found = by_name(activation_spectra(net, draws(200, 50)), "2")
    assert found.dimension == pytest.approx(found.independent_dimension, rel=0.03)
    assert found.n_shared == 0
    shared = activation_spectra(net, draws(200, 50) + 1.5 * draws(200, 1, seed=5))
    assert by_name(shared, "2").n_shared == 1


def test_units_that_follow_from_one_another_have_no_noise_to_test():
    net = nn.Sequential(nn.Linear(2, 40), nn.Identity(), nn.Linear(40, 2))
    assert by_name(activation_spectra(net, draws(100, 2)), "2").n_shared is None


def test_units_that_never_fire_are_counted():
    net = seeded(lambda: nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 2)))
    with torch.no_grad():
        net.state_dict()["0.bias"][:7] = -1e3
    found = by_name(activation_spectra(net, draws(100, 20)), "2")
    assert found.n_constant == 7


def test_convolutions_follow_the_law_of_their_patches_and_others_are_drawn():
    parts = (nn.Conv1d, nn.ReLU, nn.Conv1d, nn.MaxPool1d, nn.Flatten, nn.Linear)
    given = ((3, 40, 5, 1, 2, 1, 1, True, "circular"), (), (40, 30, 3, 1, 1), (2,), (), (240, 3))
    net = seeded(lambda: nn.Sequential(*(part(*args) for part, args in zip(parts, given, strict=True))))
    found = activation_spectra(net, draws(200, 3, 16))
    law, drawn = by_name(found, "2"), by_name(found, "5")
    assert (law.random_by, drawn.random_by) == ("law", "draws")
    assert law.dimension == pytest.approx(law.random_dimension, rel=0.15)
    assert drawn.dimension == pytest.approx(drawn.random_dimension, rel=0.15)
    assert law.n_positions == 16


LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "linear": (nn.Linear(5, 4), (9, 5)),
    "tokens": (nn.Linear(5, 4), (9, 7, 5)),
    "dilated": (nn.Conv1d(2, 4, 3, padding=2, dilation=2, padding_mode="circular"), (9, 2, 11)),
    "strided": (nn.Conv2d(2, 4, (5, 2), stride=(3, 2), padding=1), (9, 2, 13, 8)),
    "two dims": (nn.Conv2d(2, 4, (3, 5), padding=(1, 2), padding_mode="reflect"), (9, 2, 8, 11)),
    "three dims": (nn.Conv3d(2, 4, 3, padding="same", dilation=2), (9, 2, 6, 7, 5)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_patches_are_what_the_weights_multiply(name):
    layer, shape = LAYERS[name]
    reading = read_features(layer, {"": layer}, ((draws(*shape),), {}))[0][""]
    assert reading.patches is not None
    assert reading.given is not None
    product = reading.patches @ layer.get_parameter("weight").detach().double().flatten(1).mT
    assert (product + layer.get_parameter("bias").detach() - reading.given).abs().max() < 1e-5


def test_components_are_those_of_what_the_weights_multiply():
    x = torch.zeros(60, 8)
    x[:, :2] = draws(60, 2) * torch.tensor([3.0, 1.0])
    found = input_components(nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2)), x, n=5)
    assert found["0"].shape == (2, 8)
    assert np.abs(found["0"][0, 0]) == pytest.approx(1.0, abs=0.05)
    assert found["0"] @ found["0"].T == pytest.approx(np.eye(2), abs=1e-9)


def test_learned_weights_stand_apart_from_random_ones():
    net = seeded(lambda: nn.Sequential(nn.Linear(40, 80), nn.Tanh(), nn.Linear(80, 2)))
    with torch.no_grad():
        net.get_parameter("0.weight").data += torch.outer(torch.ones(80), torch.ones(40)) / 10
    found = by_name(activation_spectra(net, draws(200, 40)), "2")
    assert found.eigenvalues[0] > 3 * found.random_eigenvalues[0]


def test_labels_tell_how_far_classes_collapsed():
    labels = np.repeat([0, 1, 2], 20)
    points = torch.eye(3).repeat_interleave(20, dim=0)
    net = nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU(), nn.Linear(3, 3, bias=False))
    with torch.no_grad():
        net.get_parameter("0.weight").copy_(torch.eye(3))
        net.get_parameter("2.weight").copy_(torch.eye(3) - 1 / 3)
    collapse = by_name(activation_spectra(net, points, labels=labels), "2").collapse
    assert collapse.within == pytest.approx(0.0, abs=1e-12)
    assert collapse.norms == pytest.approx(0.0, abs=1e-7)
    assert collapse.angles == pytest.approx(0.0, abs=1e-7)
    assert collapse.duality == pytest.approx(0.0, abs=1e-6)
    assert collapse.disagreement == 0.0


def test_scatter_within_classes_equals_the_formula():
    rng = np.random.default_rng(0)
    h, y = rng.normal(size=(90, 8)) + np.repeat(3 * rng.normal(size=(3, 8)), 30, axis=0), np.repeat([0, 1, 2], 30)
    means = np.stack([h[y == c].mean(axis=0) for c in range(3)])
    centered = means - means.mean(axis=0)
    within = (h - means[y]).T @ (h - means[y]) / 90
    expected = np.trace(within @ np.linalg.pinv(centered.T @ centered / 3)) / 3
    assert neural_collapse(h, y).within == pytest.approx(expected, rel=1e-9)
    with pytest.raises(DataError, match="two classes"):
        neural_collapse(h, np.zeros(90))


def test_nets_of_every_kind_are_read_and_left_as_found():
    net = seeded(lambda: models.build("resnet1d", n_channels=2, n_times=32, n_outputs=3, width=16, norm="group"))
    net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    found = activation_spectra(net, draws(40, 2, 32), labels=np.arange(40) % 3)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert net.training
    assert not any(each._forward_hooks for each in net.modules())
    assert found[-1].name == "output"
    assert [each.random_by for each in found].count("draws") >= 2
    assert len(found.to_dict()["layers"]) == len(found)
    assert found.variables()["activation_eigenvalue"][1].shape == (
        len(found),
        max(each.eigenvalues.size for each in found),
    )


def test_what_cannot_be_told_of_collapse_is_not_said():
    x, net = draws(30, 6), nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    one_each = activation_spectra(net, x[:3], labels=[0, 1, 2])
    assert all(each.collapse is None for each in one_each)
    with pytest.raises(DataError, match="two samples of each class"):
        neural_collapse(x[:3].numpy(), [0, 1, 2])
    two = neural_collapse(x.numpy(), np.arange(30) % 2)
    assert (two.norms, two.angles) == (None, None)
    assert "lengths" not in two.summary()


def test_the_error_of_the_scatter_is_that_of_new_samples():
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        y = np.arange(90) % 3
        found.append(neural_collapse(rng.normal(size=(90, 5)) + 2 * np.eye(5)[y], y))
    scatter = np.std([each.within for each in found])
    assert np.mean([each.within_se for each in found]) == pytest.approx(scatter, rel=0.35)


def test_any_precision_is_read_and_a_sample_that_does_not_fit_is_refused():
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).bfloat16()
    assert by_name(activation_spectra(net, draws(30, 6), labels=np.arange(30) % 3), "2").collapse is not None
    for call in (activation_spectra, jacobian_spectrum):
        with pytest.raises(ConfigError, match="takes"):
            call(net, draws(30, 5))
    with pytest.raises(ConfigError, match="takes"):
        activation_spectra(net.float(), torch.ones(30, 6, dtype=torch.long))


def test_bad_input_is_refused():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(ConfigError, match="alpha"):
        activation_spectra(net, draws(9, 4), alpha=2.0)
    with pytest.raises(DataError, match="three inputs"):
        activation_spectra(net, draws(2, 4))
    with pytest.raises(DataError, match="label"):
        activation_spectra(net, draws(9, 4), labels=[0, 1])
