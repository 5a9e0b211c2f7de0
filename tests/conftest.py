"""Options and fixtures that all tests share."""

import fcntl
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("SCIML_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="device for tests marked gpu: cpu or cuda")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real recordings; tests that read it are skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no real recordings at {DATA.name}; set SCIML_TEST_DATA to the folder that holds them")
    return DATA


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[], Any]], Any]:
    """Return what `make` gives, as JSON knows it: made by one worker of a test run, for all of them."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def given(name: str, make: Callable[[], Any]) -> Any:
        file = shared / f"{name}.json"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.exists():
                file.write_text(json.dumps(make()))
        return json.loads(file.read_text())

    return given


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Handlers of SIGINT and SIGTERM as a process in the foreground has them; what was there is put back.

    A test run in the background inherits a SIGINT that is ignored, and its child processes do too. A SIGTERM that the
    code under test does not handle fails the test instead of ending the run.
    """

    def unhandled(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError("SIGTERM was left to the test runner")

    wanted = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: unhandled}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--device"))
