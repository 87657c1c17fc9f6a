"""Writes a checkpoint's config and metadata beside it, whatever framework saved it.

Nothing here may fail a training: the callbacks call `Saver` through `guarded`, and what goes wrong
is a warning in the log, once for each kind.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog import __version__
from catalog.recover.compare import open_keys
from catalog.recover.content import holder_of, json_bytes, sha256
from catalog.sources.interpolation import resolve
from catalog.sources.secrets import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

log = logging.getLogger(__name__)

CONFIG_SUFFIX, METADATA_SUFFIX = ".config.json", ".metadata.json"
_WRITER = "catalog"
_GIT_SECONDS = 5


class Saver:
    """Writes `STEM.config.json` and `STEM.metadata.json` for one training.

    A file that stands in the way is replaced only if it was written here and is unchanged.

    Args:
        config: the training's whole config: a mapping, or an OmegaConf object, which is resolved.
        sections: what inference needs; the sidecar holds these alone.
        framework: its name, for the metadata.
    """

    def __init__(self, config: Any, sections: Sequence[str], framework: str) -> None:
        self._config = config
        self._sections = tuple(sections)
        self._framework = framework
        self._warned: set[str] = set()
        self._prepared: tuple[Mapping[str, Any], dict[str, Any], bytes | None] | None = None

    @contextmanager
    def guarded(self, what: str) -> Iterator[None]:
        """Let no exception out: a warning is logged, the first time that `what` fails."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a training must not die of its bookkeeping
            self._warn(what, f"catalog could not {what}: {type(error).__name__}: {error}")

    @cached_property
    def config(self) -> dict[str, Any] | None:
        """The training's whole config as plain data; Hydra's own where none was given."""
        found: list[dict[str, Any]] = []
        with self.guarded("read the config"):
            config = self._config if self._config is not None else _hydra_config()
            found += [plain(config)] if config is not None else []
        return found[0] if found else None

    @cached_property
    def surroundings(self) -> dict[str, Any]:
        """What does not change while a training lives: Hydra's folder and the git commit."""
        found: dict[str, Any] = {}
        hydra = _hydra()
        if hydra is not None:
            found["output_dir"] = str(hydra.runtime.output_dir)
            found["hydra_config_path"] = str(
                Path(hydra.runtime.output_dir) / str(hydra.output_subdir) / "config.yaml"
            )
            found["hydra_overrides"] = [str(one) for one in hydra.overrides.task]
        commit = _git_commit()
        if commit:
            found["git_commit"] = commit
        return found

    def save(
        self,
        checkpoint: Path,
        metadata: Mapping[str, Any],
        fallback: Callable[[], Mapping[str, Any] | None] = lambda: None,
    ) -> None:
        """Write both files of a checkpoint that was just saved.

        Args:
            checkpoint: the file or folder.
            metadata: of this save: epoch, metrics, run ids, ...
            fallback: gives the config to take where none is known, e.g. hyper-parameters.
        """
        config, redacted, sidecar = self._known(fallback)
        stem = checkpoint.with_suffix("")
        said: dict[str, Any] = {
            "written_by": f"{_WRITER} {__version__} ({self._framework})",
            "created_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "checkpoint_path": str(checkpoint),
            **{key: value for key, value in metadata.items() if value is not None},
            **self.surroundings,
        }
        if config is not None:
            said["config"] = redacted
            if sidecar is not None and self._put_sidecar(stem, sidecar):
                said["sidecar_sha256"] = sha256(sidecar)
        target = stem.with_name(stem.name + METADATA_SUFFIX)
        if target.exists() and not _is_ours(_read(target)):
            self._warn(str(target), f"{target} is not catalog's and is left as it is.")
            return
        _replace(target, json_bytes(said))

    def forget(self, checkpoint: Path) -> None:
        """Remove what was written for a checkpoint that the framework removed."""
        stem = checkpoint.with_suffix("")
        target = stem.with_name(stem.name + METADATA_SUFFIX)
        metadata = _read(target)
        if not _is_ours(metadata):
            return
        sidecar = stem.with_name(stem.name + CONFIG_SUFFIX)
        if sidecar.is_file() and sha256(sidecar.read_bytes()) == metadata.get("sidecar_sha256"):
            sidecar.unlink()
        target.unlink()

    def _known(
        self, fallback: Callable[[], Mapping[str, Any] | None]
    ) -> tuple[Mapping[str, Any] | None, dict[str, Any], bytes | None]:
        """Return the config, the same without secrets, and the sidecar; all found out once."""
        if self._prepared is None:
            config = self.config if self.config is not None else fallback()
            if config is None:
                return None, {}, None
            self._prepared = (config, redact(dict(config))[0], self._sidecar(config))
        return self._prepared

    def _sidecar(self, config: Mapping[str, Any]) -> bytes | None:
        holder = holder_of(config, self._sections)
        sections = {name: holder[name] for name in self._sections if name in holder}
        lacking = [name for name in self._sections if name not in sections]
        if lacking:
            self._warn(
                "sections",
                f"The config has no section {lacking[0]!r}: checkpoints get no sidecar. Give the "
                "callback the whole config, or name its `sections`.",
            )
            return None
        left = [key for name in sections for key in open_keys(sections[name], name)]
        if left:
            self._warn("open", f"The config leaves {left[0]} open: checkpoints get no sidecar.")
            return None
        return json_bytes(sections)

    def _put_sidecar(self, stem: Path, content: bytes) -> bool:
        target = stem.with_name(stem.name + CONFIG_SUFFIX)
        if target.is_file():
            found = sha256(target.read_bytes())
            if found == sha256(content):
                return True
            known = _read(stem.with_name(stem.name + METADATA_SUFFIX))
            if not (_is_ours(known) and known.get("sidecar_sha256") == found):
                self._warn(str(target), f"{target} is not catalog's and is left as it is.")
                return False
        _replace(target, content)
        return True

    def _warn(self, kind: str, message: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            log.warning(message)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _is_ours(metadata: Mapping[str, Any]) -> bool:
    return str(metadata.get("written_by", "")).startswith(f"{_WRITER} ")


def plain(config: Any) -> dict[str, Any]:
    """Return a config as JSON can say it, references within it resolved.

    Args:
        config: a mapping, a namespace, or an OmegaConf object.

    Raises:
        TypeError: it is no mapping, or holds what JSON cannot say.
        ValueError: it holds a number that is not finite.
    """
    if type(config).__module__.startswith("omegaconf"):
        from omegaconf import OmegaConf  # type: ignore[import-not-found,unused-ignore]
        from omegaconf.errors import (  # type: ignore[import-not-found,unused-ignore]
            OmegaConfBaseException,
        )

        try:
            config = OmegaConf.to_container(config, resolve=True)
        except OmegaConfBaseException:
            # One value that cannot be resolved here must not hide the others.
            config = OmegaConf.to_container(config, resolve=False)
    elif not isinstance(config, Mapping):
        config = vars(config)
    document = json.loads(json.dumps(dict(config), allow_nan=False))
    return resolve(document)


def _hydra() -> Any:
    """Return Hydra's own config, if a Hydra job is running."""
    if "hydra" not in sys.modules:
        return None
    from hydra.core.hydra_config import (  # type: ignore[import-not-found,unused-ignore]
        HydraConfig,
    )

    return HydraConfig.get() if HydraConfig.initialized() else None


def _hydra_config() -> Any:
    hydra = _hydra()
    if hydra is None:
        return None
    from omegaconf import OmegaConf

    path = Path(hydra.runtime.output_dir) / str(hydra.output_subdir) / "config.yaml"
    return OmegaConf.load(path) if path.is_file() else None


def _git_commit() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            [git, "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
