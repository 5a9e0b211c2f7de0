"""Batches come in an order of seed and epoch alone, whoever reads them, and of a file each block is read once."""

import hashlib
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from sciml.data import WindowDataset, sliding_windows
from sciml.data.parts.augment import Augment, NoiseSource
from sciml.data.parts.blocks import Blocks, blocks_of
from sciml.data.samples import read_samples
from sciml.errors import ConfigError, DataError, InterruptedRunError, ScimlError, WorkerError
from sciml.io import open_recording
from sciml.train import FitData, TrainConfig, fit
from sciml.train.processes import ALONE, Processes
from sciml.train.reading import Reader, batch_order, draw_keys, in_sequence, key
from sciml.train.reading.schedule import schedule
from sciml.train.reading.workers import Workers, ahead, choose_workers

CPU = torch.device("cpu")
MEMORY = 2**16  # bytes: a twelfth of the recording, in blocks of 3 KiB
torch.set_num_threads(1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """12 000 samples of four channels, in compressed chunks of 64."""
    counts = np.random.default_rng(0).integers(-99, 99, (12_000, 4), dtype=np.int16)
    with h5py.File(tmp_path / "a.h5", "w") as made:
        made.create_dataset("x", data=counts, chunks=(64, 4), compression="gzip")
        made["x"].attrs.update(sampling_rate=100.0, units="mV", scale_factor=0.5)
    return tmp_path / "a.h5"


def dataset(file: Path, *, memory: int = MEMORY, augment: Augment | None = None, part: str = "train") -> WindowDataset:
    """Forecasts of one sample from sixteen."""
    samples = read_samples(open_recording(file), memory=memory)
    windows = sliding_windows(samples, length=0.16, step=0.2, horizon=0.01)
    first, last = {"train": (0, 480), "validation": (500, 560)}[part]
    return WindowDataset(windows, np.arange(first, last), augment=augment)


AUGMENT = Augment(0.1, 0.2, 0.5, NoiseSource(np.ones(4), 100.0))


def batches(part: WindowDataset, workers: int, *, epoch: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    reader = Reader(part, CPU, workers=workers)
    plan = batch_order(len(part), 32, seed=0, epoch=epoch, blocks=part.blocks)
    try:
        return [(b.x, b.y) for b in reader.batches(plan, keys=draw_keys(plan, seed=0, number=epoch))]
    finally:
        reader.close()


def assert_equal(first: list[Any], second: list[Any]) -> None:
    assert len(first) == len(second)
    for one, two in zip(first, second, strict=True):
        for a, b in zip(one, two, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


# ---- order


def blocks(n: int = 4000, n_blocks: int = 40) -> Blocks:
    return Blocks(np.arange(n) * n_blocks // n, at_once=8)


@pytest.mark.parametrize("n_blocks", [1, 7, 8, 9, 40])
def test_every_item_comes_once_however_many_blocks(n_blocks: int) -> None:
    order = batch_order(4000, 32, seed=1, epoch=2, blocks=blocks(n_blocks=n_blocks))
    np.testing.assert_array_equal(np.sort(np.concatenate(order)), np.arange(4000))


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    first, again, other = (batch_order(4000, 32, seed=0, epoch=k, blocks=blocks()) for k in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(np.concatenate(first), np.concatenate(other))


def test_each_time_an_item_comes_has_draws_of_its_own() -> None:
    """In a pass that draws with replacement, in another pass; a first time in a pass has the same wherever it comes."""
    plans = [batch_order(50, 8, seed=0, epoch=k, chances=np.full(50, 1 / 50)) for k in range(3)]
    items = np.concatenate([np.concatenate(plan) for plan in plans])
    keys = np.concatenate([np.concatenate(draw_keys(plan, seed=0, number=k)) for k, plan in enumerate(plans)])
    assert len(np.unique(items)) < len(items)
    assert len(set(zip(items.tolist(), keys.tolist(), strict=True))) == len(items)
    once = draw_keys([np.arange(50)], seed=0, number=1)[0]
    assert set(once.tolist()) == {key(0, "augment", 1)}


def test_no_more_blocks_are_held_than_may_be() -> None:
    layout = blocks()
    order = batch_order(4000, 32, seed=0, epoch=0, blocks=layout)
    steps = schedule([layout.number[items] for items in order], 2 * layout.at_once)
    assert Counter(block for step in steps for block in step.read) == Counter(range(40))
    held, most = 0, 0
    for step in steps:
        held += len(step.read)
        most = max(most, held)
        held -= len(step.drop)
    assert held == 0
    assert most <= 2 * layout.at_once


def test_items_of_one_block_do_not_sit_in_one_batch() -> None:
    """Of a batch of 32 from eight blocks of equal size each has 4 on average, binomially."""
    layout = blocks()
    order = batch_order(4000, 32, seed=0, epoch=0, blocks=layout)
    counts = [np.bincount(layout.number[items]) for items in order]
    shares = np.concatenate([each[each > 0] for each in counts])
    mean_square = np.mean([np.sum((each / each.sum()) ** 2) for each in counts])
    # of the square: 1/8 + 7/8/32 where all are from one turn; where two turns meet it is less
    assert mean_square < 1 / 8 + 7 / 8 / 32 + 0.01
    assert shares.max() <= 16  # P(Binomial(32, 1/8) > 16) = 3e-8, for 1000 of them


def test_neighbors_in_time_are_apart_in_the_order() -> None:
    """Ranks of neighbors correlate by their turn alone: within a turn they do not."""
    layout = blocks()
    place = np.argsort(np.concatenate(batch_order(4000, 32, seed=0, epoch=0, blocks=layout)))
    within = place % 800  # five turns of 800 items
    assert abs(np.corrcoef(within[1:], within[:-1])[0, 1]) < 5 / np.sqrt(4000)


def test_draws_by_chances_come_turn_by_turn() -> None:
    layout, chances = blocks(), np.where(np.arange(4000) % 4 == 0, 3.0, 1.0)
    drawn = batch_order(4000, 32, seed=0, epoch=0, chances=chances / chances.sum(), blocks=layout)
    assert np.mean(np.concatenate(drawn) % 4 == 0) == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(4000))
    steps = schedule([layout.number[items] for items in drawn], 2 * layout.at_once)
    assert sum(len(step.read) for step in steps) == 40


def test_blocks_cover_equally_many_samples() -> None:
    starts = np.random.default_rng(0).permutation(5000) * 10
    found = blocks_of(starts, starts + 30, row_bytes=64, memory=2**22)
    rows = int(0.4 * 2**22 / 8 / 64) - 30  # and what the last of them reaches beyond the next
    covered = np.bincount(found.number) * 10
    assert covered[:-1].min() >= rows - 30
    assert covered.max() <= rows + 30
    assert np.all(np.diff(found.number[np.argsort(starts)]) >= 0)


@pytest.mark.parametrize("length", [30, 300, 3000, 8000])
@pytest.mark.parametrize("step", [10, 200, 9000])
@pytest.mark.parametrize("chunk", [1, 256])
def test_blocks_fit_the_memory_however_long_the_windows(length: int, step: int, chunk: int) -> None:
    row_bytes, memory = 64, 2**21
    starts = np.arange(0, 200_000, step)
    found = blocks_of(starts, starts + length, row_bytes=row_bytes, memory=memory, chunk=chunk)
    each = [starts[found.number == k] for k in range(found.number.max() + 1)]
    rows = [sum(np.minimum(np.diff(own), length)) + length for own in each]
    assert 2 * found.at_once * max(rows) * row_bytes <= memory
    assert sum(rows) <= 2 * (starts[-1] + length) + chunk * len(each)


@pytest.mark.parametrize(("step", "least"), [(10, 2 * (9000 + 8990) * 64), (9000, 2 * 9000 * 64)])
def test_windows_too_long_for_the_memory_are_refused(step: int, least: int) -> None:
    starts = np.arange(0, 200_000, step)
    with pytest.raises(ConfigError, match=rf"data\.memory of at least {least} bytes.*got {least - 1}; set it higher"):
        blocks_of(starts, starts + 9000, row_bytes=64, memory=least - 1)
    assert blocks_of(starts, starts + 9000, row_bytes=64, memory=least).at_once == 1


def test_what_is_wanted_in_any_order_is_read_again_rather_than_held() -> None:
    rng = np.random.default_rng(0)
    wanted = [rng.integers(0, 50, 4) for _ in range(200)]
    held: set[int] = set()
    for blocks_now, step in zip(wanted, schedule(wanted, 6), strict=True):
        assert not held & set(step.read)
        held |= set(step.read)
        assert set(blocks_now.tolist()) <= held
        assert len(held) <= 6 + 4
        held -= set(step.drop)
    assert not held


# ---- reading


@pytest.mark.parametrize("augment", [None, AUGMENT], ids=["plain", "augmented"])
def test_batches_do_not_depend_on_workers(file: Path, augment: Augment | None) -> None:
    part = dataset(file, augment=augment)
    assert part.blocks is not None
    none, one, three = (batches(part, workers) for workers in (0, 1, 3))
    assert_equal(none, one)
    assert_equal(none, three)


@pytest.mark.parametrize("augment", [None, AUGMENT], ids=["plain", "augmented"])
def test_batches_are_those_of_the_recording_in_memory(file: Path, augment: Augment | None) -> None:
    part, held = dataset(file, augment=augment), dataset(file, memory=2**31, augment=augment)
    assert held.blocks is None
    plan = batch_order(len(part), 32, seed=0, epoch=1, blocks=part.blocks)
    keys = draw_keys(plan, seed=0, number=1)
    found, expected = ([(b.x, b.y) for b in Reader(each, CPU).batches(plan, keys=keys)] for each in (part, held))
    assert_equal(found, expected)


def test_workers_read_recordings_of_several_files(file: Path) -> None:
    """They are dask arrays, whose threads a forked process does not have."""
    recording = xr.concat([open_recording(file, chunks="auto")] * 2, "time", coords="minimal", compat="override")
    recording = recording.drop_vars("time")
    recording.isel(time=slice(0, 5000)).load()  # the threads are there before the fork
    windows = sliding_windows(read_samples(recording, memory=MEMORY), length=0.16, step=0.2, horizon=0.01)
    part = WindowDataset(windows, np.arange(500, 700))
    assert_equal(batches(part, 0), batches(part, 2))


def test_each_block_is_read_once_in_a_pass(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part, asked, read = dataset(file), list[np.ndarray](), WindowDataset.read

    def noted(self: WindowDataset, items: np.ndarray) -> Any:
        asked.append(items)
        return read(self, items)

    monkeypatch.setattr(WindowDataset, "read", noted)
    batches(part, 0)
    np.testing.assert_array_equal(np.sort(np.concatenate(asked)), np.arange(len(part)))
    assert part.blocks is not None
    assert len(asked) == part.blocks.number.max() + 1


def test_a_pass_that_goes_on_in_the_middle_gives_the_same_batches(file: Path) -> None:
    part = dataset(file, augment=AUGMENT)
    plan = batch_order(len(part), 32, seed=0, epoch=0, blocks=part.blocks)
    keys = draw_keys(plan, seed=0, number=0)
    whole, late = ([(b.x, b.y) for b in Reader(part, CPU).batches(plan[k:], keys=keys[k:])] for k in (0, 7))
    assert_equal(whole[7:], late)


def test_processes_read_their_shares_of_the_same_batches(file: Path) -> None:
    part = dataset(file, augment=AUGMENT)
    plan = batch_order(len(part), 31, seed=0, epoch=0, blocks=part.blocks)
    keys, each_of = draw_keys(plan, seed=0, number=0), (ALONE, Processes(0, 2), Processes(1, 2))
    whole, *shares = (list(Reader(part, CPU, each).batches(plan, keys=keys)) for each in each_of)
    for batch, first, second in zip(whole, *shares, strict=True):
        assert len(first.items) == len(second.items)
        both = torch.cat([each.x[: each.n_items] for each in (first, second)])
        torch.testing.assert_close(both, batch.x, rtol=0, atol=0, equal_nan=True)
        weight = sum(float(each.n_items if each.weights is None else each.weights.sum()) for each in (first, second))
        assert weight == len(batch.items)


def test_a_file_is_evaluated_in_sequence(file: Path) -> None:
    part, held = dataset(file, part="validation"), dataset(file, memory=2**31, part="validation")
    plan = in_sequence(len(part), 8)
    assert_equal(*([(b.x, b.y) for b in Reader(each, CPU).batches(plan)] for each in (part, held)))


def test_the_next_items_are_there_before_they_are_asked_for() -> None:
    made: list[int] = []

    def source():
        for k in range(9):
            made.append(k)
            yield k

    found = ahead(source(), 3)
    assert next(found) == 0
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert made == [0, 1, 2, 3]
    found.close()  # type: ignore[attr-defined]
    assert made == [0, 1, 2, 3]


def test_an_error_comes_when_its_item_is_due() -> None:
    def source():
        yield 1
        raise DataError("expected more, got none; give more")

    found = ahead(source(), 4)
    assert next(found) == 1
    with pytest.raises(DataError, match="give more"):
        next(found)


def test_workers_are_chosen_for_what_is_not_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    assert choose_workers(None, in_memory=True) == 0
    assert choose_workers(None, in_memory=False) == 4
    assert choose_workers(None, in_memory=False, local_size=8) == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert choose_workers(None, in_memory=False) == 0
    assert choose_workers(5, in_memory=True) == 5


# ---- training


def weights(found: nn.Module) -> str:
    digest = hashlib.sha256()
    for tensor in found.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def trained(
    file: Path,
    workers: int | None,
    *,
    callbacks: tuple[object, ...] = (),
    run_dir: Path | None = None,
    resume: bool = False,
) -> str:
    torch.manual_seed(0)
    net = nn.Sequential(_Filled(), nn.Flatten(), nn.Linear(64, 4), nn.Dropout(0.1), nn.Unflatten(1, (4, 1)))
    data = FitData(dataset(file, augment=AUGMENT), dataset(file, part="validation"))
    config = TrainConfig(epochs=2, batch_size=32, loss="mse", device="cpu", workers=workers)
    return weights(fit(net, data, config, callbacks, run_dir=run_dir, resume=resume).model)


class _Filled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nan_to_num(x)


def test_weights_do_not_depend_on_workers(file: Path) -> None:
    assert trained(file, 0) == trained(file, 1) == trained(file, 3)


class _Noted(WindowDataset):
    """Keeps what is read of each item while the net learns, and fills what is missing."""

    def batch(self, indices: Any, **how: Any) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = super().batch(indices, **how)
        if how.get("key") is not None:
            SEEN.extend(zip(np.asarray(indices).tolist(), (each.numpy().tobytes() for each in x), strict=True))
        return x, y


SEEN: list[tuple[int, bytes]] = []


@pytest.mark.parametrize("stop", [None, 5])
def test_each_pass_of_an_epoch_changes_windows_anew(file: Path, tmp_path: Path, stop: int | None) -> None:
    """A small part has several passes in an epoch; one that stopped in the middle of them goes on with the same."""

    def run(folder: str, *, steps: int, resume: bool = False) -> list[tuple[int, bytes]]:
        SEEN.clear()
        whole = dataset(file, memory=2**31, augment=Augment(noise=0.5, source=NoiseSource(np.ones(4), 100.0)))
        data = FitData(_Noted(whole.windows, np.arange(16), augment=whole.augment), dataset(file, part="validation"))
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.Unflatten(1, (4, 1)))
        config = TrainConfig(steps=40, batch_size=8, patience=None, loss="mse", device="cpu", workers=0)
        stopping = (_At(steps, lambda: os.kill(os.getpid(), signal.SIGTERM)),)
        with suppress(InterruptedRunError):
            fit(net, data, config, stopping, run_dir=tmp_path / folder, resume=resume)
        return list(SEEN)

    whole = run("whole", steps=0)
    assert len(set(whole)) == len(whole) == 40 * 8
    if stop is not None:
        assert run("parts", steps=stop) == whole[: stop * 8]
        assert run("parts", steps=0, resume=True) == whole[stop * 8 :]


class _At:
    """Call a function after a step."""

    def __init__(self, step: int, function: Callable[[], object]) -> None:
        self.step, self.function = step, function

    def on_step_end(self, state: Any) -> None:
        if state.step == self.step:
            self.function()


def children() -> set[int]:
    return {int(each) for task in Path("/proc/self/task").iterdir() for each in (task / "children").read_text().split()}


linux = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found by /proc")


@linux
def test_a_worker_that_is_killed_is_said_to_be(file: Path, tmp_path: Path) -> None:
    before = children()
    killing = _At(3, lambda: os.kill(min(children() - before), signal.SIGKILL))
    with pytest.raises(WorkerError, match=r"2 workers.*was killed.*set train.workers lower.*data.memory") as caught:
        trained(file, 2, callbacks=(killing,), run_dir=tmp_path / "run")
    assert caught.value.exit_code == 71
    assert [path.suffix for path in (tmp_path / "run/checkpoints").iterdir()] == [".pt"]
    assert children() <= before


def forked(work: Callable[[], object]) -> int:
    """Fork a process, the first of a group of its own, that ends with the exit code of the error that `work` raises."""
    child = os.fork()
    if child:
        return child
    os.setpgid(0, 0)
    status = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM):  # whoever started the tests may ignore them
            signal.signal(number, signal.default_int_handler)
        work()
        status = 0
    except ScimlError as error:
        status = error.exit_code
    finally:
        os._exit(status)


def grandchildren(child: int) -> set[int]:
    tasks = Path(f"/proc/{child}/task").iterdir()
    return {int(each) for task in tasks for each in (task / "children").read_text().split()}


def until(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(condition())


@linux
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 75), (signal.SIGTERM, 143)])
def test_a_signal_to_all_is_answered_by_the_process_that_trains(
    file: Path, tmp_path: Path, number: int, code: int
) -> None:
    """As Ctrl-C sends it: the workers leave it alone, the state is saved, and the run goes on to the same bits."""
    stop = _At(5, lambda: os.killpg(os.getpid(), number))
    child = forked(lambda: trained(file, 2, callbacks=(stop,), run_dir=tmp_path / "run"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code
    assert trained(file, 0, run_dir=tmp_path / "run", resume=True) == trained(file, 0)


@linux
def test_workers_end_with_the_process_that_trains(file: Path, tmp_path: Path) -> None:
    reached = tmp_path / "reached"

    def wait() -> None:
        reached.write_text(".")
        time.sleep(60)

    child = forked(lambda: trained(file, 2, callbacks=(_At(3, wait),), run_dir=tmp_path / "run"))
    assert until(reached.exists)
    workers = grandchildren(child)
    assert len(workers) == 2
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert until(lambda: not any(_runs(worker) for worker in workers), 5.0)
    assert trained(file, 2, run_dir=tmp_path / "run", resume=True) == trained(file, 0)
    assert not list((tmp_path / "run").rglob(".*"))


def _runs(process: int) -> bool:
    """Whether a process is there, and not only waited for."""
    status = Path(f"/proc/{process}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_is_cut_between_epochs_is_said_to_be(file: Path, tmp_path: Path, workers: int) -> None:
    whole = file.read_bytes()
    cutting = _At(15, lambda: os.truncate(file, file.stat().st_size // 2))
    with pytest.raises(DataError, match=r"a.h5: /?x: the file changed since it was opened.* open it again$"):
        trained(file, workers, callbacks=(cutting,), run_dir=tmp_path / "run")
    file.write_bytes(whole)
    assert trained(file, workers, run_dir=tmp_path / "run", resume=True) == trained(file, workers)


def test_an_error_of_a_worker_is_its_own() -> None:
    workers = Workers(_refuse, 1, depth=2)
    found = workers.answers([(1,), (-1,)])
    assert next(found) == 1
    with pytest.raises(DataError, match=r"^expected more than zero, got -1$"):
        next(found)
    workers.close()


def _refuse(number: int) -> int:
    if number < 0:
        raise DataError(f"expected more than zero, got {number}")
    return number
