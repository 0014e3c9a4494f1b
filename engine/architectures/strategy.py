"""What a strategy is, and what every strategy can do with the units of a network. Needs no torch."""

from dataclasses import dataclass
from typing import Literal

Start = Literal["start weights", "random", "encoder"]
Method = Literal["fine-tune", "gradual unfreezing", "LoRA", "auto rates", "statistics only"]
"""How the units of a strategy learn: all at once, one after the other from the output on, through adapters, all at
rates that their gradients decide, or not at all while the running statistics of their normalisation follow the new
images."""


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """Which units learn, how, and from which weights they begin."""

    name: str
    """As in the paper where it has a name, else `blocks 1,2,5a` or `units conv1,fc8`."""
    units: tuple[str, ...]
    """Units that learn, shallow to deep; every other unit is frozen."""
    start: Start = "start weights"
    """`encoder`: the file with the encoder's weights where the study names one; all other weights are random."""
    method: Method = "fine-tune"
    rank: int = 0
    """Rank of the adapters (LoRA), else 0."""
    network: Literal["study", "smp"] = "study"
    """The study's own network, or the U-Net of segmentation-models-pytorch."""
