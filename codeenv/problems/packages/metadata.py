"""problem.yaml of the legacy format and of 2023-07 and later, as one record."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from codeenv.problems.packages.files import PackageFiles
from codeenv.problems.problem import Limits, ProblemError

__all__ = ["Metadata", "flag_list", "read_metadata", "read_yaml"]

_MAX_NODES = 10_000
_MAX_CHARACTERS = 1_000_000
_KINDS = ("pass-fail", "scoring", "interactive", "multi-pass")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What problem.yaml says.

    Attributes:
        name: the problem's name, in English if there is a choice.
        format_version: `legacy`, `2023-07`, `2025-09` and so on.
        kinds: `pass-fail` or `scoring`, and `interactive`, `multi-pass`.
        custom_validation: whether a program in the package decides (in later formats its folder says so).
        validator_flags: flags for the output validator.
        passes: most runs of a submission on one case.
        limits: of each test; RLEF's 10 s and 1 GB where the package says nothing.
    """

    name: str
    format_version: str
    kinds: frozenset[str]
    custom_validation: bool
    validator_flags: tuple[str, ...]
    passes: int
    limits: Limits
    source: str
    license: str


def read_metadata(files: PackageFiles) -> Metadata:
    """Return the metadata of a package; raise `ProblemError` if problem.yaml is malformed."""
    data = read_yaml(files, "problem.yaml")
    validation = str(data.get("validation") or "default").split()
    declared = data.get("type") or "pass-fail"
    kinds = set(map(str, declared if isinstance(declared, list) else str(declared).split()))
    if unknown := sorted(kinds - set(_KINDS)):
        raise ProblemError(f"problem.yaml has the type {unknown[0]!r}; use {', '.join(_KINDS[:-1])} or {_KINDS[-1]}")
    kinds |= {kind for kind in ("interactive", "multi-pass") if kind in validation}
    flags = data.get("validator_flags") or data.get("output_validator_flags")
    return Metadata(
        name=_localised(data.get("name")),
        format_version=str(data.get("problem_format_version") or "legacy"),
        kinds=frozenset(kinds),
        custom_validation="custom" in validation,
        validator_flags=flag_list(flags),
        passes=_passes(data) if "multi-pass" in kinds else 1,
        limits=_limits(files, data),
        source=_text(data.get("source")),
        license=_text(data.get("license")),
    )


def read_yaml(files: PackageFiles, name: str) -> dict[str, Any]:
    """Return a YAML mapping; an empty file is an empty mapping.

    Raises:
        ProblemError: if it is something else, or holds too much once its aliases are written out.
    """
    text = files.read_text(name)
    try:
        try:
            data = _construct(text, name)
        except yaml.YAMLError:  # a frequent slip: `name: One: Two` without quotes
            quoted = re.sub(r"^(name|source|author): ([^'\"\n]*: [^'\"\n]*)$", r'\1: "\2"', text, flags=re.M)
            data = _construct(quoted, name)
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, ProblemError):
            raise
        raise ProblemError(f"{name} is not YAML: {' '.join(str(error).split())[:200]}") from None
    except RecursionError:
        raise ProblemError(f"{name} is nested too deeply") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ProblemError(f"{name} holds a {type(data).__name__}; it must hold fields with values")
    return data


def _construct(text: str, name: str) -> Any:
    """Return the value of YAML text whose size with all aliases written out is within bounds."""
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _check_size(root, name)
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _check_size(root: yaml.Node, name: str) -> None:
    """Walk as an alias-free copy would be walked, and stop at the bound: aliases of aliases grow exponentially."""
    nodes, characters, ahead = 1, 0, [root]
    while ahead:
        node = ahead.pop()
        if isinstance(node, yaml.ScalarNode):
            characters += len(node.value)
            inner: list[yaml.Node] = []
        elif isinstance(node, yaml.MappingNode):
            inner = [part for pair in node.value for part in pair]
        else:
            inner = node.value
        nodes += len(inner)
        if nodes > _MAX_NODES or characters > _MAX_CHARACTERS:
            raise ProblemError(
                f"{name} holds more than {_MAX_NODES} values or {_MAX_CHARACTERS} characters with its aliases written out"
            )
        ahead.extend(inner)


def flag_list(flags: Any) -> tuple[str, ...]:
    """Return validator flags as a tuple, from a text or a list."""
    if flags is None:
        return ()
    return tuple(str(flag) for flag in flags) if isinstance(flags, list) else tuple(str(flags).split())


def _limits(files: PackageFiles, data: Mapping[str, Any]) -> Limits:
    stated = data.get("limits") or {}
    if not isinstance(stated, Mapping):
        raise ProblemError(f"problem.yaml: field 'limits' is {reprlib.repr(stated)}; it must hold fields with values")
    standard = Limits()
    time, memory, output = stated.get("time_limit"), stated.get("memory"), stated.get("output")
    if time is None and ".timelimit" in files:
        time = files.read_text(".timelimit").strip()
    try:
        return Limits(
            float(time) if time else standard.time_limit_s,
            max(16, int(memory)) if memory else standard.memory_mb,
            int(output) * 1024 if output else standard.output_kb,
        )
    except (TypeError, ValueError) as error:
        raise ProblemError(f"problem.yaml: field 'limits' is malformed: {error}") from None


def _passes(data: Mapping[str, Any]) -> int:
    limits = data.get("limits")
    value = (limits or {}).get("validation_passes", 2) if isinstance(limits, Mapping) or limits is None else None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 100:
        raise ProblemError(
            f"problem.yaml: field 'limits.validation_passes' is {reprlib.repr(value)}; use a number between 1 and 100"
        )
    return value


def _localised(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("en") or next(iter(value.values()), ""))
    return str(value or "")


def _text(value: Any) -> str:
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, Mapping):
        value = value.get("name") or ""
    return str(value or "")
