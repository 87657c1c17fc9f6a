"""Modules of the standard library that are loaded when something in them is first used.

typer imports at its top what it needs for completion, prompts and suggestions, and pathlib what it
needs for URLs; a command that reads needs next to none of it, and loading it took a third of the
time to start. Looking for it takes a millisecond or two, and waits as well. The recipe is that of
`importlib.util.LazyLoader`, which on Python 3.11 is of no use here: there the second `import` of a
module already loads it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = (
    "bz2", "csv", "difflib", "fnmatch", "gettext", "heapq", "ipaddress", "json", "linecache",
    "locale", "lzma", "ntpath", "numbers", "platform", "random", "selectors", "shlex", "shutil",
    "signal", "subprocess", "tempfile", "textwrap", "tokenize", "traceback", "urllib.parse", "uuid",
)  # fmt: skip
"""Modules written in Python; one that is loaded already stays so."""
_FUNCTIONS = {
    ("difflib", "get_close_matches"),
    ("gettext", "gettext"),
    ("shutil", "get_terminal_size"),
    ("urllib.parse", "quote_from_bytes"),
    ("uuid", "UUID"),
}
"""What is taken out of its module by name: a function that loads it when it is called.

Of `UUID` typer only asks whether a parameter is one; none of ours is.
"""

_lock = RLock()
_begun: set[str] = set()


class _Waiting(ModuleType):
    """A module whose text has not run yet; it becomes an ordinary one when it has."""

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":  # what `from MODULE import` asks first; a package has it already
            raise AttributeError(name)
        if (self.__name__, name) in _FUNCTIONS and self.__name__ not in _begun:
            return _deferred(self, name)
        _load(self)
        if type(self) is _Waiting:  # it asks for a name of its own while its text runs
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(self, name)


def _deferred(module: ModuleType, name: str) -> Callable[..., Any]:
    def call(*given: Any, **named: Any) -> Any:
        _load(module)
        return getattr(module, name)(*given, **named)

    return call


def _load(module: ModuleType) -> None:
    with _lock:  # other threads wait here until all of the module is there
        if module.__name__ in _begun:
            return
        _begun.add(module.__name__)
        del sys.modules[module.__name__]  # else the one that waits is found
        try:
            spec = find_spec(module.__name__)
        finally:
            sys.modules[module.__name__] = module
        if spec is None or spec.loader is None:
            raise ImportError(f"There is no module {module.__name__}.", name=module.__name__)
        vars(module).update(vars(module_from_spec(spec)))  # `__file__` and the like
        spec.loader.exec_module(module)
        module.__class__ = ModuleType


def wait_for_use(names: tuple[str, ...] = MODULES) -> None:
    """Put modules in place that look for themselves and load when they are first used."""
    for name in names:
        if name in sys.modules:
            continue
        module = sys.modules[name] = _Waiting(name)
        package, _, own_name = name.rpartition(".")
        if package:
            setattr(import_module(package), own_name, module)
