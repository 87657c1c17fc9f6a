"""Whether `torch.load(file)` takes a file as it is, why not, and what to run instead.

The rules are those of one version of torch (`torch_rules`), applied by `weights_only`. It is not
the question whether a file is harmless (`safety`): OmegaConf and `pathlib` are, and are refused.
"""

from __future__ import annotations

from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from keyword import iskeyword
from typing import TYPE_CHECKING, Final

from catalog.sources.checkpoint.safety import is_dangerous
from catalog.sources.checkpoint.torch_rules import rules
from catalog.sources.checkpoint.weights_only import Examination, examine
from catalog.sources.facts import DefaultLoad
from catalog.sources.formats.torch import FORMAT as TORCH
from catalog.sources.plain import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from catalog.sources.checkpoint.inert import Found
    from catalog.sources.facts import Checkpoint

MAX_NAMES: Final = 10_000
"""Globals that are kept of one file."""
_SHOWN: Final = 3
_MAX_REMEDY: Final = 50
"""Names in a remedy: who must allow more had better read them."""
_FORMATS: Final = frozenset({"torch-zip", "torch-legacy", "torchscript", "pickle", "zip"})
_READ_NAMES: Final = "only with weights_only=False, after reading the names"
IN_ARCHIVE: Final = 5
IN_LEGACY: Final = 6


def with_default_load(
    checkpoint: Checkpoint,
    data: bytes,
    found: Found,
    *,
    parts: int = IN_ARCHIVE,
    start: int = 0,
    around: Sequence[int] = (),
) -> Checkpoint:
    """Return the checkpoint with torch's verdict on a pickle that was read whole.

    Args:
        checkpoint: what is known of the file.
        data: the pickle.
        found: what it names.
        parts: `IN_ARCHIVE` or `IN_LEGACY`, where the pickle is.
        start: where in the data it begins.
        around: where the further pickles of a legacy file begin, which torch reads likewise.
    """
    own = rules()
    if found.default_load is not None:
        return checkpoint.but(default_load=found.default_load)
    one = examine(data, own, start, parts=parts)
    for place in around:
        one = _joined(one, examine(data, own, place))
    judged = verdict(one, set(found.globals))
    if not one.rests_on_values:
        found.default_load = judged
    return checkpoint.but(default_load=judged)


def every_global(checkpoint: Checkpoint, found: Found) -> tuple[str, ...]:
    """Return all names of a checkpoint's pickles, sorted, those of one more among them."""
    if found.names is None:
        found.names = tuple(sorted({clean(name[:200]) for name in found.globals})[:MAX_NAMES])
    names = found.names
    if checkpoint.every_global:
        names = tuple(sorted({*checkpoint.every_global, *names})[:MAX_NAMES])
    return names


def refused(reason: str, remedy: str) -> DefaultLoad:
    """Return the verdict on what torch does not take for another cause than its pickle.

    Args:
        reason: the second half of a sentence about the file.
        remedy: what to run.
    """
    version = rules().version
    return DefaultLoad("no", version, f"`torch.load` of torch {version} refuses {reason}.", remedy)


def unknown(reason: str) -> DefaultLoad:
    """Return the verdict on a file of which not all was read.

    Args:
        reason: a sentence.
    """
    return DefaultLoad("unknown", rules().version, reason)


def by_status(checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint, told refused where the file is not whole: then no way loads it."""
    if checkpoint.format not in _FORMATS or checkpoint.status not in ("truncated", "unreadable"):
        return checkpoint
    if checkpoint.default_load is not None:
        return checkpoint  # torch was judged by the rules, whatever else is wrong
    reason = f"a damaged file: {checkpoint.reason}" if checkpoint.reason else "a damaged file"
    return checkpoint.but(default_load=refused(reason, "Take another copy of the file."))


def by_name(checkpoint: Checkpoint, name: str) -> Checkpoint:
    """Return the checkpoint, told refused where the name of the file promises something else.

    Args:
        checkpoint: what is known of the file.
        name: of the file, in lower case.
    """
    if name.endswith(".safetensors"):
        if checkpoint.default_load is None:
            return checkpoint
        # torch 2.13 gives it to safetensors, whatever it holds.
        what = "a file named .safetensors that holds something else"
        return checkpoint.but(default_load=refused(what, "Rename it to .pt."))
    if checkpoint.default_load is not None:
        return checkpoint
    if checkpoint.status not in ("empty", "pointer", "foreign") or not _is_torch(name):
        return checkpoint
    fetch = checkpoint.status == "pointer"
    remedy = "git lfs pull" if fetch else "Take another copy of the file."
    return checkpoint.but(default_load=refused(f"it: {checkpoint.reason}", remedy))


def _is_torch(name: str) -> bool:
    return name.endswith(TORCH.suffixes) or (TORCH.is_named is not None and TORCH.is_named(name))


def verdict(one: Examination, every: set[str] | frozenset[str] = frozenset()) -> DefaultLoad:
    """Return the verdict on a pickle.

    Args:
        one: what torch's rules say of it.
        every: all its names, to tell which older versions do not know them.
    """
    own = rules()
    torch = f"`torch.load` of torch {own.version}"
    names = [f"{module}.{name}" for module, name in one.names]
    if names:
        more = len(names) - _SHOWN
        listed = ", ".join(names[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
        return DefaultLoad("no", own.version, f"{torch} refuses {clean(listed)}.", _remedy(one))
    if one.refusal:
        reason = f"{torch} refuses it: its pickle {one.refusal}."
        return DefaultLoad("no", own.version, clean(reason), _READ_NAMES)
    if one.doubt:
        reason = f"It is not known what {torch} does: the pickle {one.doubt}."
        return DefaultLoad("unknown", own.version, clean(reason))
    versions, late = own.refused_by({*every} & own.allowed)
    if not late:
        return DefaultLoad("yes", own.version)
    span = f"{versions[0]} to {versions[-1]} refuse" if versions[1:] else f"{versions[0]} refuses"
    reason = f"By its sources, torch {span} {', '.join(late[:_SHOWN])} (not verified)."
    return DefaultLoad("yes", own.version, reason)


def _remedy(one: Examination) -> str:
    """Return the line that makes torch take the names, or what is left to do."""
    own = rules()
    full = [f"{module}.{name}" for module, name in one.names]
    bad = [name for name in full if is_dangerous(name) or name in _NEVER]
    if bad:
        return clean(f"{_READ_NAMES}: {bad[0]} can run any code")
    if any(module in own.blocked for module, _ in one.names):
        return _READ_NAMES
    if one.refusal or one.doubt or one.is_guess or len(full) > _MAX_REMEDY:
        return _READ_NAMES
    imports: dict[str, None] = {}
    allowed: list[str] = []
    for module, name in one.names:
        path = f"{module}.{name}"
        giver = next((key for key, names in own.by_import.items() if path in names), "")
        if giver:
            imports[f"import {giver}"] = None
        elif not _is_plain_path(path):
            return _READ_NAMES
        else:
            needed, expression = _expression(module, name)
            imports[needed] = None
            allowed.append(expression)
    for name in one.types:
        imports[f"import {name.rpartition('.')[0]}"] = None
        allowed.append(name)
    modules = [needed[7:] for needed in imports if needed.startswith("import ")]
    others = [needed for needed in imports if needed.startswith("from ")]
    first = f"import {', '.join(modules)}" if modules else ""
    line = f"torch.serialization.add_safe_globals([{', '.join(allowed)}])" if allowed else ""
    return "; ".join(part for part in (first, *others, line) if part)


def _expression(module: str, name: str) -> tuple[str, str]:
    """Return the import that a name needs, and how `add_safe_globals` is to be given it.

    torch looks for what it is given by its own `__module__` and `__qualname__`; where a pickle
    has another name of it, that is given beside it.
    """
    pair = NAME_MAPPING.get((module, name))
    new, own = pair or (IMPORT_MAPPING.get(module, module), name)
    if module == "__main__":
        return "", f'({name}, "__main__.{name}")'
    if new == "builtins":
        needed, path = "", own
    elif new.startswith("torch.optim.") and "." not in own:
        # torch.optim deletes the names of its modules.
        needed, path = f"from {new} import {own}", own
    else:
        needed, path = f"import {new}", f"{new}.{own}"
    # numpy 2 has moved these, and knows the old place still; Python's constants have no module.
    odd = module.startswith("numpy.core.") or path in ("Ellipsis", "NotImplemented")
    if odd or (new, own) != (module, name):
        return needed, f'({path}, "{module}.{name}")'
    return needed, path


def _is_plain_path(path: str) -> bool:
    """Say whether a name can be written into a line of Python: nothing else gets into one."""
    return path.isascii() and all(
        part.isidentifier() and not iskeyword(part) for part in path.split(".")
    )


_NEVER: Final = frozenset({"builtins.getattr"})
"""Names that reach every other one: nobody should allow them."""


def _joined(first: Examination, second: Examination) -> Examination:
    """Return what holds of two pickles together."""
    return first._replace(
        names=tuple(dict.fromkeys((*first.names, *second.names))),
        types=tuple(dict.fromkeys((*first.types, *second.types))),
        refusal=first.refusal or second.refusal,
        doubt=first.doubt or second.doubt,
    )
