"""Which run directories are of one run: by the tracker's id, and what has to stand beside it.

W&B's ids are unique in one project. An id that was drawn is unique anywhere, so that a folder which
states no project is of the run that its id names. One that may be a word (`baseline`) also needs
the same place or, for copies, the very same start: people give it again in every clone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select, update

from catalog.schema.store import chunks, table_of
from catalog.schema.tables import LinkDecision, Run
from catalog.sources.run_ids import is_drawn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy import Connection

    from catalog.ingest.runs import Folder

_WANDB = "wandb"
_WHOLE_SECOND = ".000000Z"


class _Account(NamedTuple):
    """Where W&B keeps a run; None for what no file states."""

    entity: str | None
    project: str | None

    def may_be(self, other: _Account) -> bool:
        """Tell whether nothing that both state differs."""
        return all(None in pair or pair[0] == pair[1] for pair in zip(self, other, strict=True))

    @property
    def is_whole(self) -> bool:
        """Whether both parts are stated."""
        return None not in self


def identities_by_id(folders: Iterable[Folder]) -> dict[int, str]:
    """Return the identity of the run of each folder that states a run's id, by its number.

    Args:
        folders: of trackers whose folders are runs; those without an id are passed over.
    """
    by_id: dict[tuple[str, str], list[Folder]] = defaultdict(list)
    for folder in folders:
        if folder.tracker_run_id is not None:
            by_id[folder.tracker, folder.tracker_run_id].append(folder)
    found: dict[int, str] = {}
    for (tracker, run_id), members in by_id.items():
        for account, several in _by_account(tracker, run_id, members).items():
            names = "/".join((*filter(None, account), run_id))
            if is_drawn(run_id):
                found |= {folder.id: f"{tracker}:{names}" for folder in several}
                continue
            for together in _at_one_place(several):
                root_id, place = min(map(_place, together))
                identity = f"{tracker}:{names}:{root_id}:{place}"
                found |= {folder.id: identity for folder in together}
    return found


def follow_identities(
    connection: Connection,
    groups: Mapping[str, list[Folder]],
    before: dict[str, dict[str, Any]],
    former: Mapping[int, int | None],
) -> None:
    """Let runs keep their number, and what people said of them, under another identity.

    It changes when a file comes to state the project, and did when identities began to hold it. A
    run that is two now goes on as the one that has most of its folders.

    Args:
        connection: in a transaction.
        groups: the folders of each run, by its identity now.
        before: the rows of `run` by identity; those that go on get their new one.
        former: the run of each folder before.
    """
    numbers = {int(row["id"]): identity for identity, row in before.items()}
    shares: list[tuple[int, str, str]] = []
    for identity in sorted(groups.keys() - before.keys()):
        members = groups[identity]
        counts = Counter(
            was
            for folder in members
            if folder.tracker == _WANDB and (was := numbers.get(former[folder.id] or 0)) is not None
        )
        shares += [(-count, identity, was) for was, count in counts.items() if was not in groups]
    followed: set[str] = set()
    table = table_of(Run)
    for _count, identity, was in sorted(shares):
        if was in before and was not in followed and identity not in before:
            row = before.pop(was)
            followed.add(was)
            before[identity] = {**row, "identity": identity}
            connection.execute(
                update(table).where(table.c.id == row["id"]).values(identity=identity)
            )
            _follow_words(connection, was, identity)
    _find_again(connection, groups, before)


def _find_again(
    connection: Connection, groups: Mapping[str, list[Folder]], before: Mapping[str, object]
) -> None:
    """Let what people said of a run that was gone be said of it, now that it is back."""
    said = table_of(LinkDecision).c.run_identity
    lost = (
        set(connection.execute(select(said).distinct()).scalars()) - before.keys() - groups.keys()
    )
    if not lost:
        return
    named: dict[str, set[str]] = defaultdict(set)
    for identity, members in groups.items():
        for folder in members:
            for was in _former_names(folder):
                named[was].add(identity)
    for was in sorted(lost & named.keys()):
        if len(named[was]) == 1:
            _follow_words(connection, was, *named[was])


def _follow_words(connection: Connection, was: str, identity: str) -> None:
    """Let what people said of a run be said of it under its new identity."""
    table = table_of(LinkDecision)
    newer = select(table.c.checkpoint_id).where(table.c.run_identity == identity)
    of_run = table.c.run_identity == was
    known = set(connection.execute(newer).scalars())
    about = [
        number
        for number in connection.execute(select(table.c.checkpoint_id).where(of_run)).scalars()
        if number not in known
    ]
    for part in chunks(about):
        connection.execute(
            update(table)
            .where(of_run, table.c.checkpoint_id.in_(part))
            .values(run_identity=identity)
        )


def _former_names(folder: Folder) -> Iterator[str]:
    """Yield how the run of a folder was called before identities held entity and project."""
    if folder.tracker == _WANDB and folder.tracker_run_id is not None:
        root_id, place = _place(folder)
        yield f"{folder.tracker}:{folder.tracker_run_id}"
        yield f"{folder.tracker}:{folder.tracker_run_id}:{root_id}:{place}"


def _by_account(tracker: str, run_id: str, members: list[Folder]) -> dict[_Account, list[Folder]]:
    """Return the folders of one id by the account that they state, or that others state for them.

    What others state counts where it is the same in all that may be the same run.
    """
    if tracker != _WANDB:
        return {_Account(None, None): members}
    stated = {
        folder.id: _Account(folder.value("entity") or None, folder.value("project") or None)
        for folder in members
    }
    found: dict[_Account, list[Folder]] = defaultdict(list)
    for folder in members:
        own = stated[folder.id]
        if not own.is_whole:
            others = {
                stated[other.id]
                for other in members
                if own.may_be(stated[other.id]) and (is_drawn(run_id) or _is_beside(folder, other))
            }
            own = _Account(*(_only(own[part], (one[part] for one in others)) for part in (0, 1)))
        found[own].append(folder)
    return found


def _only(own: str | None, others: Iterable[str | None]) -> str | None:
    """Return the one text that is stated, None where there is none or several."""
    if own is not None:
        return own
    several = {other for other in others if other is not None}
    return several.pop() if len(several) == 1 else None


def _at_one_place(members: list[Folder]) -> list[list[Folder]]:
    """Divide folders into those that lie beside each other or are copies of one another."""
    groups: list[list[Folder]] = []
    keys: list[set[object]] = []
    for folder in members:
        own: set[object] = {_place(folder), *_start(folder)}
        joined = [folder]
        for number in reversed(range(len(groups))):
            if not keys[number].isdisjoint(own):
                joined += groups.pop(number)
                own |= keys.pop(number)
        groups.append(joined)
        keys.append(own)
    return groups


def _is_beside(folder: Folder, other: Folder) -> bool:
    return _place(folder) == _place(other) or not set(_start(folder)).isdisjoint(_start(other))


def _place(folder: Folder) -> tuple[int, str]:
    return (folder.root_id, folder.path.rpartition("/")[0])


def _start(folder: Folder) -> tuple[tuple[str, str], ...]:
    """Return a folder's name with its run's start to the microsecond: its copies have both."""
    start = folder.when("started_at")
    if start is None or start.endswith(_WHOLE_SECOND):
        return ()
    return ((folder.path.rpartition("/")[2], start),)
