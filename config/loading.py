"""From a TOML file and the environment to `Settings`, or to a list of what is wrong and where.

`FORESTALL_HTTP__TOKEN=...` sets `[http] token`; the environment wins over the file.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from config.settings import Settings

ENV_PREFIX = "FORESTALL_"
NOT_SETTINGS = {"FORESTALL_CONFIG", "FORESTALL_REQUIRE_SYSTEM"}


class ConfigError(Exception):
    """The config cannot be used; `problems` has one line each: where, what, and what to do."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Loaded:
    settings: Settings
    origins: Mapping[str, str]  # dotted key -> "file" or the environment variable; absent: default


def load(path: Path | None, environ: Mapping[str, str] | None = None) -> Loaded:
    environ = os.environ if environ is None else environ
    name = str(path) if path else "environment"
    values = _read(path) if path else {}
    origins = dict.fromkeys(_leaves(values), name)
    for variable, keys in _variables(environ):
        _put(values, keys, environ[variable], variable)
        origins[".".join(keys)] = variable
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(explain(error, name, Settings, origins)) from None
    return Loaded(settings, origins)


def shown(loaded: Loaded) -> Iterator[tuple[str, Any, str]]:
    """Each key, its value as JSON has it with secrets hidden, and where it comes from."""
    for key, value in _values(loaded.settings):
        yield key, _plain(value), loaded.origins.get(key.partition("[")[0], "default")


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        return [_plain(one) for one in value]
    return "<secret>" if isinstance(value, SecretStr) else str(value)


def written(value: Any) -> str:
    """A value of `shown` as TOML has it; empty: none."""
    if value is None:
        return ""
    return _nested(value) if isinstance(value, bool | dict | list) else str(value)


def _nested(value: Any) -> str:
    """As in a TOML list or table: texts in quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name} = {_nested(one)}' for name, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(_nested(one) for one in value)}]"
    text = written(value)
    if isinstance(value, int | float):
        return text
    return f"'{text}'" if '"' in text and "'" not in text else json.dumps(text, ensure_ascii=False)


def explain(
    error: ValidationError, name: str, model: type[BaseModel], origins: Mapping[str, str] | None = None
) -> list[str]:
    """One line a problem: where, what, and the nearest key that exists."""
    errors = error.errors(include_url=False)
    places = [one["loc"] for one in errors]
    # A list of which an item is wrong is also said to be too short: the item is what has to be mended.
    told = [
        one
        for one in errors
        if not any(place[: len(one["loc"])] == one["loc"] for place in places if place != one["loc"])
    ]
    return [_line(name, one, origins or {}, model) for one in told]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file; `forestall config show` prints every key"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: cannot be read: no text in UTF-8"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: not valid TOML: {error}"]) from None


def _variables(environ: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    for variable in sorted(environ):
        if variable.startswith(ENV_PREFIX) and variable not in NOT_SETTINGS:
            yield variable, variable.removeprefix(ENV_PREFIX).lower().split("__")


def _put(values: dict[str, Any], keys: list[str], value: str, variable: str) -> None:
    for key in keys[:-1]:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise ConfigError([f"{variable}: {key} is a value, not a section"])
    values[keys[-1]] = value


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def _values(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key in type(section).model_fields:
        yield from _flat(prefix + key, getattr(section, key))


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, BaseModel):
        yield from _values(value, key + ".")
    elif isinstance(value, Mapping) and any(isinstance(one, BaseModel) for one in value.values()):
        for name, one in value.items():
            yield from _flat(f"{key}.{name}", one)
    elif isinstance(value, tuple) and any(isinstance(one, BaseModel) for one in value):
        for at, one in enumerate(value):
            yield from _flat(f"{key}[{at}]", one)
    else:
        yield key, value


def _line(name: str, error: Any, origins: Mapping[str, str], model: type[BaseModel]) -> str:
    keys = [str(key) for key in error["loc"]]
    where = ".".join(keys)
    source = origins.get(where, name)
    if error["type"] == "extra_forbidden":
        known = _known(keys[:-1], model)
        near = difflib.get_close_matches(keys[-1], known, n=1, cutoff=0.5)
        hint = (
            f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(known)) or 'nothing'}"
        )
        return f"{source}: {where}: no such key; {hint}"
    return f"{source}: {where}: {_sentence(error)}"


def _sentence(error: Any) -> str:
    # Pydantic repeats the value in some messages only; a secret's value must never appear, so none does.
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _known(keys: list[str], model: Any) -> list[str]:
    for key in keys:
        if key.isdigit():  # a place in a list of the model before it
            continue
        fields = getattr(model, "model_fields", {})
        if key not in fields:
            return []
        model = _model_of(fields[key].annotation)
    return list(getattr(model, "model_fields", {}))


def _model_of(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if (found := _model_of(inner)) is not None:
            return found
    return None
