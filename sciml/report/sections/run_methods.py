"""How a net was trained and tested, as sentences to paste: every step that was applied, with its settings."""

from collections.abc import Iterator, Mapping
from typing import Any

from sciml.report.record import RunRecord, SplitSummary
from sciml.report.sections.methods import initial_methods
from sciml.wording import count, percent, quantity, sentence, series

__all__ = ["fit_methods"]

SETTINGS = {
    "batch_size": "batches of",
    "weight_decay": "weight decay",
    "momentum": "momentum",
    "clip_norm": "gradients clipped to norm",
    "label_smoothing": "label smoothing",
    "class_weights": "class weights",
    "precision": "precision",
}
OPTIMIZERS = {
    "adamw": "AdamW",
    "sgd": "stochastic gradient descent with momentum",
    "muon": "Muon for the matrices between the first and the last layer, AdamW for the other weights,",
}
WITHOUT_MOMENTUM = ("adamw",)  # of a setting
WITHOUT_WARMUP = ("one_cycle",)


def fit_methods(run: RunRecord) -> tuple[str, list[str]]:
    """Return the sentences on the fit and the keys of what they cite."""
    cites = ["combrisson"] if run.evaluation.chance is not None else []
    if run.model and run.initialization is not None:
        cites += initial_methods(run.initialization.method)[1]
    return " ".join(sentence(each) for each in _steps(run)), cites


def _steps(run: RunRecord) -> Iterator[str]:
    """Yield what was done, in order."""
    yield from _windows(run)
    if run.denoised_components is not None:
        method = run.denoising.method if run.denoising is not None else ""
        words = method or f"a linear projection on {count(run.denoised_components, 'component')} of the train part"
        yield f"the recording was denoised before the net saw it, by {words}"
    if run.model:
        yield from _net(run)
    if run.training is not None:
        yield from _training(run)
    yield from _tests(run)


def _windows(run: RunRecord) -> Iterator[str]:
    asked = _section(run, "windows")
    if asked.get("length"):
        before = f", from {quantity(asked['before'], 's')} before each event" if asked.get("before") else ""
        ahead = f" with a horizon of {quantity(asked['horizon'], 's')}" if asked.get("horizon") else ""
        every = f", one every {quantity(asked['step'], 's')}" if asked.get("step") else ""
        yield f"windows {_length(asked['length'])}{ahead} were cut{before}{every}"
    if run.split is not None:
        yield _split(run.split)


def _split(split: SplitSummary) -> str:
    gap = f"with a gap of {quantity(split.gap, 's')}"
    if split.folds:
        tested = f"each {split.unit} being held out once"
        return f"windows were parted by {split.unit} in {len(split.folds)} folds, {tested}, {gap}"
    counts = series(f"{n} for {part}" for part, n in split.windows.items())
    return f"windows ({counts}) were parted by {split.unit} {gap}"


def _length(length: float | str) -> str:
    if isinstance(length, str):
        return "as long as each trial, padded and masked," if length == "trial" else "as long as the shortest trial"
    return f"of {quantity(length, 's')}"


def _net(run: RunRecord) -> Iterator[str]:
    options = _section(run, "model").get("options") or {}
    shown = f" ({', '.join(f'{name} {value}' for name, value in options.items())})" if options else ""
    size = f" of {run.n_parameters:,} parameters" if run.n_parameters is not None else ""
    begun = "" if run.initialization is None else f", initialized {initial_methods(run.initialization.method)[0]},"
    yield "channels were standardized by their mean and standard deviation over the train part"
    if _section(run, "data").get("missing") == "mask":
        yield "missing samples were set to zero, and their mask was given to the net as further channels"
    yield f"a net of type {run.model}{shown}{size}{begun} was trained on the train part"


def _training(run: RunRecord) -> Iterator[str]:
    asked = _section(run, "train")
    assert run.training is not None  # noqa: S101 - the caller checked
    seed = "" if run.seed is None else f"; all random draws follow from seed {run.seed}"
    name = OPTIMIZERS.get(str(asked.get("optimizer")), "the optimizer of the settings")
    settings = series(_settings({**asked, "batch_size": asked.get("batch_size") or run.training.batch_size}))
    if settings:
        shared = f", each batch shared by {run.training.processes} processes" if run.training.processes > 1 else ""
        yield f"training used {name} with {settings}{shared}{seed}"
    limits = {name: f"at most {count(asked[name], name[:-1])}" for name in ("epochs", "steps") if asked.get(name)}
    limit = limits.get("epochs") or limits.get("steps") or "epochs"
    patience = f", ending {count(asked['patience'], 'epoch')} after the best" if asked.get("patience") else ""
    average = f", averaged over the last {percent(asked['average'])} of all steps," if asked.get("average") else ","
    yield (
        f"it ran for {limit}{patience}; the weights of epoch {run.training.best_epoch}{average} that of the best "
        f"{run.training.monitor.replace('_', ' ')} on the validation part, were kept"
    )
    if run.training.steps_skipped:
        yield f"{count(run.training.steps_skipped, 'step')} whose loss or gradient was not finite were left out"


def _settings(asked: Mapping[str, Any]) -> Iterator[str]:
    """Yield the settings of the optimizer that are in force."""
    if "lr" in asked:
        schedule = str(asked.get("schedule", "constant"))
        rises = asked.get("warmup") and schedule not in WITHOUT_WARMUP
        warmup = f" after a warm-up over {percent(asked['warmup'])} of the steps" if rises else ""
        yield f"a learning rate of {asked['lr']:g} ({schedule.replace('_', ' ')} schedule{warmup})"
    for name, words in SETTINGS.items():
        if asked.get(name) and (name != "momentum" or asked.get("optimizer") not in (None, *WITHOUT_MOMENTUM)):
            value = asked[name]
            yield f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}"


def _tests(run: RunRecord) -> Iterator[str]:
    baselines = run.evaluation.numbers.get("baselines", {})
    described = [str(each.get("description", name)) for name, each in baselines.items()]
    if described:
        yield f"the held-out part was also given to {'; '.join(described)}"
    if run.evaluation.chance is not None:
        yield "the 95 % band of chance is that of as many independent windows (Combrisson and Jerbi 2015)"
        if run.evaluation.chance.p_value is not None:
            yield f"the p-value is that of a permutation test: {_permutation(run)}"


def _permutation(run: RunRecord) -> str:
    chance = run.evaluation.numbers.get("chance", {})
    n = f", {chance['n']} times" if chance.get("n") else ""
    return f"{chance.get('test', 'labels exchanged')}{n}"


def _section(run: RunRecord, name: str) -> Mapping[str, Any]:
    found = run.config.get(name, {})
    return found if isinstance(found, Mapping) else {}
