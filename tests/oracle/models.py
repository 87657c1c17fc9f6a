"""The models whose files are in the zoo: small, seeded, of classes that a child can import."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn


def numbers(seed: int, *shape: int) -> Any:
    """Return a tensor of seeded normal numbers."""
    return torch.from_numpy(array(seed, *shape))


def array(seed: int, *shape: int) -> Any:
    """Return a numpy array of seeded normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class Tiny(nn.Module):  # type: ignore[misc]
    """Two layers, a batch norm, and a number that is no tensor."""

    def __init__(self, seed: int = 0, slope: float = 0.5) -> None:
        super().__init__()
        self.first = nn.Linear(16, 8)
        self.norm = nn.BatchNorm1d(8)
        self.second = nn.Linear(8, 4)
        self.slope = slope
        with torch.no_grad():
            for place, value in enumerate(self.parameters()):
                value.copy_(numbers(seed * 100 + place, *value.shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layers."""
        return self.second(self.norm(self.first(x)) * self.slope)


class OtherTiny(Tiny):
    """The same weights, another computation."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layers, and a sigmoid."""
        return torch.sigmoid(super().forward(x))


class Scaled(torch.Tensor):  # type: ignore[misc]
    """A subclass that holds its numbers itself, as timm's and torchvision's do."""


class Shifted(torch.Tensor):  # type: ignore[misc]
    """Another subclass with the same numbers."""


class Packed(torch.Tensor):  # type: ignore[misc]
    """A subclass around inner tensors, as torchao's quantized weights are."""

    payload: Any
    scale: Any

    @staticmethod
    def __new__(cls, payload: Any, _scale: Any) -> Any:
        """Make the outer tensor, which has no storage of its own."""
        return torch.Tensor._make_wrapper_subclass(cls, payload.shape, dtype=torch.float32)

    def __init__(self, payload: Any, scale: Any) -> None:
        self.payload = payload
        self.scale = scale

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        """Name the inner tensors."""
        return ["payload", "scale"], None

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle the inner tensors, not the outer."""
        return Packed, (self.payload, self.scale)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute with the unpacked numbers."""
        unpacked = [
            one.payload.float() * one.scale if isinstance(one, Packed) else one for one in args
        ]
        return func(*unpacked, **(kwargs or {}))


class Average:
    """An average of the weights that is no dictionary, kept by a callback."""

    def __init__(self, weights: Any) -> None:
        self.weights = weights
