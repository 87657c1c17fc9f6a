"""A trace as a tree that can be read in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from catalog.cli.tree import Branch, print_tree
from catalog.link.limits import CONTENT, LEAD, THRESHOLD
from catalog.query.values import gone_text, shown, visible
from catalog.states import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from catalog.query.trace import Record, Trace

_FEW = 6
_FULL = 6
"""Runs that are shown with all their evidence."""
_STYLES = {"linked": "green", "ambiguous": "yellow", "candidate": "yellow"}
"""Of verdicts; the others are red."""


def draw(trace: Trace) -> None:
    """Print a trace to stdout; lines are cut nowhere, and folded only on a terminal."""
    tree = _heading(trace.checkpoint)
    _add_use(tree, trace.checkpoint)
    _add_loads(tree, trace.checkpoint)
    _add_runs(tree, trace)
    _add_configs(tree, trace.configs)
    _add_numbers(tree, trace)
    _add_git(tree, trace.candidates)
    _add_files(tree, "same run" if _linked(trace) else "same folder", trace.siblings)
    for equality, label in (("verified", "equal weights"), ("stated", "equal weights as stated")):
        _add_files(tree, label, [one for one in trace.copies if one["equality"] == equality])
    for move in trace.moves:
        basis = "" if move["equality"] == "verified" else "; its weights are equal as stated"
        _line(tree, "was", move["path"], dim=f"until ingest {move['ingest']} found it gone{basis}")
    for event in trace.events[-_FEW:]:
        before = event["from_state"] or "new"
        said = f"{shown('at', event['at'])}  {before} → {event['to_state']}"
        _line(tree, "state", said, dim=event["reason"])
    for problem in trace.problems:
        place = f"  {problem['file']}" if problem["file"] else ""
        _line(tree, "problem", problem["code"] + place, style="red", dim=problem["message"])
    print_tree(tree, guide_style="dim")


def _linked(trace: Trace) -> bool:
    return bool(trace.checkpoint["verdict"] == "linked")


def _heading(row: Record) -> Branch:
    facts = [
        shown("size", row["size"]),
        f"written {shown('modified_at', row['modified_at'])}",
        row["format"],
        row["framework"] and f"{row['framework']} {row['framework_version'] or ''}".strip(),
        row["epoch"] is not None and f"epoch {row['epoch']}",
        row["global_step"] is not None and f"step {row['global_step']}",
        row["presence"] != "present" and row["presence"].upper(),
    ]
    text = Branch(visible(row["path"]), style="bold")
    text.append("\n" + ", ".join(visible(str(fact)) for fact in facts if fact), style="not bold")
    return text


def _add_use(tree: Branch, row: Record) -> None:
    state = BY_NAME.get(row["state"])
    branch = _line(
        tree,
        "use",
        row["state"] or row["status"],
        style=state.colour if state else "",
        dim=row["reason"],
    )
    if row["inference_config"]:
        named = row["inference_config"] + gone_text(row["inference_config_state"])
        _line(branch, "config", named, dim=row["inference_config_kind"])
    elif row["inference_config_kind"]:
        _line(branch, "config", "in the file itself")
    if row["doubt"]:
        _line(branch, "doubt", row["doubt"], style="yellow")
    if row["remedy"]:
        _line(branch, "try", row["remedy"])
    if row["safety"] == "dangerous":
        _line(branch, "danger", "Loading it would run foreign code.", style="red")


def _add_loads(tree: Branch, row: Record) -> None:
    """Say whether `torch.load(file)` takes it, where torch loads such files at all."""
    accepted = row["loads_by_default"]
    if accepted is None:
        return
    verdicts = {"yes": f"torch {row['loads_torch']} loads it", "no": "refused"}
    style = "green" if accepted == "yes" else "yellow"
    verdict = verdicts.get(accepted, "unknown")
    branch = _line(tree, "torch.load", verdict, style=style, dim=row["loads_reason"])
    if row["loads_remedy"]:
        _line(branch, "try", row["loads_remedy"])


def _add_runs(tree: Branch, trace: Trace) -> None:
    verdict = trace.checkpoint["verdict"]
    said = "pinned" if trace.checkpoint["decided_by"] == "person" else verdict
    branch = _line(tree, "run", said, style=_STYLES.get(verdict, "red"), dim=_why(trace))
    for place in trace.places:
        if place["run"] != trace.checkpoint["run"]:
            here = place["run_directory"] == trace.checkpoint["path"]
            label = "tells of" if here else "lies in the folder of"
            _line(branch, label, place["run"], dim=f"{place['tracker']}, {place['run_directory']}")
    told, others = _told(trace)
    for candidate in told[:_FULL]:
        names = [candidate["entity"], candidate["project"], candidate["run"]]
        run = _line(
            branch,
            f"{candidate['score']:+.1f}",
            "/".join(filter(None, names)),
            style="bold",
            dim=", ".join(
                str(fact)
                for fact in (
                    candidate["display_name"],
                    candidate["run_state"],
                    candidate["started_at"] and f"started {shown('', candidate['started_at'])}",
                    candidate["run_directory"] + gone_text(candidate["run_directory_state"]),
                )
                if fact
            ),
        )
        for piece in candidate["evidence"]:
            said = _line(run, f"{piece['weight']:+.1f}", piece["kind"], dim=piece["detail"])
            if piece["file"]:
                _line(said, "in", piece["file"] + gone_text(piece["file_state"]))
    if len(told) > _FULL:
        _line(branch, "also", f"{len(told) - _FULL} more runs (-f json shows all)")
    if others:
        listed = (f"{c['run']} ({c['verdict']}, {c['score']:+.1f})" for c in others)
        _line(branch, "not", _few(listed, len(others)))


def _told(trace: Trace) -> tuple[list[Record], list[Record]]:
    """Return the runs to show with their evidence, and those that are only named."""
    told: list[Record] = []
    others: list[Record] = []
    for one in trace.candidates:
        is_told = one["verdict"] == "linked" if _linked(trace) else one["score"] > 0
        (told if is_told else others).append(one)
    return told, others


def _why(trace: Trace) -> str | None:
    """Return why no run is linked, where none is."""
    verdict = trace.checkpoint["verdict"]
    if verdict == "unlinked" and not trace.candidates:
        return "Nothing on disk ties it to a W&B run."
    if verdict == "unlinked" and all(one["score"] <= 0 for one in trace.candidates):
        return "More speaks against each W&B run near it than for it."
    if verdict == "unlinked":
        return (
            f"The nearest runs are not enough: a link takes {THRESHOLD:+.1f}, {CONTENT:+.1f} of it "
            "from something other than clocks."
        )
    if verdict == "ambiguous":
        count = sum(one["verdict"] == "ambiguous" for one in trace.candidates)
        return f"{count} runs fit within {LEAD:g} of the best: nothing on disk tells them apart."
    return None


def _add_configs(tree: Branch, configs: list[Record]) -> None:
    for config in configs:
        if config["chosen"]:
            named = config["file"] + gone_text(config["file_state"])
            _line(tree, "config", named, style="green", dim=config["kind"])
    others = [config for config in configs if not config["chosen"]]
    for config in others[:_FEW]:
        named = config["file"] + gone_text(config["file_state"])
        _line(tree, "config also", named, dim=f"{config['kind']}, {config['of_what']}")
    if len(others) > _FEW:
        _line(tree, "config also", f"and {len(others) - _FEW} more (-f json shows all)")


def _add_numbers(tree: Branch, trace: Trace) -> None:
    row = trace.checkpoint
    own = [(row["monitor"], row["own_score"]), ("best so far", row["best_score"])]
    inside = [f"{name} {value:.6g}" for name, value in own if name and value is not None]
    inside += [f"{score['name']} {_number(score)}" for score in trace.scores]
    if inside:
        _line(tree, "inside it", _few(inside, len(inside)))
    if row["weights_doubt"]:
        _line(tree, "weights", row["weights_doubt"])
    said = {metric["metric"]: _number(metric) for metric in reversed(trace.metrics)}
    if said:
        names = dict.fromkeys(metric["metric"] for metric in trace.metrics)
        is_whole = not any(metric["gap"] for metric in trace.metrics)
        _line(
            tree,
            "its run",
            _few((f"{name} {said[name]}" for name in names), len(names)),
            dim=None if is_whole else "its history is not whole",
        )


def _add_git(tree: Branch, candidates: list[Record]) -> None:
    for candidate in candidates[:1]:
        if candidate["verdict"] == "linked" and candidate["git_commit"]:
            _line(tree, "git", candidate["git_commit"], dim=candidate["git_remote"])


def _add_files(tree: Branch, label: str, files: list[Record]) -> None:
    if files:
        names = (f"{file['path']} ({file['state'] or 'not judged'})" for file in files)
        branch = _line(tree, label, str(len(files)))
        for name, _ in zip(names, range(_FEW), strict=False):
            branch.add(Branch(visible(name)))
        if len(files) > _FEW:
            branch.add(Branch(f"and {len(files) - _FEW} more"))


def _line(
    tree: Branch, label: str, text: str, *, style: str = "", dim: str | None = None
) -> Branch:
    line = Branch(f"{label}  ", style="dim")
    line.append(visible(text), style=f"not dim {style}")
    if dim:
        line.append(f"  {visible(dim)}", style="dim")
    return tree.add(line)


def _few(texts: Iterable[str], count: int) -> str:
    listed = [text for text, _ in zip(texts, range(_FEW), strict=False)]
    return ", ".join(listed) + (f", and {count - _FEW} more" if count > _FEW else "")


def _number(row: Record) -> Any:
    return row["special"] if row["value"] is None else f"{row['value']:.6g}"
