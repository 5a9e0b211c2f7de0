"""What training reaches by its defaults, and whether its scores are what they say.

Published sets come from the wheel of sktime (`make setup` installs it). `bench_training.py sets|resnet|waveform|
intervals|conformal` runs one section; without an argument all of them.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import scipy.special
import scipy.stats
import torch
from _archive import folder, load
from _report import machine, record, table

from sciml.train import SignalClassifier, baselines, conformal_intervals, conformal_sets, metrics, probabilities

torch.set_num_threads(1)
SEEDS = 5
PUBLISHED = {"GunPoint": "1.000", "ItalyPowerDemand": ".963"}  # FCN, mean of five runs
SETS = {"ItalyPowerDemand": 5, "BasicMotions": 5, "GunPoint": 5, "UnitTest": 5, "ArrowHead": 2, "JapaneseVowels": 1}


def numbers(values: list[float], digits: int = 3) -> str:
    text = f"{np.mean(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def sets() -> None:
    rows = []
    for name, n_seeds in SETS.items():
        (X, y), (X_test, y_test) = load(name)
        classes, labels = np.unique(y, return_inverse=True)
        test = X_test, np.searchsorted(classes, y_test)
        scores, seconds, kernels, kernel_seconds = [], [], [], []
        for seed in range(n_seeds):
            start = time.process_time()
            net = SignalClassifier(random_state=seed, device="cpu").fit(X, y)
            seconds.append(time.process_time() - start)
            scores.append(float(net.score(X_test, y_test)))
            start = time.process_time()
            found = baselines.kernel_classifier((X, labels), None, test, n_classes=len(classes), seed=seed)
            kernel_seconds.append(time.process_time() - start)
            kernels.append(found.metrics["accuracy"])
        size = f"{len(X)}/{len(X_test)} x {X.shape[1]} x {X.shape[2]}"
        shown = (numbers(scores), numbers(seconds, 0), PUBLISHED.get(name, "-"), numbers(kernels))
        rows.append((name, size, len(classes), n_seeds, *shown, numbers(kernel_seconds, 1)))
        print(rows[-1], flush=True)
    columns = ("set", "train/test x channel x time", "classes", "seeds", "FCN, defaults", "CPU s a seed")
    text = (
        "Accuracy of `SignalClassifier(random_state=seed)` and of `kernel_classifier` (random convolution kernels and "
        "ridge, the penalty by leaving out) on the published test parts: mean over seeds (lowest to highest). A fifth "
        "of the train part stops the net; the kernels learn from all of it.\n\n"
    )
    head = (*columns, "published FCN", "kernels", "CPU s")
    record("Training: published sets", text + table(head, rows) + "\n\n" + where())


# seeds, accuracy asked for, published mean (dl-4-tsc, five runs of 1500 epochs)
RESNET = {"ItalyPowerDemand": (5, 0.955, 0.962), "GunPoint": (3, 0.98, 0.991)}


def resnet() -> None:
    rows = []
    for name, (n_seeds, wanted, published) in RESNET.items():
        (X, y), (X_test, y_test) = load(name)
        scores, seconds = [], []
        for seed in range(n_seeds):
            start = time.process_time()
            net = SignalClassifier("resnet", random_state=seed, device="cpu").fit(X, y)
            seconds.append(time.process_time() - start)
            scores.append(float(net.score(X_test, y_test)))
        verdict = "yes" if np.mean(scores) >= wanted else "NO"
        rows.append((name, n_seeds, numbers(scores, 4), f"{wanted:g}", verdict, f"{published:g}", numbers(seconds, 0)))
        print(rows[-1], flush=True)
    text = (
        "Accuracy of `SignalClassifier('resnet', random_state=seed)`, the net of Wang, Yan and Oates (2017), at the "
        "defaults of training, on the published test parts: mean over seeds (lowest to highest).\n\n"
    )
    head = ("set", "seeds", "resnet, defaults", "asked for", "reached", "published", "CPU s a seed")
    record("Training: the residual net of 2017", text + table(head, rows) + "\n\n" + where())


def waveform(n: int, *, rho: float, seed: int, n_times: int = 64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """White noise, in half of the windows with a known waveform of norm rho."""
    rng = np.random.default_rng(seed)
    shape = np.sin(np.linspace(0, 4 * np.pi, n_times)) * np.hanning(n_times)
    shape *= rho / np.linalg.norm(shape)
    y = rng.integers(0, 2, n)
    return rng.normal(size=(n, 1, n_times)) + y[:, None, None] * shape, y, shape


NETS = {
    "linear": {"model": "linear"},
    "FCN, filters of 65 and 33 samples, last sample": {
        "model_options": {"width": 16, "kernels": [65, 33], "pool": "last"},
    },
    "FCN, defaults": {},
}


def known_waveform() -> None:
    auc = metrics.METRICS["auc"]
    rows = []
    for rho in (2.0, 3.0):
        X, y, _ = waveform(3000, rho=rho, seed=0)
        X_test, y_test, shape = waveform(20000, rho=rho, seed=1)
        optimum = float(scipy.stats.norm.cdf(rho / np.sqrt(2)))
        # Hanley and McNeil (1982), equal numbers of both classes
        q1, q2 = optimum / (2 - optimum), 2 * optimum**2 / (1 + optimum)
        spread = optimum * (1 - optimum) + (len(y_test) / 2 - 1) * (q1 + q2 - 2 * optimum**2)
        error = np.sqrt(spread / (len(y_test) / 2) ** 2)
        matched = X_test[:, 0] @ shape
        best = auc(np.stack([-matched, matched], axis=1), y_test)
        for name, options in NETS.items():
            start = time.process_time()
            net = SignalClassifier(random_state=0, device="cpu", **options).fit(X, y)
            seconds = time.process_time() - start
            z = net.decision_function(X_test)
            values = (auc(np.stack([-z, z], axis=1), y_test), best, optimum, error)
            rows.append((f"{rho:g}", name, *(f"{value:.4f}" for value in values), f"{seconds:.0f}"))
            print(rows[-1], flush=True)
    text = (
        "A known waveform (two periods under a Hann window, 64 samples) in white noise, at distance rho of the means "
        "over the standard deviation; 3000 windows, 20000 to test. AUC; the optimum is Phi(rho / sqrt 2). The net by "
        "default sees 14 samples at a time and averages over the rest: what it cannot see it does not find.\n\n"
    )
    head = ("rho", "net", "AUC", "matched filter", "optimum", "standard error", "CPU s")
    record("Training: a known waveform in white noise", text + table(head, rows) + "\n\n" + where())


def intervals() -> None:
    """Right or wrong in units of 40 windows whose level differs, logit normal."""
    rng = np.random.default_rng(0)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    rows = []
    for n_units, spread in ((6, 1.0), (10, 2.0), (15, 2.0), (30, 1.0), (30, 2.0), (100, 2.0), (30, 0.0)):
        center = scipy.special.logit(0.7)
        truth = float(weights @ scipy.special.expit(center + spread * nodes) / weights.sum())
        covered = {"units": 0, "wilson": 0}
        for _ in range(300):
            level = scipy.special.expit(center + spread * rng.normal(size=(n_units, 1)))
            right = (rng.random((n_units, 40)) < level).ravel().astype(int)
            units = np.repeat(np.arange(n_units), 40)
            scores = metrics.classification_scores(np.ones_like(right), right, n_classes=2, units=units, rng=rng)
            low, high = metrics.wilson_interval(int(right.sum()), len(right))
            covered["units"] += scores.interval[0] <= truth <= scores.interval[1]
            covered["wilson"] += low <= truth <= high
        rows.append((n_units, f"{spread:g}", *(f"{100 * each / 300:.1f} %" for each in covered.values())))
    text = (
        "How often 95 % intervals of an accuracy hold its true value, in 300 simulations: units of 40 windows whose "
        "logit has that standard deviation around .7 (0: windows are independent). Standard error 1.3 %.\n\n"
    )
    head = ("units", "spread of the logit", "bootstrap over units", "Wilson, windows independent")
    record("Training: intervals of clustered windows", text + table(head, rows) + "\n\n" + where())


def conformal() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for n, factor in ((100, 1.0), (1000, 1.0), (1000, 5.0)):
        sets_cover, sizes, interval_cover = [], [], []
        for _ in range(100):
            z = 1.5 * rng.normal(size=(n + 2000, 4))
            y = (probabilities(z).cumsum(axis=1) > rng.random((len(z), 1))).argmax(axis=1)
            p = probabilities(factor * z)
            rule = conformal_sets(p[:n], y[:n], confidence=0.9)
            sets_cover.append(rule.coverage(p[n:], y[n:]))
            sizes.append(float(rule.sets(p[n:]).sum(axis=1).mean()))
            error = rng.standard_t(3, size=len(z))
            bounds = conformal_intervals(np.zeros(n), error[:n], confidence=0.9)
            interval_cover.append(float(bounds.coverage(np.zeros(2000), error[n:])[0]))
        shown = (
            f"{100 * np.mean(each):.1f} % (sd {100 * np.std(each):.1f} %)" for each in (sets_cover, interval_cover)
        )
        rows.append((n, f"{factor:g}", *shown, f"{np.mean(sizes):.2f}"))
    text = (
        "Coverage at 90 %, over 100 draws of calibration and 2000 test items: sets from probabilities of logits that "
        "are too large by a factor, intervals of errors with Student's law of three degrees of freedom.\n\n"
    )
    head = ("calibration items", "logits times", "sets", "intervals", "classes in a set")
    record("Training: conformal coverage", text + table(head, rows) + "\n\n" + where())


def where() -> str:
    return "1 thread; " + machine("numpy", "torch", "scikit-learn")


SECTIONS: dict[str, Callable[[], None]] = {
    "intervals": intervals,
    "conformal": conformal,
    "waveform": known_waveform,
    "sets": sets,
    "resnet": resnet,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or SECTIONS:
        if name in ("sets", "resnet") and folder() is None:
            print("sktime is not installed: published sets are left out", file=sys.stderr)
        else:
            SECTIONS[name]()
