"""The trainings themselves: the seven of the report, the usable ones, and the decoys."""

from __future__ import annotations

from datetime import timedelta

from ocr_maker.story import Model, Training, at, curve, ends

MOBILENET_UNET = Model("mobilenetv3_small_050", "unet")
MOBILENET_PAN = Model("mobilenetv3_small_050", "pan_decoder")
MOBILENET_FPN = Model("mobilenetv3_small_050", "fpn_decoder")
RESNET18_UNET = Model("resnet18", "unet")
RESNET18_FPN = Model("resnet18", "fpn_decoder")
RESNET18_PAN = Model("resnet18", "pan_decoder")
RESNET50_UNET = Model("resnet50", "unet")
RESNET50_PAN = Model("resnet50", "pan_decoder")
RESNET50_FPN = Model("resnet50", "fpn_decoder")
CRAFT = Model("vgg16_bn", "craft_decoder", "craft", "craft_head", "craft_loss")

COMMIT_2C6F1F1 = "2c6f1f1d80b3a94e6f7c15ea2290bd4c7730f8e5"


def _short_test(folder: str, run: str, written: str, score: float, **told: object) -> Training:
    """Return one of the four one-epoch tests of 2025-10-15."""
    start = at(run[:15])
    fields: dict[str, object] = {
        "start": start,
        "model": RESNET18_UNET,
        "epoch_ends": ends(start, 1, 70, {0: at(written) + timedelta(seconds=0.18)}),
        "hmean": curve(run, score, score, 1),
        "run_id": run[16:],
        "folder": folder,
        "batch_size": 4,
        "learning_rate": 0.001,
        "steps": 50,
        "log_every": 25,
        **told,
    }
    return Training(**fields)  # type: ignore[arg-type]


REPORTED = (
    Training(
        start=at("20251018_023219"),
        model=MOBILENET_UNET,
        epoch_ends=ends(
            at("20251018_023219"),
            20,
            365.4,
            {
                14: at("20251018_035906") + timedelta(seconds=0.21),
                18: at("20251018_042325") + timedelta(seconds=0.47),
                19: at("20251018_042933") + timedelta(seconds=0.62),
            },
        ),
        # The name of the file that falls out of the best three is used again. With these dips
        # best-v1, best-v2 and best are left by epochs 14, 18 and 19: the times of the report.
        hmean=curve("tit2247i", 0.71, 0.95204, 20, dips=(13, 15, 16, 17)),
        run_id="tit2247i",
        folder="ocr_training-dbnet-pan_decoder-mobilenetv3_small_050_33"
        "-unknown_training_20251018_023219",
        save_top_k=3,
        log_every=40,
        early_stopping=True,
    ),
    Training(
        start=at("20251017_215423"),
        model=MOBILENET_PAN,
        epoch_ends=ends(
            at("20251017_215423"), 1, 350, {0: at("20251017_220015") + timedelta(seconds=0.55)}
        ),
        hmean=curve("j8v6ba0v", 0.7468, 0.7468, 1),
        run_id="j8v6ba0v",
        folder="ocr_training-dbnet-pan_decoder-mobilenetv3_small_050"
        "-unknown_training_20251017_215423",
        save_top_k=3,
    ),
    _short_test(
        "test_full_commit_2c6f1f1-unknown_training_20251015_233734",
        "20251015_233735-3zkqud7t",
        "20251015_233850",
        0.2137,
        evidence="config",
        commit=COMMIT_2C6F1F1,
    ),
    _short_test(
        "test_data_format_change-unknown_training_20251015_231857",
        "20251015_231857-1lkjztwz",
        "20251015_232013",
        0.1985,
        evidence="log",
    ),
    _short_test(
        "test_ocr_pl_revert-unknown_training_20251015_233406",
        "20251015_233406-8b8ohuel",
        "20251015_233522",
        0.2061,
        evidence="relative-config",
        job_log=True,
    ),
    _short_test(
        "test_baseline_working-unknown_training_20251015_231508",
        "20251015_231508-6jst4gb8",
        "20251015_231625",
        0.2249,
        evidence="overwritten-config",
        tensor_metrics=True,
    ),
    Training(
        start=at("20251017_230640"),
        model=MOBILENET_UNET,
        epoch_ends=ends(
            at("20251017_230640"),
            6,
            3,
            {
                0: at("20251017_230645") + timedelta(seconds=0.33),
                1: at("20251017_230648") + timedelta(seconds=0.31),
                2: at("20251017_230651") + timedelta(seconds=0.36),
                5: at("20251017_230700") + timedelta(seconds=0.08),
            },
        ),
        hmean=curve("4tq4nu4d", 0.0312, 0.0871, 6, dips=(3, 4, 5)),
        run_id="4tq4nu4d",
        folder="debug_mobilenetv3_training-unknown_training_20251017_230640",
        offline=True,
        evidence="config",
        save_top_k=3,
        batch_size=2,
        steps=8,
        log_every=8,
        tensor_metrics=True,
    ),
)
"""The trainings behind the report's 18 checkpoints without a config."""


def _usable(
    folder: str,
    run: str | None,
    model: Model,
    epochs: int,
    seconds: float,
    score: float,
    dips: tuple[int, ...] = (),
    **told: object,
) -> Training:
    """Return a training whose checkpoints have sidecars."""
    start = at(run[:15] if run else folder[-15:])
    fields: dict[str, object] = {
        "start": start,
        "model": model,
        "epoch_ends": ends(start, epochs, seconds),
        "hmean": curve(folder, score - 0.31, score, epochs, dips),
        "run_id": run[16:] if run else None,
        "folder": folder,
        "usable": True,
        **told,
    }
    return Training(**fields)  # type: ignore[arg-type]


USABLE = (
    _usable(
        "ocr_training-dbnet-fpn_decoder-resnet18-unknown_training_20251013_101522",
        "20251013_101525-wq3n8d5c",
        RESNET18_FPN,
        10,
        121.3,
        0.8917,
        hydra=True,
        job_log=True,
        evidence="config",
        hyper_parameters=True,
        metadata=True,
        learning_rate=0.001,
    ),
    _usable(
        "ocr_training-dbnet-unet-resnet18-unknown_training_20251013_154803",
        "20251013_154803-b7x1k4vf",
        RESNET18_UNET,
        12,
        118.7,
        0.9136,
        dips=(11,),
        evidence="config",
        save_top_k=2,
        tensor_metrics=True,
        early_stopping=True,
    ),
    _usable(
        "ocr_training-dbnet-pan_decoder-resnet18-unknown_training_20251014_091140",
        "20251014_091148-u2f6h9sz",
        RESNET18_PAN,
        8,
        133.9,
        0.9024,
        hydra=True,
        job_log=True,
    ),
    _usable(
        "ocr_training-dbnet-unet-resnet50-unknown_training_20251014_132655",
        "20251014_132657-g5m0r8yt",
        RESNET50_UNET,
        10,
        402.0,
        0.9348,
        dips=(6, 7, 8),
        hydra=True,
        evidence="config",
        save_top_k=3,
        hyper_parameters=True,
        metadata=True,
        batch_size=8,
        steps=409,
        log_every=400,
        learning_rate=0.0005,
        resumed=(6, at("20251014_171230")),
        epoch_ends=ends(at("20251014_132657"), 6, 402.0) + ends(at("20251014_171230"), 4, 402.0),
    ),
    _usable(
        "ocr_training-dbnet-fpn_decoder-mobilenetv3_small_050-unknown_training_20251014_205931",
        "20251014_205931-d4j7c2pk",
        MOBILENET_FPN,
        9,
        96.4,
        0.8743,
        dips=(7, 8),
        hydra=True,
        metadata=True,
    ),
    _usable(
        "ocr_training-dbnet-unet-mobilenetv3_small_050-unknown_training_20251015_110412",
        "20251015_110413-s9a3e6wm",
        MOBILENET_UNET,
        15,
        99.8,
        0.9285,
        evidence="log",
        tensor_metrics=True,
        learning_rate=0.001,
    ),
    _usable(
        "ocr_training-dbnet-pan_decoder-resnet50-unknown_training_20251016_084217",
        "20251016_084219-n1v8l5qx",
        RESNET50_PAN,
        7,
        418.6,
        0.9391,
        evidence="relative-config",
        save_top_k=2,
        batch_size=8,
        steps=409,
        log_every=400,
    ),
    _usable(
        "ocr_training-dbnet-fpn_decoder-resnet50-unknown_training_20251016_190345",
        None,
        RESNET50_FPN,
        6,
        397.2,
        0.9207,
        dips=(5,),
        hydra=True,
        job_log=True,
        metadata=True,
        batch_size=8,
        steps=409,
    ),
    _usable(
        "ocr_training-craft-craft_decoder-vgg16_bn-unknown_training_20251017_093028",
        "20251017_093031-o6t4z0ib",
        CRAFT,
        8,
        251.1,
        0.8566,
        evidence="config",
        hyper_parameters=True,
        tensor_metrics=True,
        learning_rate=0.0001,
    ),
    _usable(
        "test_wandb_disabled-unknown_training_20251017_143210",
        None,
        RESNET18_FPN,
        1,
        71.0,
        0.4083,
        hydra=True,
        steps=50,
        batch_size=4,
        learning_rate=0.001,
    ),
)
"""Trainings whose checkpoints have sidecars; two of them ran without W&B."""


def _decoy(
    run: str, model: Model, epochs: int, seconds: float, score: float, **told: object
) -> Training:
    """Return a W&B run that wrote no checkpoint."""
    start = at(run[:15])
    fields: dict[str, object] = {
        "start": start,
        "model": model,
        "epoch_ends": ends(start, epochs, seconds),
        "hmean": curve(run, score / 2, score, epochs) if epochs else (),
        "run_id": run[16:],
        "wrote_checkpoints": False,
        **told,
    }
    return Training(**fields)  # type: ignore[arg-type]


_OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.56 GiB."
_TIT2247I, _J8V6BA0V = REPORTED[0], REPORTED[1]

DECOYS = (
    # 40 s before j8v6ba0v, by the same command.
    _decoy(
        "20251017_215343-p0x4m2kd",
        MOBILENET_PAN,
        0,
        0,
        0,
        ending="crashed",
        end=at("20251017_215407"),
        save_top_k=3,
        error="FileNotFoundError: [Errno 2] No such file or directory: 'data/datasets/images_val'",
        exp_name=_J8V6BA0V.experiment,
    ),
    # 25 s after tit2247i; its decoder is the one that tit2247i's folder names.
    _decoy(
        "20251018_023244-v91tqz0e",
        MOBILENET_PAN,
        0,
        0,
        0,
        ending="crashed",
        end=at("20251018_023318"),
        save_top_k=3,
        error=_OUT_OF_MEMORY,
        exp_name=_TIT2247I.experiment,
    ),
    # In the same minute as 3zkqud7t.
    _decoy(
        "20251015_233702-c5h8w3ua",
        RESNET18_UNET,
        1,
        14,
        0.0417,
        batch_size=4,
        learning_rate=0.001,
        steps=2,
        commit=COMMIT_2C6F1F1,
        exp_name="test_full_commit_2c6f1f1",
    ),
    # Killed before W&B flushed anything: a stream of 0 bytes.
    _decoy(
        "20251017_225951-z7r2y6nb",
        MOBILENET_UNET,
        0,
        0,
        0,
        ending="killed-early",
        end=at("20251017_230033"),
        batch_size=2,
        exp_name="debug_mobilenetv3_training",
    ),
    # Killed while it trained: the stream ends inside a record.
    _decoy("20251016_143312-k3d9f1xs", RESNET50_UNET, 3, 380, 0.7615, ending="killed"),
    # Only tests a checkpoint that j8v6ba0v wrote ten minutes before.
    _decoy(
        "20251017_221034-e8q5b7lw",
        MOBILENET_PAN,
        0,
        0,
        0,
        end=at("20251017_221122"),
        evaluates=f"outputs/{_J8V6BA0V.folder}/checkpoints/best.ckpt",
        display_name="wchoi189_eval_j8v6ba0v_best",
        exp_name=_J8V6BA0V.experiment,
    ),
    # Another training that ends with the display name of tit2247i: its score rounds the same.
    _decoy(
        "20251017_172005-m2s6t9gh",
        MOBILENET_UNET,
        20,
        341,
        0.95167,
        seed=7,
        save_top_k=3,
        display_name=_TIT2247I.final_name,
        exp_name="ocr_training-dbnet-unet-mobilenetv3_small_050_32",
    ),
    # tit2247i repeated: the same hyper-parameters and seed, other scores.
    _decoy(
        "20251018_100541-y4n0j3rc",
        MOBILENET_UNET,
        20,
        352,
        0.94871,
        save_top_k=3,
        log_every=40,
        exp_name=_TIT2247I.experiment,
    ),
    # The W&B runs of two Hydra jobs that wrote no checkpoint.
    _decoy(
        "20251016_101115-h0c2u7ld",
        RESNET18_PAN,
        2,
        64,
        0.5148,
        folder="2025-10-16/10-11-12",
        hydra=True,
        job_log=True,
        evidence="config",
    ),
    _decoy(
        "20251017_164053-a8p3i5xj",
        MOBILENET_FPN,
        1,
        88,
        0.4721,
        folder="2025-10-17/16-40-51",
        hydra=True,
    ),
    # 28 s before the offline run of the report.
    _decoy(
        "20251017_230612-x5w9q1ro",
        MOBILENET_UNET,
        1,
        9,
        0.0203,
        offline=True,
        batch_size=2,
        steps=8,
        log_every=8,
        exp_name="debug_mobilenetv3_training",
    ),
    # A finished training between two of the tests of 2025-10-15.
    _decoy(
        "20251015_232630-f6k1b4zn",
        RESNET18_UNET,
        1,
        71,
        0.2094,
        batch_size=4,
        learning_rate=0.001,
        steps=50,
        log_every=25,
        exp_name="test_dataloader",
    ),
)
"""W&B runs that wrote no checkpoint, near in time, in name or in settings to one that did."""
