"""Run by test_spread.py in a process of its own: whole runs in several processes.

Usage: spread_fit.py FOLDER CONFIG SCENARIOS, as `tests/train/spread_run.py`; CONFIG is a JSON object.
"""

import json
import sys
from pathlib import Path

import torch

from sciml.errors import ScimlError
from sciml.pipeline import run, validate

sys.path.insert(0, str(Path(__file__).parents[1] / "train"))
import spread_run  # type: ignore[import-not-found]


def attempt(folder, plan, rank):
    """Fit as one process; `fails` says how and at which step, for the ranks that do."""
    if rank in plan.get("ranks", ()):
        spread_run.fail_at(plan["step"], plan["fails"])
    said: list[str] = []
    config = validate({**json.loads(sys.argv[2]), **plan.get("config", {})})
    try:
        result = run(config, out=folder, resume=plan.get("resume", False), progress=said.append)
    except ScimlError as error:
        return {"error": type(error).__name__, "text": str(error), "exit_code": error.exit_code}
    return {"metrics": result.to_dict(), "said": said, "finished": result.already_finished}


def main():
    torch.set_num_threads(1)
    folder, scenarios = Path(sys.argv[1]), json.loads(sys.argv[3])
    attempt(folder / "imports", {}, 0)
    results: dict[str, list[dict[str, object]]] = {}
    for name, plans in scenarios.items():
        results[name] = []
        for plan in plans:
            found = spread_run.run(folder / name, plan, attempt)
            status = folder / name / "status.json"
            files = sorted(path.name for path in (folder / name).rglob("*"))
            found |= {"files": files, "state": json.loads(status.read_text()) if status.exists() else {}}
            results[name].append(found)
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
