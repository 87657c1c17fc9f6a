"""Which file of a W&B run to believe: the lowest rank wins, the others stay visible.

| rank | fields | configs |
|---|---|---|
| 10 | `run-ID.wandb`: written first, while the run lives | the same, in its resolved form |
| 20 | `wandb-metadata.json` | `config.yaml` |
| 25 | `wandb-summary.json` | |
| 30 | `_wandb.e` in `config.yaml`: the metadata again | `wandb/sweep-SWEEP/config-RUN.yaml` |
| 40 | `logs/`, and names of folders and files | `logs/debug.log` |

The stream comes before `config.yaml`, since Lightning's `save_hyperparameters` overwrites what
the user had logged with `repr` text and unresolved interpolations, and since offline runs have
no `config.yaml` at all.

Names of the fields that any of these files may yield:

- identity: `run_id, entity, project, display_name, notes, tags` (JSON list)`, group, job_type,
  sweep_id, resumed, starting_step, branch_run, branch_step`
- machine: `host, os, username, executable, python_version, gpu, gpu_count, cpu_count,
  cuda_version, utc_offset, packages` (JSON object)
- program: `program, code_path, root, args` (JSON list)`, git_remote, git_commit, cli_version`
- life: `started_at, last_timestamp, heartbeat, ended_at` (moments)`, runtime, row_runtime`
  (seconds, the latter of the last row)`, last_step, mode, state, exit_code, preempting, lifecycle,
  log_ending`
"""

from __future__ import annotations

STREAM = 10
METADATA = 20
SUMMARY = 25
CONFIG = 30
NAMES_AND_LOGS = 40

CONFIG_STREAM = 10
CONFIG_FILE = 20
CONFIG_SWEEP = 30
CONFIG_DEBUG_LOG = 40
