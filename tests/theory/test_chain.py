"""Chains against the tables of residual and normalized nets, and against random nets that are drawn and run."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.random import Generator

from sciml.errors import ConfigError, NumericalError
from sciml.theory.chain import (
    Activate,
    Affine,
    Attention,
    Branch,
    ChainMoments,
    Normalize,
    Pool,
    Step,
    Taps,
    follow,
    plain_net,
    residual_net,
)
from sciml.theory.chain.attention import participation
from sciml.theory.meanfield import critical_point, propagate

DEPTHS = [10, 50, 100]
Layer = Callable[..., np.ndarray]
RATE = math.pi / (math.pi - 1.0)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    ("layers", "strength", "expected"),
    [
        (1, lambda _: 2.0, lambda L: 2.0**L),
        (1, lambda _: 1.0, lambda L: 1.5**L),
        (1, lambda L: 1.0 / L, lambda L: (1.0 + 0.5 / L) ** L),
        (1, lambda L: 2.0 / L, lambda L: (1.0 + 1.0 / L) ** L),
        (2, lambda L: 1.0 / L, lambda L: (1.0 + 0.25 / L**2) ** L),
        (2, lambda L: 2.0 / math.sqrt(L), lambda L: (1.0 + 1.0 / L) ** L),
        (3, lambda L: 2.0 * L ** (-1.0 / 3.0), lambda L: (1.0 + 1.0 / L) ** L),
    ],
)
def test_residual_nets_grow_as_the_product_over_blocks(
    depth: int, layers: int, strength: Callable[[int], float], expected: Callable[[int], float]
) -> None:
    moments = follow(residual_net(depth, layers, sigma_w2=strength(depth)))
    assert moments.growth == pytest.approx(expected(depth), rel=1e-10)
    assert moments.gradient_growth == pytest.approx(expected(depth), rel=1e-10)


# measured at width 256 with 64 samples and 3 seeds
@pytest.mark.parametrize(("depth", "measured"), [(10, 4.38), (50, 84.9), (100, 797.0)])
def test_relu_that_closes_the_branch_lets_the_signal_drift(depth: int, measured: float) -> None:
    # The mean m of the stream grows by E[φ], and adds 2 m E[φ] to its second moment in each block.
    q, m, strength = 1.0, 0.0, 1.0 / depth
    for _ in range(depth):
        added = math.sqrt(strength * q / (2.0 * math.pi))
        q, m = q * (1.0 + strength / 2.0) + 2.0 * m * added, m + added
    moments = follow(residual_net(depth, sigma_w2=1.0 / depth, closing=True))
    assert moments.growth == pytest.approx(q, rel=1e-10)
    assert moments.mean[-1] == pytest.approx(m, rel=1e-10)
    assert moments.growth == pytest.approx(measured, rel=0.1)


# squared gradients measured at width 256: the mean of the stream hands them back, 1 / width of them at first
@pytest.mark.parametrize(("depth", "measured", "error"), [(10, 1.66, 0.02), (50, 2.29, 0.06), (100, 8.7, 0.25)])
def test_relu_that_closes_the_branch_lets_gradients_drift_in_nets_of_finite_width(
    depth: int, measured: float, error: float
) -> None:
    moments = follow(residual_net(depth, sigma_w2=1.0 / depth, closing=True, width=256))
    assert moments.gradient_growth == pytest.approx(measured, rel=error)
    wide = follow(residual_net(depth, sigma_w2=1.0 / depth, closing=True))
    assert wide.gradient_growth == pytest.approx((1.0 + 0.5 / depth) ** depth, rel=1e-10)
    ending = follow(residual_net(depth, sigma_w2=1.0 / depth, width=256))
    assert ending.gradient_growth == pytest.approx(wide.gradient_growth, rel=1e-12)


@pytest.mark.parametrize("depth", [10, 30, 60])
def test_batch_norm_laws(depth: int) -> None:
    linear = follow(residual_net(depth, 1, "identity", sigma_w2=1.0, norm="batch", norm_last=True))
    assert linear.gradient_growth == pytest.approx(depth + 1.0, rel=1e-12)
    after = follow(residual_net(depth, sigma_w2=2.0, norm="batch", norm_last=True))
    assert after.gradient_growth == pytest.approx(math.prod(1 + RATE / (i + 1) for i in range(depth)), rel=1e-10)
    before = follow(residual_net(depth, sigma_w2=2.0, norm="batch"))
    assert before.second[-1] * (1 - before.correlation[-1]) == pytest.approx(1 + (1 - 1 / math.pi) * depth, rel=1e-10)
    factors = math.prod(1 + 1 / (1 + (1 - 1 / math.pi) * i) for i in range(depth))
    assert before.gradient_growth == pytest.approx(factors, rel=1e-10)
    plain = follow([Activate("relu"), Affine(2.0), Normalize("batch")] * depth)  # 46.1, 9.8e4, 9.7e9
    assert plain.gradient_growth == pytest.approx(RATE**depth, rel=1e-10)


def test_power_of_batch_norm_with_relu_is_that_of_pi() -> None:
    growth = [
        follow(residual_net(depth, sigma_w2=2.0, norm="batch", norm_last=True)).gradient_growth for depth in (400, 1600)
    ]
    # the product is Γ(L + 1 + r) / (Γ(L + 1) Γ(1 + r)), of local slope r (1 - (1 + r) / 2L)
    assert math.log(growth[1] / growth[0]) / math.log(4.0) == pytest.approx(RATE, rel=3e-3)


@pytest.mark.parametrize("name", ["tanh", "gelu", "relu"])
def test_a_plain_chain_is_the_length_map(name: str) -> None:
    path = propagate(name, 6, sigma_w2=1.7, sigma_b2=0.1, q0=0.4)
    moments = follow([Activate(name), Affine(1.7, 0.1)] * 6, q=0.4)
    np.testing.assert_allclose(moments.second[::2], path.q, rtol=1e-12)
    np.testing.assert_allclose(moments.chi_1[::2] * moments.chi_1[1::2], path.chi_1[:-1], rtol=1e-12)
    np.testing.assert_allclose(moments.chi_q[::2] * moments.chi_q[1::2], path.chi_q[:-1], rtol=1e-12)


def test_critical_chain_keeps_gradients() -> None:
    point = critical_point("tanh", sigma_b2=0.05)
    moments = follow([Activate("tanh"), Affine(point.sigma_w2, point.sigma_b2)] * 100, q=point.q)
    np.testing.assert_allclose(moments.second, point.q, rtol=1, atol=0)
    assert moments.gradient_growth == pytest.approx(1.0, rel=1e-9)


# E|x|⁴ / E[|x|²]² = Π (1 + 5/n) of ReLU with He's weights, Π (1 + 2/n) of linear nets
@pytest.mark.parametrize(("name", "sigma_w2", "factor"), [("relu", 2.0, 5.0), ("identity", 1.0, 2.0)])
def test_scatter_of_narrow_nets_is_hanins(name: str, sigma_w2: float, factor: float) -> None:
    moments = follow(plain_net(10, name, sigma_w2=sigma_w2, width=32))
    assert 1.0 + moments.variance[-1] == pytest.approx((1.0 + factor / 32.0) ** 10, rel=1e-12)
    assert 1.0 + moments.gradient_variance[0] == pytest.approx((1.0 + factor / 32.0) ** 10, rel=1e-12)


def draw(generator: Generator, n_out: int, n_in: int, strength: float, law: str = "gaussian") -> np.ndarray:
    if law == "gaussian":
        return generator.standard_normal((n_out, n_in)) * math.sqrt(strength / n_in)
    q, r = np.linalg.qr(generator.standard_normal((n_in, n_out)))
    return math.sqrt(strength) * (q * np.sign(np.diag(r))).T


@pytest.mark.parametrize("law", ["gaussian", "orthogonal"])
@pytest.mark.parametrize(("name", "phi", "strength"), [("relu", relu, 2.0), ("tanh", np.tanh, 1.4)])
def test_scatter_is_that_of_drawn_nets(law: str, name: str, phi: Layer, strength: float) -> None:
    width, depth, n_nets = 40, 6, 1500
    generator = np.random.default_rng(0)
    finals = []
    for _ in range(n_nets):
        h = generator.standard_normal(width)
        h *= math.sqrt(width) / np.linalg.norm(h)
        for _ in range(depth):
            h = phi(draw(generator, width, width, strength, law) @ h)
        finals.append(float(np.mean(h**2)))
    moments = follow(plain_net(depth, name, sigma_w2=strength, width=width, law=law))
    relative = np.var(finals) / np.mean(finals) ** 2
    # the variance of heavy tails of 1500 nets is known to about a tenth; terms of second order in 1/width are left out
    assert relative == pytest.approx(moments.variance[-1], rel=0.3)
    assert np.exp(np.mean(np.log(finals))) == pytest.approx(moments.typical[-1], rel=0.06)


@pytest.mark.parametrize(
    ("depth", "layers", "strength", "closing"),
    [(20, 1, 0.1, False), (20, 2, 2.0 / math.sqrt(20.0), False), (8, 1, 0.5, False), (20, 1, 0.05, True)],
)
def test_scatter_of_residual_nets_is_that_of_drawn_nets(
    depth: int, layers: int, strength: float, closing: bool
) -> None:
    # blocks find much the same units as the block before: their deviations add up, and do not average out
    width, generator, finals = 32, np.random.default_rng(0), []
    for _ in range(700):
        x = generator.standard_normal(width)
        x *= math.sqrt(width) / np.linalg.norm(x)
        for _ in range(depth):
            h = x
            for _ in range(layers):
                W = draw(generator, width, width, strength)
                h = relu(W @ h) if closing else W @ relu(h)
            x = x + h
        finals.append(float(np.mean(x**2)))
    moments = follow(residual_net(depth, layers, sigma_w2=strength, closing=closing, width=width))
    logs = np.log(finals)
    # the variance of ln of 700 nets is known to 5 %, its mean to 2 %; the rest is of second order in 1 / width
    assert np.var(logs) == pytest.approx(math.log1p(moments.variance[-1]), rel=0.25)
    assert math.exp(np.mean(logs)) == pytest.approx(moments.typical[-1], rel=0.08)


def simulate(layers: Sequence[Layer], x: np.ndarray, n_nets: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard error of the second moment and the correlation of two inputs, over nets."""
    generator, found = np.random.default_rng(1), []
    for _ in range(n_nets):
        y = x
        for layer in layers:
            y = layer(generator, y)
        found.append((np.mean(y**2), np.mean(y[0] * y[1]) / np.mean(y**2)))
    return np.mean(found, axis=0), np.std(found, axis=0) / math.sqrt(n_nets)


def pair(width: int, correlation: float) -> np.ndarray:
    """Two inputs of exactly this correlation and unit second moment."""
    q, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((width, 2)))
    one, other = math.sqrt(width) * q.T
    return np.stack([one, correlation * one + math.sqrt(1 - correlation**2) * other])


def affine(strength: float) -> Layer:
    return lambda generator, y: y @ draw(generator, y.shape[-1], y.shape[-1], strength).T


def test_activations_on_the_stream_follow_the_law_of_its_units() -> None:
    # relu(x + F(x)): units are no Gaussians, and the mean of the stream grows
    depth, width = 12, 300
    strength = 2.0 / math.sqrt(depth)
    weights = affine(strength)

    def block(generator: Generator, y: np.ndarray) -> np.ndarray:
        return relu(y + weights(generator, relu(weights(generator, y))))

    mean, error = simulate([affine(2.0), lambda _, y: relu(y), *[block] * depth], pair(width, 0.3), 60)
    block_steps: list[Step] = [Branch((Affine(strength), Activate("relu"), Affine(strength))), Activate("relu")]
    moments = follow([Affine(2.0), Activate("relu"), *block_steps * depth], correlation=0.3)
    assert moments.second[-1] == pytest.approx(mean[0], abs=4 * error[0])
    assert moments.correlation[-1] == pytest.approx(mean[1], abs=4 * error[1] + 0.005)


def test_gradients_keep_to_the_units_that_let_them_pass() -> None:
    # Of x -> relu(x + F(x)) the same units stay active: their slopes are no independent factors.
    depth, width, n_nets = 10, 300, 30
    strength = 2.0 / math.sqrt(depth)
    generator, found = np.random.default_rng(3), []
    for _ in range(n_nets):
        y, tape = relu(draw(generator, width, width, 2.0) @ generator.standard_normal(width)), []
        first = y > 0
        for _ in range(depth):
            W, V = draw(generator, width, width, strength), draw(generator, width, width, strength)
            u = W @ y
            y = y + V @ relu(u)
            tape.append((W, V, u > 0, y > 0))
            y = relu(y)
        g = generator.standard_normal(width)
        start = g @ g
        for W, V, inner, outer in reversed(tape):
            g = g * outer
            g = g + W.T @ (inner * (V.T @ g))
        found.append(float(((g * first) @ (g * first)) / start))
    block_steps: list[Step] = [Branch((Affine(strength), Activate("relu"), Affine(strength))), Activate("relu")]
    moments = follow([Affine(2.0), Activate("relu"), *block_steps * depth])
    assert moments.gradient[1] == pytest.approx(np.mean(found), abs=4 * float(np.std(found)) / math.sqrt(n_nets))


def test_layer_norm_holds_the_stream_and_brings_inputs_together_as_drawn_nets_do() -> None:
    def norm(_: Generator, y: np.ndarray) -> np.ndarray:
        centered = y - y.mean(axis=-1, keepdims=True)
        return centered / centered.std(axis=-1, keepdims=True)

    weights = affine(2.0)

    def block(generator: Generator, y: np.ndarray) -> np.ndarray:
        return norm(generator, y + relu(weights(generator, y)))

    mean, error = simulate([block] * 8, pair(300, 0.2), 40)
    moments = follow([Branch((Affine(2.0), Activate("relu"))), Normalize("layer")] * 8, correlation=0.2)
    assert moments.second[-1] == pytest.approx(1.0, rel=1e-12)
    assert moments.correlation[-1] == pytest.approx(mean[1], abs=4 * error[1] + 0.01)


@pytest.mark.parametrize(
    "taps",
    [
        Taps((5,)),
        Taps((3,), stride=(2,), padding=((1, 1),)),
        Taps((3,), dilation=(2,)),
        Taps((4,), padding=((0, 3),)),
        Taps((3,), circular=True),
    ],
)
def test_taps_are_the_mean_of_powers_that_a_convolution_adds(taps: Taps) -> None:
    (size,), (stride,), (dilation,), (padding,) = taps.size, taps.stride, taps.dilation, taps.padding  # type: ignore[misc]
    power = np.random.default_rng(0).uniform(0.5, 2.0, 11)
    padded = np.pad(power, padding, mode="wrap" if taps.circular else "constant")
    length = (padded.size - dilation * (size - 1) - 1) // stride + 1
    naive = [np.mean([padded[t * stride + j * dilation] for j in range(size)]) for t in range(length)]
    np.testing.assert_allclose(taps.forward(power), naive, rtol=1e-14)
    other = np.random.default_rng(1).uniform(size=length)
    assert taps.backward(other, power.shape) @ power == pytest.approx(other @ taps.forward(power), rel=1e-13)


def test_zero_padding_loses_power_at_the_borders_and_more_with_depth() -> None:
    taps, length = Taps((3,)), 24
    shallow = follow(plain_net(1, sigma_w2=2.0, taps=taps), positions=(length,))
    assert shallow.growth == pytest.approx(1.0 - 2.0 / (3.0 * length), rel=1e-12)
    deep = follow(plain_net(100, sigma_w2=2.0, taps=taps), positions=(length,))
    # a walk of three equal steps that ends outside: modes sin(π k t / 25) of eigenvalues (1 + 2 cos(π k / 25)) / 3
    angle = np.pi * np.arange(1, 25) / 25
    modes = np.sin(np.outer(angle, np.arange(1, 25))).sum(axis=1)
    assert deep.growth == pytest.approx(
        2 / 25 / 24 * (modes**2 * ((1 + 2 * np.cos(angle)) / 3) ** 100).sum(), rel=1e-10
    )
    assert deep.gradient_growth == pytest.approx(deep.growth, rel=1e-12)
    assert deep.profile[0] < 0.2 * deep.profile[12]
    whole = follow(plain_net(100, sigma_w2=2.0, taps=Taps((3,), circular=True)), positions=(length,))
    assert whole.growth == pytest.approx(1.0, rel=1e-12)
    plane = follow(plain_net(1, sigma_w2=2.0, taps=Taps((3, 5))), positions=(9, 7))
    assert plane.growth == pytest.approx((1 - 2 / 27) * (1 - 6 / 35), rel=1e-12)


@pytest.mark.parametrize("name", ["tanh", "elu"])
def test_many_positions_are_interpolated_to_what_few_give(name: str) -> None:
    profile = np.geomspace(0.3, 2.0, 60)
    many = follow([Activate(name)], q=profile, correlation=0.4, positions=(60,))
    for i in (0, 17, 59):
        one = follow([Activate(name)], q=float(profile[i]), correlation=0.4)
        assert many.profile[i] == pytest.approx(one.second[-1], rel=1e-9)


def test_mean_over_positions() -> None:
    moments = follow([Pool(correlation=0.25)], q=np.full(8, 2.0), positions=(8,))
    assert moments.second[-1] == pytest.approx(2.0 * (1 / 8 + 7 / 8 * 0.25))
    assert moments.gradient_growth == pytest.approx(1.0 / 8.0)
    windows = follow([Pool(taps=Taps((2,), stride=(2,), padding=((0, 0),)))], positions=(8,))
    assert windows.gradient_growth == pytest.approx(0.5)


@pytest.mark.parametrize("variance", [0.3, 2.0])
def test_participation_of_softmax_is_that_of_drawn_scores(variance: float) -> None:
    tokens, n = 6, 100_000
    a = np.exp(math.sqrt(variance) * np.random.default_rng(0).standard_normal((n, tokens)))
    a /= a.sum(axis=1, keepdims=True)
    square, cube = (a**2).sum(axis=1), (a**3).sum(axis=1)
    for value, sample in zip(participation(variance, tokens), (square, cube, square**2), strict=True):
        assert value == pytest.approx(sample.mean(), abs=5 * sample.std() / math.sqrt(n))


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_attention_mixes_tokens_as_drawn_projections_do(strength: float) -> None:
    width, tokens, n_nets = 200, 8, 60
    generator, found = np.random.default_rng(4), []
    for _ in range(n_nets):
        shared = math.sqrt(0.3) * generator.standard_normal(width)
        x = math.sqrt(0.7) * generator.standard_normal((tokens, width)) + shared
        q, k, v = (x @ draw(generator, width, width, s).T for s in (strength, strength, 1.5))
        scores = np.exp(q @ k.T / math.sqrt(width))
        y = scores / scores.sum(axis=1, keepdims=True) @ v @ draw(generator, width, width, 1.0).T
        cross = (y.sum(axis=0) ** 2 - (y**2).sum(axis=0)).mean() / (tokens * (tokens - 1))
        found.append((np.mean(y**2), cross))
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / math.sqrt(n_nets)
    moments = follow([Attention(strength, strength, 1.5, 1.0, tokens)], correlation=0.3)
    assert moments.second[-1] == pytest.approx(mean[0], abs=4 * error[0])
    assert moments.second[-1] * moments.correlation[-1] == pytest.approx(mean[1], abs=4 * error[1] + 0.02)


def test_wrong_chains_are_rejected() -> None:
    with pytest.raises(ConfigError, match="at least one step"):
        follow([])
    with pytest.raises(ConfigError, match="weights in a residual branch"):
        Branch((Activate("relu"),))
    with pytest.raises(ConfigError, match="second moment"):
        follow([Affine(1.0)], q=-1.0)
    with pytest.raises(ConfigError, match="law"):
        Affine(1.0, law="uniform")
    with pytest.raises(ConfigError, match="norm among"):
        Normalize("weight")
    with pytest.raises(ConfigError, match="spatial dims"):
        follow([Affine(1.0, taps=Taps((3, 3)))], positions=(5,))
    with pytest.raises(NumericalError, match="exceeds"):
        follow(plain_net(2000, sigma_w2=8.0))
    with pytest.raises(NumericalError, match="does not vary"):
        follow([Normalize("batch")], correlation=1.0)


def test_moments_say_what_they_are() -> None:
    moments: ChainMoments = follow(residual_net(5, sigma_w2=2.0, width=64))
    assert repr(moments) == "ChainMoments(5 steps, growth 32, gradient 32)"
    assert "typical net" in moments.summary()
    assert len(moments.to_dict()["second"]) == 6
    low, high = moments.band()
    assert (low <= moments.typical).all()
    assert (moments.typical <= high).all()
