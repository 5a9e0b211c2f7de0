"""Reference pages written before Sphinx reads: one a public name, the configuration, the command line."""

import importlib
import inspect
import re
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["public_modules", "public_names", "setup", "write_pages"]

FOLDER = Path("reference") / "generated"


def public_modules(root: str = "sciml") -> dict[str, types.ModuleType]:
    """Return the modules that are reached from the root through what each lists as public, by their names."""
    found: dict[str, types.ModuleType] = {}
    waiting = [importlib.import_module(root)]
    while waiting:
        module = waiting.pop()
        if module.__name__ in found or not module.__name__.startswith(root):
            continue
        found[module.__name__] = module
        waiting += [each for each in _members(module).values() if isinstance(each, types.ModuleType)]
    return dict(sorted(found.items()))


def public_names(module: types.ModuleType) -> dict[str, Any]:
    """Return what a module lists as public besides other modules."""
    return {name: each for name, each in _members(module).items() if not isinstance(each, types.ModuleType)}


def _members(module: types.ModuleType) -> dict[str, Any]:
    return {name: getattr(module, name) for name in getattr(module, "__all__", ())}


def write_pages(folder: Path) -> list[Path]:
    """Write all pages into a folder; those that did not change are left alone, those of no name are removed."""
    pages = dict(_pages())
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)
    return [folder / name for name in pages]


def _pages() -> Iterator[tuple[str, str]]:
    modules = public_modules()
    yield "index.rst", _index(modules)
    yield "configuration.md", configuration_page()
    yield "commands.md", commands_page()
    homes = _homes(modules)
    for name, module in modules.items():
        yield f"{name}.rst", _module_page(name, module)
        for member, each in public_names(module).items():
            home = homes.get(id(each), f"{name}.{member}")
            page = _alias_page(home) if home != f"{name}.{member}" else _member_page(name, member, each)
            # Orphans: a table of contents of hundreds of names in the margin of each page would take minutes.
            yield f"{name}.{member}.rst", f":orphan:\n\n{_title(f'{name}.{member}')}\n{page}"


def _homes(modules: Mapping[str, types.ModuleType]) -> dict[int, str]:
    """Return for each class and function, by identity, the shortest of its public names."""
    homes: dict[int, str] = {}
    for name in sorted(modules, key=lambda name: (name.count("."), name)):
        for member, each in public_names(modules[name]).items():
            if inspect.isclass(each) or inspect.isfunction(each):
                homes.setdefault(id(each), f"{name}.{member}")
    return homes


def _title(text: str) -> str:
    return f"{text}\n{'=' * len(text)}\n"


def _first_line(each: Any) -> str:
    documented = callable(each) or isinstance(each, types.ModuleType)
    return escaped(((inspect.getdoc(each) if documented else None) or "").split("\n\n")[0].replace("\n", " "))


def _index(modules: Mapping[str, types.ModuleType]) -> str:
    rows = [f"* - :doc:`{name}`\n  - {_first_line(module)}" for name, module in modules.items()]
    pages = "".join(f"   {name}\n" for name in modules)
    return f"{_title('Python')}\n{_table(rows)}\n.. toctree::\n   :hidden:\n\n{pages}"


def _table(rows: list[str]) -> str:
    body = "\n".join("   " + line for row in rows for line in row.splitlines())
    return f".. list-table::\n   :widths: 35 65\n\n{body}\n" if rows else ""


def _module_page(name: str, module: types.ModuleType) -> str:
    rows = [
        f"* - :doc:`{member} <{name}.{member}>`\n  - {_first_line(each)}"
        for member, each in public_names(module).items()
    ]
    rooms = [each for each in _members(module).values() if isinstance(each, types.ModuleType)]
    below = [f"* - :doc:`{each.__name__}`\n  - {_first_line(each)}" for each in rooms if each.__name__ != name]
    return "\n".join([_title(name), f".. automodule:: {name}\n   :no-members:\n", _table(below), _table(rows)])


def _member_page(module: str, name: str, each: Any) -> str:
    head = f".. currentmodule:: {module}\n\n"
    if (package := str(getattr(each, "__module__", "sciml")).split(".")[0]) != "sciml" and callable(each):
        return (
            f"{head}.. py:class:: {name}\n\n   {_first_line(each)} From the package ``{package}``, documented there.\n"
        )
    if inspect.isclass(each) and isinstance(each, type):
        return f"{head}.. autoclass:: {module}.{name}\n   :members:\n"
    if inspect.isroutine(each):
        return f"{head}.. autofunction:: {module}.{name}\n"
    rows = (
        [f"* - ``{key}``\n  - {_first_line(value)}" for key, value in each.items()] if isinstance(each, Mapping) else []
    )
    return (
        f"{head}.. py:data:: {name}\n\n   A registry: names and what they stand for.\n\n{_table(rows)}"
        if rows
        else (f"{head}.. py:data:: {name}\n\n   A constant or a type.\n")
    )


def _alias_page(home: str) -> str:
    return f"Another name of :doc:`{home}`.\n"


def escaped(text: str) -> str:
    """Return a line of plain text as reStructuredText: what is no code or formula is no markup either."""
    parts = re.split(r"(:[a-z]+:`[^`]*`|``.*?``|`[^`]*`)", text)
    return "".join(part if k % 2 else _escaped_plain(part) for k, part in enumerate(parts))


def _escaped_plain(text: str) -> str:
    return re.sub(r"(?<!\\)([|*]|(?<=\w)_(?!\w))", r"\\\1", text)


def _escape_docstring(_app: Any, _what: str, _name: str, _each: Any, _options: Any, lines: list[str]) -> None:
    """Escape the plain lines of a docstring; examples, formulas and literal blocks are left as they are."""
    block, example = -1, False  # indent of the block whose lines are left alone; inside an example
    for k, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if line.strip() and indent <= block:
            block = -1
        if block < 0 and not example and not re.match(r"\s*(\.\. |\*{1,2}\w+(, |$))", line):
            lines[k] = escaped(line)
        if block < 0 and (line.lstrip().startswith(".. ") or line.rstrip().endswith("::")):
            block = indent


def configuration_page() -> str:
    """Return the keys of a configuration with their kinds, ranges and defaults, as its schema has them."""
    from sciml._names import nets, noise_models
    from sciml.pipeline import Config
    from sciml.pipeline.tasks import TASKS

    registries = {"task": tuple(TASKS), "noise.model": noise_models(), "model.name": nets()}

    schema = Config.model_json_schema()
    parts = [
        "# Configuration\n\nEvery key of the TOML file of `sciml fit`, as the program itself checks it. A key is set in the "
        "file, or on the command line with `--set section.key=value`. A key that is not here is refused, with the "
        "nearest that is.\n"
    ]
    tops = {key: field for key, field in schema["properties"].items() if "$ref" not in str(field.get("allOf", field))}
    parts.append(_keys("Top level", "What belongs to no table.", tops, "", registries))
    for key, field in schema["properties"].items():
        if key in tops:
            continue
        section = schema["$defs"][str(field.get("$ref") or field["allOf"][0]["$ref"]).rsplit("/", 1)[-1]]
        parts.append(_keys(f"[{key}]", section.get("description", ""), section["properties"], f"{key}.", registries))
    return "\n".join(parts)


def _keys(
    title: str, about: str, fields: dict[str, Any], prefix: str, registries: Mapping[str, tuple[str, ...]]
) -> str:
    kinds = {key: _kind({"enum": registries[prefix + key]} if prefix + key in registries else field)
             for key, field in fields.items()}  # fmt: skip
    rows = [
        f"| `{prefix}{key}` | {kinds[key]} | {_default(field)} | {_cell(field.get('description', ''))} |"
        for key, field in fields.items()
    ]
    head = "| key | kind | default | |\n| --- | --- | --- | --- |\n"
    return f"## {title}\n\n{about}\n\n{head}" + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


KINDS = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "null": "",
         "array": "list", "object": "table"}  # fmt: skip
RANGES = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def _kind(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(filter(None, map(_kind, field["anyOf"])))
    if "enum" in field or "const" in field:
        return ", ".join(f"`{each}`" for each in field.get("enum", [field.get("const")]))
    kind = KINDS.get(str(field.get("type", "string")), "text")
    limits = [f"{sign} {field[name]}" for name, sign in RANGES.items() if name in field]
    if "items" in field:
        kind = f"list of {_kind(field['items'])}"
    return " ".join([kind, ", ".join(limits)]).strip()


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    return "none" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def commands_page() -> str:
    """Return the help of every command, as the terminal shows it."""
    import click

    from sciml_cli.app import cli

    parts = ["# Command line\n\nWhat `sciml COMMAND --help` shows.\n"]
    for path, command in _commands(cli, "sciml"):
        context = click.Context(command, info_name=path, terminal_width=96, max_content_width=96)
        parts.append(f"## {path}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    import click

    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _commands(below, f"{path} {name}")


def _mend_types(_app: Any, _what: str, _name: str, _each: Any, _options: Any, lines: list[str]) -> None:
    """Spell types that end in an underscore, which would be links, as one reads them."""
    lines[:] = [re.sub(r"numpy\.(\w+)_(?!\w)", r"numpy.\1", line) for line in lines]


def _plain_defaults(
    _app: Any, _what: str, _name: str, _each: Any, _options: Any, signature: str | None, result: str | None
) -> tuple[str | None, str | None]:
    """Write defaults that are no Python, as <factory>, as an ellipsis, so that the signature can be set as one."""
    return re.sub(r"<[^<>]*>", "...", signature) if signature else signature, result


def _skip_routing(_app: Any, _what: str, name: str, _each: Any, _skip: bool, _options: Any) -> bool | None:
    """Leave out the methods of metadata routing that scikit-learn adds to every estimator."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def setup(app: Any) -> dict[str, bool]:
    """Write the pages when Sphinx starts."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir) / FOLDER) and None)
    app.connect("autodoc-process-docstring", _escape_docstring, priority=100)  # before sections are made fields
    app.connect("autodoc-process-docstring", _mend_types, priority=900)  # after sections were made fields
    app.connect("autodoc-process-signature", _plain_defaults)
    app.connect("autodoc-skip-member", _skip_routing)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
