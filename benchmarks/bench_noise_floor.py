"""Size, power, strengths and sigma of `sciml.noise.noise_floor` beside peers on the same draws.

Run with `--draws N` for another number of draws a cell than the full 200.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.signal
import xarray as xr
from _report import machine, record, table
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from sciml.noise import noise_floor
from sciml.rmt import shrink
from sciml.rmt.variance_profile import VarianceProfile

Draw = Callable[[np.random.Generator, int, int], np.ndarray]

SHAPES = [(64, 5000), (16, 2000), (128, 1000), (300, 200)]
PERMUTATIONS = 19
TIMES_LIMIT = (1.1, 1.3, 1.5, 2.0)


def white(rng: np.random.Generator, n: int, t: int) -> np.ndarray:
    return rng.normal(size=(t, n))


def white_complex(rng: np.random.Generator, n: int, t: int) -> np.ndarray:
    return (rng.normal(size=(t, n)) + 1j * rng.normal(size=(t, n))) / np.sqrt(2)


def unequal(rng: np.random.Generator, n: int, t: int) -> np.ndarray:
    """Channel variances spread over a range of 100."""
    return rng.normal(size=(t, n)) * 10 ** rng.uniform(0, 1, n)


def ar1(phi: float) -> Draw:
    def draw(rng: np.random.Generator, n: int, t: int) -> np.ndarray:
        return autoregressive(rng, np.full(n, phi), t)

    return draw


def each_its_own(rng: np.random.Generator, n: int, t: int) -> np.ndarray:
    return autoregressive(rng, rng.uniform(0, 0.95, n), t)


def autoregressive(rng: np.random.Generator, phi: np.ndarray, t: int) -> np.ndarray:
    innovations = rng.normal(size=(t + 1000, len(phi))) * np.sqrt(1 - phi**2)
    columns = [scipy.signal.lfilter([1.0], [1.0, -p], innovations[:, i])[1000:] for i, p in enumerate(phi)]
    return np.stack(columns, axis=1)


def power_law(slope: float) -> Draw:
    """Power f^-slope down to a quarter of the recording's lowest frequency."""

    def draw(rng: np.random.Generator, n: int, t: int) -> np.ndarray:
        frequency = np.fft.rfftfreq(4 * t)
        frequency[0] = frequency[1]
        half = rng.normal(size=(len(frequency), n)) + 1j * rng.normal(size=(len(frequency), n))
        values = scipy.fft.irfft(half * frequency[:, None] ** (-slope / 2), 4 * t, axis=0)[:t]
        return np.asarray(values / values.std())

    return draw


LOW_PASS = scipy.signal.cheby2(12, 100, 0.5, output="sos")


def low_passed(rng: np.random.Generator, n: int, t: int) -> np.ndarray:
    """White noise through a filter whose stop band, half of all frequencies, is 100 dB down."""
    return np.asarray(scipy.signal.sosfilt(LOW_PASS, rng.normal(size=(t + 2000, n)), axis=0)[2000:])


def counts(rng: np.random.Generator, n: int, t: int) -> np.ndarray:
    """Poisson counts of mean 3 with gamma gains of channels and samples."""
    return rng.poisson(3 * rng.gamma(2, 0.5, size=(t, 1)) * rng.gamma(2, 0.5, size=n)).astype(float)


NOISES: dict[str, Draw] = {
    "white": white,
    "white, complex": white_complex,
    "variances over 100": unequal,
    "AR(1) .5": ar1(0.5),
    "AR(1) .9": ar1(0.9),
    "AR(1) .97": ar1(0.97),
    "pink": power_law(1.0),
    "AR(1), each its own": each_its_own,
    "counts": counts,
}
STEEP: dict[str, Draw] = {"f^-2": power_law(2.0), "f^-4": power_law(4.0), "low-passed, 100 dB": low_passed}


def recording(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("time", "channel"))


def gavish_donoho(values: np.ndarray) -> bool:
    s = np.linalg.svd(values - values.mean(axis=0), compute_uv=False)
    return bool(s[0] > shrink.hard_threshold_unknown_sigma(min(values.shape) / max(values.shape)) * np.median(s))


def pca_mle(values: np.ndarray) -> bool | None:
    if np.iscomplexobj(values) or values.shape[0] <= values.shape[1]:
        return None
    return bool(PCA("mle", svd_solver="full").fit(values).n_components_ > 1)


def top(values: np.ndarray) -> float:
    z = (values - values.mean(axis=0)) / values.std(axis=0)
    small = z.conj().T @ z if z.shape[0] >= z.shape[1] else z @ z.conj().T
    return float(scipy.linalg.eigvalsh(small, subset_by_index=[len(small) - 1] * 2)[0])


def permutation(values: np.ndarray, rng: np.random.Generator) -> bool:
    """Parallel analysis: the largest of 19 recordings with each channel's samples permuted, level 5 %."""
    kept = values[:, values.std(axis=0) > 0]
    return top(kept) > max(top(rng.permuted(kept, axis=0)) for _ in range(PERMUTATIONS))


def size_cell(job: tuple[str, int, int, int]) -> list[list[bool | None]]:
    name, n, t, draws = job
    found: list[list[bool | None]] = []
    with threadpool_limits(1):
        for seed in range(draws):
            values = {**NOISES, **STEEP}[name](np.random.default_rng([seed, n]), n, t)
            peers = seed < draws // 4  # parallel analysis takes 20 decompositions
            found.append(
                [
                    noise_floor(recording(values)).rank > 0,
                    gavish_donoho(values) if peers else None,
                    pca_mle(values) if peers else None,
                    permutation(values, np.random.default_rng(seed)) if peers else None,
                ]
            )
    return found


def percent(flags: list[bool | None]) -> str:
    known = [flag for flag in flags if flag is not None]
    return f"{100 * np.mean(known):.1f} %" if known else "no answer"


def sizes(draws: int) -> None:
    jobs = [(name, n, t, draws) for n, t in SHAPES for name in NOISES]
    rows = []
    with ProcessPoolExecutor(2) as pool:
        for (name, n, t, _), cell in zip(jobs, pool.map(size_cell, jobs), strict=True):
            rows.append([f"{n} x {t}", name, *(percent(list(column)) for column in zip(*cell, strict=True))])
            print(rows[-1], flush=True)
    columns = ["N x T", "noise", "sciml auto", "Gavish-Donoho", 'PCA("mle") > 1', "parallel analysis"]
    error = 100 * np.sqrt(0.05 * 0.95 / draws)
    record(
        "Noise floor: pure noise called signal",
        f"{draws} recordings a cell for sciml (Monte-Carlo standard error {error:.1f} % at the nominal 5 %), the first "
        f"{draws // 4} of them for the peers ({2 * error:.1f} %); parallel analysis by {PERMUTATIONS} permutations.\n\n"
        f"{table(columns, rows)}\n\n{machine('numpy', 'scipy', 'scikit-learn')}",
    )


@lru_cache
def detection_limit(name: str, n: int, t: int) -> float:
    """Return the singular value over sqrt(t) at which a component separates from this noise, its true spectra known."""
    rng = np.random.default_rng(0)
    frequency = np.arange(1, t) / (2 * t)

    def spectrum(phi: np.ndarray) -> np.ndarray:
        return (1 - phi**2) / np.abs(1 - phi * np.exp(-2j * np.pi * frequency[:, None])) ** 2

    if name.startswith("AR(1)"):
        phi = rng.uniform(0, 0.95, n) if "own" in name else np.array([float(name.split()[1])])
        power = spectrum(phi)
    elif name == "pink" or name.startswith("f^-"):
        power = frequency[:, None] ** (-1.0 if name == "pink" else float(name[2:]))
        power = power / power.mean()
    elif name.startswith("low-passed"):
        power = np.abs(scipy.signal.freqz_sos(LOW_PASS, 2 * np.pi * frequency)[1][:, None]) ** 2
        power = power / power.mean()
    else:
        power = np.ones((1, 1))
    profile = VarianceProfile(
        power,
        row_counts=np.full(len(power), (t - 1) / len(power)),
        column_counts=np.full(power.shape[1], n / power.shape[1]),
    )
    return float(np.sqrt(profile.detection_limit))


def noise_beside(rng: np.random.Generator, name: str, n: int, t: int) -> np.ndarray:
    """Return noise; channels that differ are the same in each draw."""
    if "own" in name:
        return autoregressive(rng, np.random.default_rng(0).uniform(0, 0.95, n), t)
    return {**NOISES, **STEEP}[name](rng, n, t)


def planted(name: str, n: int, t: int, strengths: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noise with components of white courses, and their strengths in data units.

    `strengths` are singular values over sqrt(t) in noise standard deviations.
    """
    rng = np.random.default_rng([seed, n, len(strengths)])
    noise = noise_beside(rng, name, n, t)
    complex_data = np.iscomplexobj(noise)

    def basis(side: int) -> np.ndarray:
        values = rng.normal(size=(side, len(strengths) + 1))
        if complex_data:
            values = values + 1j * rng.normal(size=values.shape)
        values[:, 0] = 1  # courses without a mean: the mean is taken out
        return np.linalg.qr(values)[0][:, 1:]

    courses, maps = basis(t) * np.sqrt(t), basis(n)
    level = noise.std(axis=0) if name == "variances over 100" else noise.std()
    if name == "counts":
        values, level = planted_counts(rng, n, t, (courses * strengths) @ maps.T)
        return values, strengths * np.linalg.norm(level[:, None] * maps, axis=0)
    maps = maps.conj() * np.reshape(level, (-1, 1))
    return noise + (courses * strengths) @ maps.T, strengths * np.linalg.norm(maps, axis=0)


def planted_counts(rng: np.random.Generator, n: int, t: int, signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return counts with a signal in units of their standard deviations, and those of each channel over all samples."""
    mean = 3 * rng.gamma(2, 0.5, size=(t, 1)) * rng.gamma(2, 0.5, size=n)
    return rng.poisson(np.maximum(mean + signal * np.sqrt(mean), 0)).astype(float), np.sqrt(mean.mean(axis=0))


def power_cell(job: tuple[str, int, int, int, float, int]) -> tuple[float, float, float, float]:
    """Return the share of components found, the median rank, the share of intervals that hold, and their number."""
    name, n, t, k, times, draws = job
    limit = detection_limit(name, n, t)
    strengths = times * limit * np.linspace(1.0, 1.0 + 0.15 * (k - 1), k)[::-1]
    ranks, held, tried = [], 0, 0
    with threadpool_limits(1):
        for seed in range(draws):
            values, truth = planted(name, n, t, strengths, seed)
            floor = noise_floor(recording(values))
            ranks.append(floor.rank)
            for i in range(min(floor.rank, k)):
                low, high = floor.strength_intervals[i]
                held += low <= truth[i] <= high
                tried += 1
    found = float(np.mean(np.minimum(ranks, k))) / k
    return found, float(np.median(ranks)), held / max(tried, 1), tried


def power(draws: int) -> None:
    shapes = [(64, 5000), (128, 1000), (300, 200)]
    jobs = [
        (name, n, t, k, times, draws) for name in NOISES for n, t in shapes for k in (1, 5) for times in TIMES_LIMIT
    ]
    cells = {}
    with ProcessPoolExecutor(2) as pool:
        for job, cell in zip(jobs, pool.map(power_cell, jobs), strict=True):
            cells[job] = cell
            print(*job, *cell, flush=True)
    rows = []
    for name in NOISES:
        for n, t in shapes:
            for k in (1, 5):
                line = [cells[name, n, t, k, times, draws] for times in TIMES_LIMIT]
                rows.append(
                    [name, f"{n} x {t}", k, *(f"{100 * each[0]:.0f} %" for each in line), f"{line[-1][1]:.0f}",
                     f"{100 * line[-1][2]:.0f} %"]
                )  # fmt: skip
    columns = ["noise", "N x T", "planted", *(f"found at {x} x limit" for x in TIMES_LIMIT), "median rank at 2 x",
               "95 % intervals that hold, 2 x"]  # fmt: skip
    record(
        "Noise floor: components found",
        f"{draws} recordings a cell. Components of white courses and random maps; the weakest at the stated multiple "
        "of the detection limit of the true noise (`VarianceProfile.detection_limit`), each other one 15 % stronger "
        f"than the next.\n\n{table(columns, rows)}\n\n{machine('numpy', 'scipy')}",
    )


def sigma_cell(job: tuple[str, int, int, int, int]) -> list[object]:
    name, n, t, k, draws = job
    found, ranks = [], []
    with threadpool_limits(1):
        limit = detection_limit(name, n, t)
        for seed in range(draws):
            strengths = 2.2 * limit * np.linspace(1, 3, k)[::-1]
            values = planted(name, n, t, strengths, seed)[0]
            noise = noise_beside(np.random.default_rng([seed, n, k]), name, n, t)  # that of the same draw
            floor = noise_floor(recording(3.0 * values))
            found.append(floor.sigma / 3.0 / np.sqrt(noise.var(axis=0, ddof=1).mean()))
            ranks.append(floor.rank)
    return [name, f"{n} x {t}", k, f"{np.median(ranks):.0f}", f"{np.mean(found):.4f}", f"{np.std(found):.4f}"]


def sigmas(draws: int) -> None:
    names = [name for name in NOISES if name != "counts"]
    jobs = [
        (name, n, t, int(share * min(n, t)), draws)
        for name in names
        for n, t in ((64, 5000), (128, 1000), (300, 200))
        for share in (0.0, 0.1, 1 / 3)
    ]
    with ProcessPoolExecutor(2) as pool:
        rows = list(pool.map(sigma_cell, jobs))
    columns = ["noise", "N x T", "planted", "median rank", "sigma found / true, mean", "standard deviation of a draw"]
    record(
        "Noise floor: sigma",
        f"{draws} draws a row, components 2.2 to 6.6 times the detection limit, sigma of the draw's own noise.\n\n"
        f"{table(columns, rows)}\n\n{machine('numpy', 'scipy')}",
    )


def course_cell(job: tuple[str, str, int, int, int, int]) -> list[object]:
    """Return how strengths, their intervals and the overlaps of maps compare with the planted, at the right rank."""
    kind, name, n, t, k, draws = job
    strengths = 2 * detection_limit(name, n, t) * np.linspace(1.0, 1.0 + 0.15 * (k - 1), k)[::-1]
    ratios, held, said, true, right = [], [], [], [], 0
    with threadpool_limits(1):
        for seed in range(draws):
            rng = np.random.default_rng([seed, n, k])
            noise = noise_beside(rng, name, n, t)
            values = noise_beside(rng, "AR(1) .97", k, t)
            if kind == "sine waves":
                values = np.sin(2 * np.pi * np.outer(np.arange(t), 5 + 3 * np.arange(k)) / t)
            courses = np.linalg.qr(values - values.mean(axis=0))[0] * np.sqrt(t)
            maps, truth = np.linalg.qr(rng.normal(size=(n, k)))[0], strengths * noise.std()
            floor = noise_floor(recording(noise + (courses * truth) @ maps.T))
            if floor.rank != k:
                continue
            right += 1
            ratios.append(floor.strengths / truth)
            low, high = floor.strength_intervals.T
            held.append((low <= truth) & (truth <= high))
            said.append(floor.overlaps_channel)
            true.append(np.sum(floor.components * maps, axis=0) ** 2)
    shown = [f"{np.mean(ratios):.3f}", f"{100 * np.mean(held):.0f} %", f"{np.mean(said):.3f}", f"{np.mean(true):.3f}"]
    return [kind, name, f"{n} x {t}", k, f"{100 * right / draws:.0f} %", *(shown if right else ["-"] * 4)]


def courses(draws: int) -> None:
    jobs = [
        (kind, name, n, t, k, draws)
        for kind in ("slow", "sine waves")
        for name in ("white", "AR(1) .9", "pink", "AR(1), each its own")
        for n, t in ((64, 5000), (128, 1000), (300, 200))
        for k in (1, 5)
    ]
    with ProcessPoolExecutor(2) as pool:
        rows = list(pool.map(course_cell, jobs))
    columns = ["courses", "noise", "N x T", "planted", "rank right", "strength found / true",
               "95 % intervals that hold", "overlap of maps, said", "true"]  # fmt: skip
    record(
        "Noise floor: components of slow courses",
        f"{draws} recordings a row. The weakest component at twice the detection limit for a course of all "
        "frequencies, each other one 15 % stronger than the next; slow courses are AR(1) .97, sine waves have 5, 8, 11 "
        "... periods. Ratios, intervals and overlaps where the rank was right.\n\n"
        f"{table(columns, rows)}\n\n{machine('numpy', 'scipy')}",
    )


def steep_row(job: tuple[str, int, int, int]) -> list[object]:
    """Return false alarms, what is found of five components, sigma beside them, and the largest noise over all."""
    name, n, t, draws = job
    size = percent([each[0] for each in size_cell((name, n, t, draws))])
    power = [f"{100 * power_cell((name, n, t, 5, times, draws // 10))[0]:.0f} %" for times in (1.5, 2.0)]
    ratios = [sigma_cell((name, n, t, int(share * min(n, t)), draws // 10))[4] for share in (0.0, 0.1)]
    above = []
    for seed in range(draws // 10):
        values = noise_beside(np.random.default_rng([seed, n, 1]), name, n, t)
        frequency, density = scipy.signal.welch(values, nperseg=max(t // 8, min(t, 256)), axis=0)
        floor = noise_floor(recording(values))
        noise = np.interp(frequency, floor.frequency, floor.psd)
        above.append(float((noise / density.mean(axis=1))[2:].max()))
    return [name, f"{n} x {t}", size, *power, *ratios, f"{max(above):.3f}"]


def steep(draws: int) -> None:
    jobs = [(name, n, t, draws) for name in STEEP for n, t in SHAPES]
    with ProcessPoolExecutor(2) as pool:
        rows = list(pool.map(steep_row, jobs))
    columns = ["noise", "N x T", "pure noise called signal", "found at 1.5 x limit", "found at 2 x limit",
               "sigma found / true, no component", "a tenth of the dimensions", "most noise / Welch"]  # fmt: skip
    record(
        "Noise floor: steep spectra",
        f"{draws} recordings of pure noise a row, {draws // 10} a cell for what is found and for sigma; five "
        "components planted as in the table of components found; largest ratio of the noise's power to that of the "
        "recording by scipy.signal.welch at any frequency.\n\n"
        f"{table(columns, rows)}\n\n{machine('numpy', 'scipy')}",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--only", choices=["sizes", "power", "sigmas", "courses", "steep"], action="append")
    arguments = parser.parse_args()
    parts = {
        "sizes": sizes,
        "power": lambda draws: power(max(draws // 5, 4)),
        "sigmas": lambda draws: sigmas(draws // 5),
        "courses": lambda draws: courses(draws // 10),
        "steep": steep,
    }
    for name, part in parts.items():
        if not arguments.only or name in arguments.only:
            part(arguments.draws)
