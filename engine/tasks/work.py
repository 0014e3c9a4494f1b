"""What a training asks of its task."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from engine.evaluation import HeldOut


@dataclass(frozen=True, kw_only=True)
class Score:
    """How good a network is on the validation images; None where nothing validates."""

    loss: float | None = None
    dice: float | None = None
    """Of a segmentation."""
    accuracy: float | None = None
    """Of a classification."""
    test_accuracy: float | None = None
    """Where a training of fixed iterations draws its test curve, which chooses nothing."""
    test_loss: float | None = None
    """Beside it."""


@runtime_checkable
class Work(Protocol):
    """Batches, loss and measures of one trial; it holds the trial's network and images."""

    def batches(self) -> Iterator[tuple[Any, Tensor]]:
        """Endless batches of training inputs, or of what the first unit that learns sees of them, and their truth."""
        ...

    def loss(self, inputs: Any, truth: Tensor) -> Tensor:
        """Mean cross entropy of a batch, with a gradient."""
        ...

    def validate(self) -> Score:
        """How good the network is now on the validation images. Leaves it in evaluation mode."""
        ...

    def test(self) -> dict[str, Any]:
        """The fields of an Attempt that say how good the network is on the test images."""
        ...

    def kept(self, held_out: HeldOut) -> dict[str, Any]:
        """The fields of an Attempt that say what is left of the start weights' own task."""
        ...

    def embedding(self) -> bytes | None:
        """What the last hidden layer says of the images, as a file; None where a task keeps none."""
        ...
