"""Exact spectra of the convolutions of a ResNet-50: norms and all values, beside FFT and SVD of every frequency."""

import time
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import torch
from _report import machine, record, table

from sciml.spectra.convolution import circular_singular_values, norm_bound, operator_norm, quick_bound

Layer = tuple[tuple[int, int, int, int], int, int]  # weight, grid of the input, stride


def layers() -> Iterator[Layer]:
    """Yield the 53 convolutions of a ResNet-50 on images of 224 x 224."""
    yield (64, 3, 7, 7), 224, 2
    channels, grid = 64, 56
    for stage, (blocks, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)]):
        for block in range(blocks):
            stride = 2 if block == 0 and stage > 0 else 1
            yield (width, channels, 1, 1), grid, 1
            yield (width, width, 3, 3), grid, stride
            if block == 0:
                yield (4 * width, channels, 1, 1), grid, stride
            grid //= stride
            yield (4 * width, width, 1, 1), grid, 1
            channels = 4 * width


def timed(function: Callable[[], object]) -> tuple[float, float, object]:
    """Return CPU seconds of all threads, seconds by the clock, and the result."""
    cpu, clock = time.process_time(), time.perf_counter()
    result = function()
    return time.process_time() - cpu, time.perf_counter() - clock, result


def by_fft(weight: torch.Tensor, grid: int) -> float:
    """Return the largest singular value of the transformed kernel at every frequency, one matrix after the other."""
    transformed = np.fft.fft2(weight.double().numpy(), (grid, grid), axes=(2, 3)).transpose(2, 3, 0, 1)
    return float(np.linalg.svd(transformed, compute_uv=False).max())


def main() -> None:
    rows, total = [], np.zeros(6)
    generator = torch.Generator().manual_seed(0)
    for (shape, grid, stride), n in Counter(layers()).items():
        weight = torch.randn(shape, generator=generator) / np.sqrt(shape[1] * shape[2] * shape[3])
        norm_cpu, norm_clock, norm = timed(lambda w=weight, g=grid, s=stride: operator_norm(w, g, stride=s))
        all_cpu, all_clock, values = timed(lambda w=weight, g=grid, s=stride: circular_singular_values(w, g, stride=s))
        quick_cpu, _, quick = timed(lambda w=weight: quick_bound(w))
        if abs(norm - values[0]) > 1e-12 * norm:
            raise SystemExit(f"the norm {norm} of {shape} is not its largest singular value {values[0]}")
        total += n * np.array([norm_cpu, norm_clock, all_cpu, all_clock, quick_cpu, 1])
        if shape[2] > 1:
            peer = timed(lambda w=weight, g=grid: by_fft(w, g)) if stride == 1 else None
            if peer is not None and abs(peer[2] - norm) > 1e-12 * norm:
                raise SystemExit(f"FFT and SVD give {peer[2]}, not {norm}, for {shape}")
            tight = norm_bound(weight)
            size = f"{shape[0]} x {shape[1]} x {shape[2]} x {shape[3]}"
            cells = (f"{norm_cpu:.2f}", f"{all_cpu:.2f}", "" if peer is None else f"{peer[0]:.2f}")
            rows.append((size, grid, stride, n, len(values), *cells, f"{tight / norm:.3f}", f"{quick / norm:.2f}"))
    columns = (
        "weight", "grid", "stride", "layers", "values", "norm, CPU s", "all values, CPU s", "FFT and SVD, CPU s",
        "norm_bound / norm", "quick_bound / norm",
    )  # fmt: skip
    note = (
        f"All {total[5]:.0f} convolutions, those of one tap included: norms in {total[0]:.1f} s of CPU time "
        f"({total[1]:.1f} s by the clock), all singular values in {total[2]:.1f} s ({total[3]:.1f} s), quick bounds in "
        f"{total[4]:.1f} s. Gaussian weights, whose norms at all frequencies are alike: the hardest case for leaving "
        "frequencies out. Norms equal the largest of all values, and those by FFT, to 1e-12."
    )
    record("Convolutions: exact spectra", f"{machine('torch', 'numpy')}\n\n{table(columns, rows)}\n\n{note}")


if __name__ == "__main__":
    main()
