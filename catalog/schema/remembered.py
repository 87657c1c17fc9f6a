"""The paths that a checkpoint remembers, as they are stored: below its own folder, once.

Lightning writes the folder of a training into every path that it keeps, four times a checkpoint and
more. A path in `checkpoint.directory` is stored as `./best.ckpt`; one that began so on the machine
that wrote it gets another `./` in front, so that each text stands for one path.
"""

from __future__ import annotations

_HERE = "./"


def shortened(path: str, directory: str | None) -> str:
    """Return the form in which a path is stored.

    Args:
        path: as the checkpoint remembers it.
        directory: the folder that the checkpoint remembers being written to.
    """
    if directory and path.startswith(f"{directory}/"):
        below = path[len(directory) + 1 :]
        if not below.startswith(_HERE):
            return f"{_HERE}{below}"
    return f"{_HERE}{path}" if path.startswith(_HERE) else path


def whole(text: str, directory: str | None) -> str:
    """Return the path that a stored text stands for.

    Args:
        text: as `shortened` returned it.
        directory: the same as then.
    """
    if not text.startswith(_HERE):
        return text
    below = text[len(_HERE) :]
    return below if below.startswith(_HERE) else f"{directory or '.'}/{below}"
