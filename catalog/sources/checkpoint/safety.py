"""Whether loading a pickle would run code: a verdict by the names of its globals.

The list of what is plain is closed: a name that is not on it is `unknown`, never clean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from catalog.sources.checkpoint.torch_rules import rules

if TYPE_CHECKING:
    from collections.abc import Iterable

Verdict = Literal["plain", "unknown", "dangerous"]
VERDICTS: Final[tuple[Verdict, ...]] = ("plain", "unknown", "dangerous")
"""From good to bad."""

_PLAIN: Final = frozenset(
    f"{module}.{name}"
    for module, names in {
        "_codecs": "encode",
        "argparse": "Namespace",
        "builtins": (
            "bool bytearray bytes complex dict float frozenset int list long object range set "
            "slice str tuple unicode"
        ),
        "collections": "Counter OrderedDict defaultdict deque",
        "copyreg": "_reconstructor",
        "datetime": "date datetime time timedelta timezone",
        "decimal": "Decimal",
        "fractions": "Fraction",
        "omegaconf.base": "ContainerMetadata Metadata SCMode",
        "omegaconf.dictconfig": "DictConfig",
        "omegaconf.listconfig": "ListConfig",
        "omegaconf.nodes": (
            "AnyNode BooleanNode BytesNode EnumNode FloatNode IntegerNode InterpolationResultNode "
            "PathNode StringNode"
        ),
        "pathlib": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
        "pathlib._local": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
        "lightning.fabric.utilities.data": "AttributeDict",
        "lightning.pytorch.utilities.parsing": "AttributeDict",
        "lightning_fabric.utilities.data": "AttributeDict",
        "pytorch_lightning.utilities.parsing": "AttributeDict",
        "numpy": "dtype ndarray",
        "numpy.core.multiarray": "_reconstruct scalar",
        "numpy._core.multiarray": "_reconstruct scalar",
        "numpy.core.numeric": "_frombuffer",
        "numpy._core.numeric": "_frombuffer",
        "torch": "channels_last contiguous_format preserve_format strided",
        "torch._tensor": "_rebuild_from_type",
        "torch.nn.parameter": "Buffer UninitializedParameter",
        "accelerate.state": "PartialState",
        "accelerate.utils.dataclasses": "DistributedType",
        "transformers.trainer_pt_utils": "AcceleratorConfig",
        "transformers.trainer_utils": (
            "EvaluationStrategy FSDPOption HubStrategy IntervalStrategy SaveStrategy SchedulerType"
        ),
        "transformers.training_args": "OptimizerNames TrainingArguments",
        "types": "SimpleNamespace",
        "typing": "Any",
        "uuid": "UUID",
    }.items()
    for name in names.split()
) | frozenset(rules().since)
"""What torch allows by default makes tensors and containers, and nothing else: it is among them."""

_DANGEROUS_MODULES: Final = frozenset(
    [
        "__main__.os",
        "_aix_support",
        "_osx_support",
        "_pickle",
        "_posixsubprocess",
        "_pyrepl",
        "aiohttp",
        "asyncio",
        "bdb",
        "cProfile",
        "cloudpickle",
        "code",
        "codeop",
        "commands",
        "ctypes",
        "dill",
        "distutils",
        "doctest",
        "ensurepip",
        "ftplib",
        "http",
        "httplib",
        "idlelib",
        "imaplib",
        "imp",
        "importlib",
        "lib2to3",
        "marshal",
        "multiprocessing",
        "nt",
        "os",
        "pdb",
        "pickle",
        "pip",
        "pkgutil",
        "popen2",
        "posix",
        "profile",
        "pty",
        "pydoc",
        "requests",
        "runpy",
        "shutil",
        "signal",
        "smtplib",
        "socket",
        "ssl",
        "subprocess",
        "sys",
        "tempfile",
        "timeit",
        "trace",
        "urllib",
        "urllib2",
        "venv",
        "webbrowser",
        "zipimport",
    ]
)
_DANGEROUS: Final = frozenset(
    f"{module}.{name}"
    for module, names in {
        "builtins": (
            "__import__ apply breakpoint compile delattr eval exec execfile exit file "
            "globals help input locals memoryview open quit raw_input reload setattr vars"
        ),
        "_io": "FileIO open open_code",
        "_operator": "attrgetter call itemgetter methodcaller",
        "operator": "attrgetter call itemgetter methodcaller",
        "io": "FileIO open open_code",
        "joblib": "load",
        "logging": "FileHandler",
        "numpy": "load",
        "torch": "load",
        "torch._dynamo.guards": "GuardBuilder.get",
        "torch._inductor.codecache": "compile_file",
        "torch.fx.experimental.symbolic_shapes": "ShapeEnv.evaluate_guards_expression",
        "torch.jit.unsupported_tensor_ops": "execWrapper",
        "torch.utils._config_module": "ConfigModule.load_config",
        "torch.utils.collect_env": "run",
        "torch.utils.data.datapipes.utils.decoder": "basichandlers",
        "uuid": "_get_command_stdout _popen",
        "torch.hub": "load load_state_dict_from_url download_url_to_file",
        "torch.jit": "load",
        "torch.serialization": "load",
        "torch.storage": "_load_from_bytes",
        "types": "CodeType FunctionType",
    }.items()
    for name in names.split()
)
"""`builtins.getattr` is not among them: enum members are pickled with it. Any other use of it
is reported by the unpickler as an attack."""

_DANGEROUS_PACKAGES: Final = (
    "numpy.f2py.",
    "numpy.testing.",
    "test.support.",
    "torch.utils.bottleneck.",
)

_DANGEROUS_PARTS: Final = frozenset(
    [
        "__builtins__",
        "__globals__",
        "__subclasses__",
        "_posixsubprocess",
        "builtins",
        "ctypes",
        "importlib",
        "nt",
        "os",
        "posix",
        "pty",
        "runpy",
        "shutil",
        "socket",
        "subprocess",
        "sys",
    ]
)


def judge(names: Iterable[str], attacks: Iterable[str] = ()) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict on a pickle and the names that are not plain, sorted.

    Args:
        names: `module.qualified.name` of every global in it.
        attacks: those of them that are called in a way only an attack does.

    """
    attacks = frozenset(attacks)
    odd = sorted(name for name in set(names) | attacks if name not in _PLAIN or name in attacks)
    if not odd:
        return "plain", ()
    dangerous = any(name in attacks or is_dangerous(name) for name in odd)
    return "dangerous" if dangerous else "unknown", tuple(odd)


def is_dangerous(name: str) -> bool:
    """Say whether a global is one that attacks use: a shell, an evaluator, a loader of code.

    Also where it is reached through another module: `torch.serialization.os.system`.
    """
    parts = name.split(".")
    return (
        name in _DANGEROUS
        or parts[0] in _DANGEROUS_MODULES
        or name.startswith(_DANGEROUS_PACKAGES)
        or not _DANGEROUS_PARTS.isdisjoint(parts[1:])
    )
