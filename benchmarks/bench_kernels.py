"""What Gaussian processes of wide nets cost and reach: beside scikit-learn, beside a ridge regression, over sizes.

`bench_kernels.py cost|nystroem|width|sets` runs one section; without an argument all of them.
"""

import resource
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from _archive import folder, load
from _report import machine, record, table
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import RidgeCV
from sklearn.svm import SVC

from sciml.theory.kernels import finite_kernels, fully_connected, kernel_matrices, residual
from sciml.theory.scan import size_scan
from sciml.train import NetKernel, NNGPClassifier, NNGPRegressor


def target(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.sin(X[:, 0]) + np.abs(X[:, 1]) + X[:, 2] * X[:, 3] + 0.1 * rng.normal(size=len(X))


def seconds(run: Callable[[], object]) -> tuple[float, object]:
    """Return the time of processors, over all threads: other work on the machine does not count."""
    start = time.process_time()
    found = run()
    return time.process_time() - start, found


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def cost() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for n in (1000, 10_000):
        X = rng.normal(size=(n, 100))
        y = target(X, rng)
        kernel = NetKernel(depth=2)
        made, _ = seconds(lambda X=X, kernel=kernel: kernel(X))
        fitted, model = seconds(lambda X=X, y=y: NNGPRegressor().fit(X, y))
        row: list[object] = [n, f"{made:.1f} s", f"{fitted:.1f} s", f"{peak():.1f} GiB"]
        if n == 1000:
            fixed = GaussianProcessRegressor(model.kernel_, alpha=model.noise_ / model.amplitude_, optimizer=None)
            spent, _ = seconds(lambda X=X, y=y, fixed=fixed: fixed.fit(X, y - y.mean()))
            ours = model.predict(X[:100]) - y.mean()
            row += [f"{spent:.1f} s", f"{np.abs(ours - fixed.predict(X[:100])).max():.1e}"]
        rows.append([*row, *[""] * (6 - len(row))])
    columns = (
        "samples",
        "kernel alone",
        "fit with tuning",
        "peak memory so far",
        "scikit-learn, no tuning",
        "difference",
    )
    threads = torch.get_num_threads()
    what = f"100 features, two hidden layers of ReLU; seconds of processors, {threads} thread{'s' * (threads > 1)}."
    text = f"{what}\n\n{table(columns, rows)}"
    record("Kernels: cost", f"{text}\n\n{machine('torch', 'scikit-learn')}")


def nystroem() -> None:
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(30_000, 20)), rng.normal(size=(2000, 20))
    y, truth = target(X, rng), target(new, rng)
    rows = []
    for n, points in ((3000, 0), (30_000, 250), (30_000, 1000)):
        model = NNGPRegressor(n_inducing=points or 2, optimize=True)
        spent, _ = seconds(lambda n=n, model=model: model.fit(X[:n], y[:n]))
        mean, std = model.predict(new, return_std=True)
        inside = np.abs(truth - mean) < 1.96 * np.sqrt(std**2 + model.noise_)
        error = np.sqrt(np.mean((mean - truth) ** 2))
        rows.append([n, points or "exact", f"{spent:.1f} s", f"{error:.3f}", f"{100 * inside.mean():.1f} %"])
    ridge = RidgeCV().fit(X, y)
    rows.append([30_000, "ridge", "", f"{np.sqrt(np.mean((ridge.predict(new) - truth) ** 2)):.3f}", ""])
    columns = (
        "samples",
        "inducing points",
        "fit (seconds of processors)",
        "root mean square error (noise 0.1)",
        "inside 95 % intervals",
    )
    record("Kernels: inducing points", f"{table(columns, rows)}\n\n{machine('torch', 'scikit-learn')}")


def width() -> None:
    X = np.random.default_rng(0).normal(size=(4, 8))
    nets = {
        "ReLU, 3 layers": fully_connected(3, sigma_b2=0.1),
        "tanh, 3 layers": fully_connected(3, "tanh", sigma_w2=1.5, sigma_b2=0.1),
        "residual erf, 4 blocks": residual(4, "erf", layers=2),
    }
    rows = []
    for name, net in nets.items():
        wide = kernel_matrices(net, X)
        for kind in ("nngp", "ntk"):

            def distance(n: int, rng: np.random.Generator, net=net, wide=wide, kind=kind) -> float:
                generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
                found = getattr(finite_kernels(net, X, width=n, generator=generator), kind)
                known = getattr(wide, kind)
                return float((found - known).norm() / known.norm())

            scan = size_scan(distance, [64, 128, 256, 512], n_draws=20, rng=np.random.default_rng(0))
            p = "" if scan.p_value is None else f"{scan.p_value:.2f}"
            rows.append(
                [
                    name,
                    kind,
                    *(f"{100 * v:.1f} %" for v in scan.values),
                    f"{scan.exponent:.2f} ± {scan.exponent_error:.2f}",
                    p,
                ]
            )
    columns = (
        "net",
        "kernel",
        *(f"width {n}" for n in (64, 128, 256, 512)),
        "exponent (theory -0.5)",
        "p of misfit",
    )
    record(
        "Kernels: distance of finite nets", f"Relative distance of one drawn net, mean of 20.\n\n{table(columns, rows)}"
    )


def sets() -> None:
    if folder() is None:
        print("sktime is not installed: published sets are left out", file=sys.stderr)
        return
    rows = []
    for name in ("GunPoint", "ItalyPowerDemand", "UnitTest"):
        (X, y), (X_test, y_test) = load(name)
        X, X_test = (each.reshape(len(each), -1) for each in (X, X_test))
        size = np.sqrt(np.mean((X - X.mean()) ** 2))
        X, X_test = (X - X.mean()) / size, (X_test - X.mean()) / size
        kernels = {
            "NNGP, dense": NetKernel(2),
            "NTK, dense": NetKernel(2, kind="ntk"),
            "NNGP, convolutional": NetKernel(
                2, architecture="convolutional", options={"kernel": 5, "readout": "flatten"}
            ),
        }
        row = [name]
        for kernel in kernels.values():
            model = NNGPClassifier(kernel).fit(X, y)
            row.append(f"{model.score(X_test, y_test):.3f}")
        row.append(f"{SVC().fit(X, y).score(X_test, y_test):.3f}")
        rows.append(row)
    columns = ("set", *kernels, "SVC (RBF)")
    record("Kernels: published sets", f"Accuracy on the published test part.\n\n{table(columns, rows)}")


SECTIONS = {"cost": cost, "nystroem": nystroem, "width": width, "sets": sets}

if __name__ == "__main__":
    for name in sys.argv[1:] or SECTIONS:
        SECTIONS[name]()
