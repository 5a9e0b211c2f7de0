"""Theory of wide nets beside nets that are drawn: variance of squared singular values, growth and scatter.

Jacobians of plain nets of width 300 on real inputs (not slopes drawn apart), at the critical point; then residual nets
of width 64, signal and gradient, whose scatter over nets is what `typical` and the bands are made of.
"""

import math
from collections.abc import Iterator

import numpy as np
from _report import machine, record, table

from sciml._typing import FloatArray
from sciml.theory.chain import follow, residual_net
from sciml.theory.meanfield import ACTIVATIONS, critical_point
from sciml.theory.products import JacobianLaw

WIDTH, SEEDS = 300, {"relu": 40, "tanh": 6}
NETS = [("tanh", 0.05, 4), ("tanh", 0.05, 16), ("tanh", 2.007e-5, 16), ("relu", 0.0, 4)]
BLOCKS = [(20, 1, 0.1, False), (20, 2, 2.0 / math.sqrt(20.0), False), (50, 1, 0.02, False), (50, 1, 0.02, True)]
NARROW, DRAWS = 64, 400


def weights(rng: np.random.Generator, n: int, sigma_w2: float, law: str) -> FloatArray:
    W = rng.standard_normal((n, n))
    if law == "gaussian":
        return W * math.sqrt(sigma_w2 / n)
    q, r = np.linalg.qr(W)
    return math.sqrt(sigma_w2) * q * np.sign(np.diag(r))


def squared_singular_values(rng: np.random.Generator, name: str, sigma_b2: float, depth: int, law: str) -> FloatArray:
    point, member = critical_point(name, sigma_b2=sigma_b2), ACTIVATIONS[name]
    h, J = math.sqrt(point.q) * rng.standard_normal(WIDTH), np.eye(WIDTH)
    for _ in range(depth):
        W = weights(rng, WIDTH, point.sigma_w2, law)
        J = W @ (member.slope(h)[:, None] * J)
        h = W @ member.phi(h) + math.sqrt(sigma_b2) * rng.standard_normal(WIDTH)
    return np.asarray(np.linalg.svd(J, compute_uv=False) ** 2)


def jacobians() -> Iterator[tuple[object, ...]]:
    for name, sigma_b2, depth in NETS:
        for law in ("orthogonal", "gaussian"):
            rng, found = np.random.default_rng(0), []
            for _ in range(SEEDS[name]):
                values = squared_singular_values(rng, name, sigma_b2, depth, law)
                found.append((values.mean(), np.mean(values**2)))
            (mean, second), error = np.mean(found, axis=0), np.std(found, axis=0) / math.sqrt(len(found))
            point = critical_point(name, sigma_b2=sigma_b2)
            theory = JacobianLaw(name, depth, sigma_w2=point.sigma_w2, q=point.q, weights=law)
            yield (
                name,
                f"{sigma_b2:g}",
                depth,
                law,
                f"{second - mean**2:.4g}",
                f"{error[1]:.2g}",
                f"{theory.variance:.4g}",
            )


def drawn(rng: np.random.Generator, depth: int, layers: int, strength: float, closing: bool) -> tuple[float, float]:
    """Return the growth of signal and squared gradient of one residual net."""
    x, tape = rng.standard_normal(NARROW), []
    x *= math.sqrt(NARROW) / np.linalg.norm(x)
    for _ in range(depth):
        h, block = x, []
        for _ in range(layers):
            W = weights(rng, NARROW, strength, "gaussian")
            u = W @ h if closing else h
            block.append((W, u > 0))
            h = np.maximum(u, 0.0) if closing else W @ np.maximum(u, 0.0)
        x = x + h
        tape.append(block)
    d = rng.standard_normal(NARROW)
    d /= np.linalg.norm(d)
    for block in reversed(tape):
        e = d
        for W, on in reversed(block):
            e = W.T @ (on * e) if closing else on * (W.T @ e)
        d = d + e
    return float(np.mean(x**2)), float(d @ d)


def residual() -> Iterator[tuple[object, ...]]:
    for depth, layers, strength, closing in BLOCKS:
        rng = np.random.default_rng(0)
        found = np.array([drawn(rng, depth, layers, strength, closing) for _ in range(DRAWS)])
        theory = follow(residual_net(depth, layers, sigma_w2=strength, closing=closing, width=NARROW))
        logs = np.log(found)
        shown = [found[:, 0].mean(), theory.growth, logs[:, 0].std(), math.sqrt(math.log1p(theory.variance[-1])),
                 found[:, 1].mean(), theory.gradient_growth, logs[:, 1].std(),
                 math.sqrt(math.log1p(theory.gradient_variance[0]))]  # fmt: skip
        yield (depth, layers, f"{strength:.3g}", "yes" if closing else "no", *(f"{each:.3g}" for each in shown))


def main() -> None:
    one = table(("activation", "sigma_b2", "layers", "weights", "drawn", "error", "theory"), list(jacobians()))
    columns = ("blocks", "layers", "sigma_w2", "ReLU closes", "signal", "theory", "sd of ln", "theory ", "gradient",
               "theory  ", "sd of ln ", "theory   ")  # fmt: skip
    other = table(columns, list(residual()))
    text = (
        f"{machine('numpy')}\n\nVariance of the squared singular values of Jacobians, width {WIDTH}:\n\n{one}\n\n"
        f"Growth of signal and squared gradient of {DRAWS} residual nets of width {NARROW}, and scatter:\n\n{other}"
    )
    record("Theory beside drawn nets", text)


if __name__ == "__main__":
    main()
