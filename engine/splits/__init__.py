"""Which images train, validate and test: fixed folds or given sets, nested fractions, by group or by image. No torch.

Every choice is a sort by SHA-256 of (seed, fold, name), so the same seed gives the same split on every
machine and under every version of every library. Folds depend on their number and the seed alone; the
order in which a fold's pool fills depends on the seed and the fold. Nothing depends on pixels, strategies
or rates.
"""

from engine.splits.folds import full_pool_percent, make_split
from engine.splits.given import given_split
from engine.splits.pool import VALIDATION, Split
from engine.splits.sizes import batches_per_epoch, class_sizes, split_images, table1

__all__ = [
    "VALIDATION",
    "Split",
    "batches_per_epoch",
    "class_sizes",
    "full_pool_percent",
    "given_split",
    "make_split",
    "split_images",
    "table1",
]
