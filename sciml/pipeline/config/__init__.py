"""The configuration of a run: its tables and keys, and how it is read, checked and written."""

from sciml.pipeline.config.read import (
    Config,
    assign,
    check_named,
    known_keys,
    load_config,
    parse_assignment,
    to_toml,
    validate,
)
from sciml.pipeline.config.sections import Augment, Data, Init, Model, Noise, Split, Track, Train, Windows

__all__ = [
    "Augment",
    "Config",
    "Data",
    "Init",
    "Model",
    "Noise",
    "Split",
    "Track",
    "Train",
    "Windows",
    "assign",
    "check_named",
    "known_keys",
    "load_config",
    "parse_assignment",
    "to_toml",
    "validate",
]
