"""The configuration of a run: one TOML file, checked key by key before anything is read."""

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, Field, ValidationError, model_validator

from sciml._names import is_import_path
from sciml.errors import ConfigError
from sciml.pipeline.config.sections import (
    Augment,
    Data,
    Init,
    Model,
    Noise,
    Section,
    Split,
    TaskName,
    Track,
    Train,
    Windows,
)

__all__ = ["Config", "assign", "check_named", "known_keys", "load_config", "parse_assignment", "to_toml", "validate"]

WITH_GAP = ("auto", "subject", "session", "file", "time")  # units whose neighbors in time may be in another part


class Config(Section):
    """Everything that a run depends on besides the data and the versions of the libraries.

    Examples
    --------
    >>> config = validate({"task": "forecast", "train": {"epochs": 3}})
    >>> config.train.epochs, config.init.method
    (3, 'auto')
    >>> validate({"train": {"epoch": 3}})
    Traceback (most recent call last):
    ...
    sciml.errors.ConfigError: train.epoch: no such key; did you mean train.epochs?
    """

    task: TaskName = "classify"
    seed: int = Field(default=0, ge=0, lt=2**63)
    data: Data = Data()
    windows: Windows = Windows()
    noise: Noise = Noise()
    split: Split = Split()
    model: Model = Model()
    init: Init = Init()
    augment: Augment = Augment()
    train: Train = Train()
    track: Track = Track()

    @model_validator(mode="after")
    def _fractions_leave_something_to_train_on(self) -> "Config":
        total = sum(self.split.fractions)
        if not (0.999 < total < 1.001 and min(self.split.fractions) > 0):
            raise ValueError(
                f"split.fractions: expected three fractions above 0 that add up to 1, got {list(self.split.fractions)}"
            )
        return self

    def decided(
        self, *, windows: Mapping[str, Any], denoise: bool, options: Mapping[str, Any], typical: float = 0.0
    ) -> "Config":
        """Return the configuration with what its task decides; a gap, `denoise` and options that are given stay.

        The gap between parts is as long as a window; of windows of unequal length, as the `typical` one [s].

        Examples
        --------
        >>> Config().decided(windows={"length": 2.0}, denoise=True, options={}).split.gap
        2.0
        """
        chosen = self.windows.model_copy(update=windows)
        span = (typical if isinstance(chosen.length, str) else chosen.length or 0.0) + (chosen.horizon or 0.0)
        span = span + abs(self.data.target_lag) if self.split.by in WITH_GAP else 0.0
        return self.model_copy(
            update={
                "windows": chosen,
                "split": self.split.model_copy(update={"gap": span if self.split.gap is None else self.split.gap}),
                "noise": self.noise.model_copy(
                    update={"denoise": denoise if self.noise.denoise is None else self.noise.denoise}
                ),
                "model": self.model.model_copy(
                    update={"options": dict(options) if self.model.options is None else self.model.options}
                ),
            }
        )


def validate(values: Mapping[str, Any], *, source: str = "") -> Config:
    """Return the configuration that nested `values` describe.

    Parameters
    ----------
    values
        Tables and keys as a TOML file gives them; what is missing takes its default.
    source
        Name of the file, for messages.

    Raises
    ------
    ConfigError
        Every unknown key with its nearest known one, and every value of a wrong type or range.

    Examples
    --------
    >>> validate({"task": "classify"}).split.fractions
    (0.6, 0.2, 0.2)
    """
    try:
        # by way of JSON, strict means what a TOML file can mean: its arrays are tuples, its whole numbers are floats
        return Config.model_validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        prefix = f"{source}: " if source else ""
        raise ConfigError(prefix + "; ".join(_in_words(error))) from None


def known_keys() -> tuple[str, ...]:
    """Return every key of the configuration as a dotted path.

    Examples
    --------
    >>> "train.lr" in known_keys()
    True
    """
    return tuple(_leaves(Config, ""))


def _leaves(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, info in section.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _leaves(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


def _in_words(error: ValidationError) -> list[str]:
    """Return what pydantic found as sentences, one a key."""
    found: dict[str, list[Any]] = {}
    for each in error.errors():
        # the branch of a union is pydantic's affair, not the reader's
        path = ".".join(str(part) for part in each["loc"] if not _is_branch(part))
        found.setdefault(path, []).append(each)
    return [_sentence(path, group) for path, group in found.items()]


def _sentence(path: str, errors: list[Any]) -> str:
    first = errors[0]
    if first["type"] == "extra_forbidden":
        inner = first["input"]
        path = f"{path}.{next(iter(inner))}" if isinstance(inner, dict) and inner else path
        return f"{path}: no such key; {_advice(path)}"
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    expected = " or ".join(_EXPECTED.get(each["type"]) or _shortened(each["msg"]) for each in errors)
    return f"{path}: expected {expected}; got {first['input']!r}"


_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "model_type": "a table",
    "dict_type": "a table",
    "missing": "one value more",
}


def _shortened(message: str) -> str:
    text = message.removeprefix("Input should be ")
    return f"a value {text}" if text.startswith(("greater", "less")) else text


def _is_branch(part: str | int) -> bool:
    return isinstance(part, str) and (part == "str" or "[" in part or part.startswith("constrained-"))


def _advice(path: str) -> str:
    """Return the nearest known key: by its whole path, or by its last part if it was put into another table."""
    keys = known_keys()
    leaf = path.rsplit(".", 1)[-1]
    same = difflib.get_close_matches(path, [key for key in keys if key.rsplit(".", 1)[-1] == leaf], n=1, cutoff=0.0)
    near = difflib.get_close_matches(path, keys, n=1, cutoff=0.75)
    tables = difflib.get_close_matches(path, Config.model_fields, n=1, cutoff=0.7)
    leaves = difflib.get_close_matches(leaf, [key.rsplit(".", 1)[-1] for key in keys], n=1, cutoff=0.7)
    by_leaf = [key for key in keys if leaves and key.rsplit(".", 1)[-1] == leaves[0]]
    for found in (same, near, tables, by_leaf):
        if found:
            return f"did you mean {found[0]}?"
    siblings = [key for key in keys if key.rsplit(".", 1)[0] == path.rsplit(".", 1)[0]]
    return f"choose one of {', '.join(siblings or Config.model_fields)}"


def load_config(path: str | Path, assignments: Sequence[str] = (), **flags: Any) -> Config:
    r"""Read a TOML file and lay `a.b=c` assignments, then flags, over it.

    Parameters
    ----------
    path
        The file. Recordings that it names are relative to it.
    assignments
        `"train.lr=1e-3"`: dotted key and TOML value; later ones win.
    flags
        Dotted keys with `__` for the dot (`train__epochs=3`); None means not given.

    Raises
    ------
    ConfigError
        The file is missing or no TOML (with line and column), or `validate` finds something.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "config.toml"
    >>> _ = file.write_text("[train]\nepochs = 3\n")
    >>> load_config(file, ["train.lr=0.01"], train__epochs=5).train.epochs
    5
    """
    file = Path(path)
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{file}: no such file; name a configuration, or to resume the folder of a run") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: expected a TOML file, but it cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: expected TOML, got a mistake: {error}") from None
    _check_own_net(file, values, assignments, flags)
    validate(values, source=file.name)  # before the paths are touched, so that messages quote the file
    data = values.get("data", {})
    for key in ("files", "target_files"):
        if data.get(key):
            values["data"] = data = data | {key: [str(file.parent / each) for each in data[key]]}
    return assign(values, assignments, **flags)


def _check_own_net(file: Path, values: Mapping[str, Any], assignments: Sequence[str], flags: Mapping[str, Any]) -> None:
    """Refuse a net of somebody's own that the configuration in a run names, unless the user names it too."""
    model = values.get("model")
    stored = model.get("name") if isinstance(model, dict) else None
    if not isinstance(stored, str) or not is_import_path(stored) or not (file.parent / "status.json").exists():
        return
    if not (dict(map(parse_assignment, assignments)).get("model.name") or flags.get("model__name")):
        check_named(stored, None, run=file.parent, option="--set model.name=")


def assign(values: Mapping[str, Any], assignments: Sequence[str] = (), **flags: Any) -> Config:
    """Lay assignments and flags over nested values and validate the result; see `load_config`.

    Examples
    --------
    >>> assign({}, ["task=forecast", "windows.length=2"]).windows.length
    2.0
    """
    merged: dict[str, Any] = json.loads(json.dumps(values, default=str))
    for text in assignments:
        key, value = parse_assignment(text)
        _put(merged, key, value)
    for name, value in flags.items():
        if value is not None:
            _put(merged, name.replace("__", "."), value)
    return validate(merged)


def parse_assignment(text: str) -> tuple[str, Any]:
    """Return key and value of `a.b=c`; what is no TOML value is taken as text.

    Raises
    ------
    ConfigError
        There is no `=`, or no key before it.

    Examples
    --------
    >>> parse_assignment("train.lr=1e-3"), parse_assignment("model.name=fcn")
    (('train.lr', 0.001), ('model.name', 'fcn'))
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not key:
        raise ConfigError(f"expected an assignment like train.lr=1e-3, got {text!r}")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return key, value


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *tables, leaf = key.split(".")
    for name in tables:
        inner = values.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{key}: {name} is a value, not a table; {_advice(key)}")
        values = inner
    values[leaf] = value


def check_named(stored: str, given: str | None, *, run: str | Path, option: str = "--net") -> None:
    """Refuse a net of the user's own that a run names, unless the user names it too.

    To import is to run code, and what is stored in a run somebody may have changed.

    Parameters
    ----------
    stored
        Name of the net in the run.
    given
        What the user names, if anything.
    run
        Folder of the run, for messages.
    option
        Where the user can name it, for messages.

    Raises
    ------
    ConfigError
        An import path that is not given, or another one that is.

    Examples
    --------
    >>> check_named("nets:Mine", None, run="run")
    Traceback (most recent call last):
    ...
    sciml.errors.ConfigError: run was trained with a net of its own, nets:Mine, and no code is imported because a run
    names it: if you trust it, name it yourself, --net nets:Mine
    """
    own, naming = is_import_path(stored), f"{option}{'' if option.endswith('=') else ' '}{stored}"
    if own and given is None:
        raise ConfigError(
            f"{run} was trained with a net of its own, {stored}, and no code is imported because a run names it: if "
            f"you trust it, name it yourself, {naming}"
        )
    if given is not None and given != stored and (own or is_import_path(given)):
        raise ConfigError(f"expected {naming}, the net that {run} was trained with, got {given}")


def to_toml(config: Config) -> str:
    """Return the configuration as TOML; keys that were left to the data are left out.

    Examples
    --------
    >>> validate(tomllib.loads(to_toml(Config()))) == Config()
    True
    """
    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))
