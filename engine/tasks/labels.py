"""Classification: crops and their frozen layers computed once, accuracy, and what is said of every test image."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int64
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from engine import augmentation
from engine.datasets import Dataset
from engine.evaluation import HeldOut, on_device
from engine.models.classifier import Classifier
from engine.splits import Split
from engine.strategies import Network
from engine.tasks.work import Score
from engine.trial import TestImage, Trial, stream_seed

TOGETHER_PIXELS = 64 * 128 * 128
"""Pixels that are seen at once without a gradient."""
TOGETHER_KEPT = 512
"""Images of which kept frozen layers' answers are seen at once: large layers are read, and converted, each time."""
PARTS = {"training": 0, "validation": 1, "test": 2}
"""How an embedding's `part` says which set of the fold an image is in."""


class Classification:
    """One trial's images and classes, on its device.

    Where the first units are frozen, what they make of an image is computed once: of `crops_kept` random views per
    training image, and of the centre of every image (Cheng and Malhi 2017 freeze all convolutions).
    """

    def __init__(
        self,
        trial: Trial,
        network: Network,
        dataset: Dataset,
        split: Split,
        device: torch.device,
        old_classes: Sequence[str] = (),
    ) -> None:
        self._trial, self._network, self._split = trial, cast(Classifier, network), split
        self._network.mean_subtracted = trial.subtract_mean
        self._table, self._classes, self._old_classes = dataset.table, dataset.classes, tuple(old_classes)
        numbers = {name: number for number, name in enumerate(dataset.classes)}
        labels = [numbers[label] for label in dataset.table["label"]]
        self._images = on_device(dataset.images, device)
        self._truth = torch.tensor(labels, device=device)
        self._training = torch.tensor(split.training, device=device, dtype=torch.int64)
        training = self._images[self._training].float()
        self._mean = training.mean(dim=0).div_(255) if trial.subtract_mean and len(training) else None
        self._cut = self._network.cacheable_before(trial.units, trial.statistics) if trial.units else None
        self._changes = bool(trial.crop or trial.shift or trial.zoom or trial.flip)
        self._centres = dict[int, Tensor]()
        self._bank: Tensor | None = None

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image comes once before any comes again, as a random view."""
        trial = self._trial
        order = np.random.default_rng(stream_seed(trial, "batches"))
        views = np.random.default_rng(stream_seed(trial, "augmentation"))
        kept = self._cut is not None and (trial.crops_kept > 0 or not self._changes)
        if kept and self._bank is None:
            self._bank = self._made_once(views)
        waiting = np.empty(0, dtype=np.int64)
        while True:
            while len(waiting) < trial.batch_size:
                waiting = np.concatenate((waiting, order.permutation(len(self._training))))
            now, waiting = waiting[: trial.batch_size], waiting[trial.batch_size :]
            places = torch.from_numpy(now).to(self._images.device)
            chosen = self._training[places]
            if self._bank is not None:
                which = torch.from_numpy(views.integers(len(self._bank), size=len(now))).to(self._images.device)
                yield self._bank[which, places], self._truth[chosen]
            else:
                yield self._views(chosen, views), self._truth[chosen]

    def loss(self, inputs: Tensor, truth: Tensor) -> Tensor:
        """Cross entropy, mean over images."""
        return functional.cross_entropy(self._logits(inputs, self._cut if self._bank is not None else None), truth)

    def validate(self) -> Score:
        """Loss and accuracy of the validation images; of the test images too where iterations are fixed."""
        found: dict[str, Any] = {}
        if self._split.validation:
            found["loss"], found["accuracy"] = self._scores(self._split.validation)
        if self._trial.iterations:
            found["test_loss"], found["test_accuracy"] = self._scores(self._split.test)
        return Score(**found)

    def _scores(self, places: Sequence[int]) -> tuple[float, float]:
        """Mean cross entropy and accuracy."""
        logits, truth = self._seen(places)[0], self._truth[list(places)]
        return functional.cross_entropy(logits, truth).item(), _right(logits, truth).mean().item()

    def test(self) -> dict[str, Any]:
        """Accuracy, and the probability of every class for every test image."""
        test = list(self._split.test)
        clock = time.perf_counter()
        logits = self._of_images(test)
        seconds = (time.perf_counter() - clock) / len(test)
        truth = self._truth[test]
        right = _right(logits, truth).cpu()
        first_two = logits.topk(min(2, logits.shape[1]), dim=1).indices
        top2 = (first_two == truth[:, None]).any(dim=1).double().cpu()
        probabilities = logits.double().softmax(dim=1).cpu().tolist()
        said = logits.argmax(dim=1).cpu().tolist()
        rows = self._table.iloc[test]
        tested = [
            TestImage(
                image=str(row.image),
                index=int(test[place]),
                group=str(row.group),
                label=str(row.label),
                predicted=self._classes[said[place]],
                scanner=str(row.scanner),
                accuracy=float(right[place]),
                top2=float(top2[place]),
                probabilities=tuple(probabilities[place]),
            )
            for place, row in enumerate(rows.itertuples())
        ]
        by_class = [right[(truth == number).cpu()].mean().item() for number in sorted(set(truth.tolist()))]
        return {
            "accuracy": float(right.mean()),
            "top2": float(top2.mean()),
            "balanced_accuracy": float(np.mean(by_class)),
            "training_accuracy": self._scores(self._split.training)[1] if self._trial.units else None,
            "seconds_per_image": seconds,
            "collapsed": len(by_class) > 1 and len(set(said)) == 1,
            "test_images": tuple(tested),
        }

    def kept(self, held_out: HeldOut) -> dict[str, Any]:
        """Accuracy on the start weights' own held-out images, where their classes are the study's."""
        if held_out.labels is None or self._old_classes != self._classes:
            return {}
        images = on_device(held_out.images, self._images.device)
        truth = torch.from_numpy(held_out.labels.astype(np.int64)).to(self._images.device)
        logits = torch.cat([self._plain_logits(part) for part in torch.split(images, self._together())])
        return {"kept_accuracy": _right(logits, truth).mean().item()}

    def embedding(self) -> bytes:
        """The penultimate layer's vector of every image of the fold, float16 (FC7 of CaffeNet and VGG16)."""
        parts = {name: getattr(self._split, name) for name in PARTS}
        index = [place for places in parts.values() for place in places]
        part = [PARTS[name] for name, places in parts.items() for _ in places]
        return save(
            {
                "features": self._seen(index)[1].to(torch.float16).cpu().contiguous(),
                "index": torch.tensor(index, dtype=torch.int32),
                "part": torch.tensor(part, dtype=torch.uint8),
            }
        )

    def _together(self) -> int:
        side = self._trial.crop or self._images.shape[-1]
        return max(1, TOGETHER_PIXELS // (side * side))

    def _autocast(self) -> torch.autocast:
        trial = self._trial
        return torch.autocast(self._images.device.type, torch.bfloat16, enabled=trial.precision == "bfloat16")

    def _logits(self, inputs: Tensor, cut: str | None) -> Float[Tensor, "image class"]:
        with self._autocast():
            if cut is not None:
                return self._network.logits_from(inputs, cut).float()
            logits: Tensor = self._network(inputs.contiguous(memory_format=torch.channels_last))
            return logits.float()

    def _plain_logits(self, images: Tensor) -> Float[Tensor, "image class"]:
        self._network.eval()
        with torch.inference_mode():
            return self._logits(self._centre(self._less_mean(images[:, None].float().div_(255))), None)

    def _of_images(self, places: Sequence[int]) -> Float[Tensor, "image class"]:
        """Logits by the whole network, as a new image would be seen."""
        parts = torch.split(self._images[list(places)], self._together())
        return torch.cat([self._plain_logits(part) for part in parts])

    def _seen(self, places: Sequence[int]) -> tuple[Float[Tensor, "image class"], Float[Tensor, "image dimension"]]:
        """Logits and penultimate vectors of the images' centres; what frozen layers make of them is kept."""
        self._network.eval()
        logits, features = [], []
        with torch.inference_mode(), self._autocast():
            together = self._together() if self._cut is None else TOGETHER_KEPT
            for first in range(0, len(places), together):
                now = places[first : first + together]
                if self._cut is not None:
                    self._keep_centres(now)
                    hidden = torch.stack([self._centres[place] for place in now])
                    found, vectors = self._network.logits_and_embedding(hidden, self._cut)
                else:
                    views = self._centre(self._less_mean(self._images[list(now)][:, None].float().div_(255)))
                    found, vectors = self._network.logits_and_embedding(views)
                logits.append(found.float())
                features.append(vectors.float())
        return torch.cat(logits), torch.cat(features)

    def _keep_centres(self, places: Sequence[int]) -> None:
        missing = [place for place in places if place not in self._centres]
        for first in range(0, len(missing), self._together()):
            now = missing[first : first + self._together()]
            views = self._centre(self._less_mean(self._images[now][:, None].float().div_(255)))
            self._centres.update(zip(now, self._network.hidden_before(views, cast(str, self._cut)), strict=True))

    def _made_once(self, random: np.random.Generator) -> Tensor:
        """[view, training image, ...]: what the frozen units make of random views of every training image."""
        count = self._trial.crops_kept if self._changes else 1
        self._network.eval()
        bank = []
        with torch.no_grad(), self._autocast():
            for _ in range(count):
                made = [
                    self._network.hidden_before(self._views(part, random), cast(str, self._cut))
                    for part in torch.split(self._training, self._together())
                ]
                bank.append(torch.cat(made))
        return torch.stack(bank)

    def _views(self, chosen: Int64[Tensor, "image"], random: np.random.Generator) -> Float[Tensor, "image 1 side side"]:
        """Random views of images: moved, mirrored and cut out as the trial says, less the mean image."""
        trial = self._trial
        images = self._images[chosen]
        if trial.shift or trial.zoom or trial.flip:
            maps = augmentation.draw(random, len(images), shift=trial.shift, zoom=trial.zoom, flip=trial.flip)
            views = augmentation.apply(maps, images, images[:, None][:, :0])[0]
        else:
            views = images[:, None].float().div_(255)
        views = self._less_mean(views)
        if not trial.crop:
            return views
        room = views.shape[-1] - trial.crop
        corners = random.integers(0, room + 1, size=(len(views), 2))
        return torch.stack(
            [view[:, y : y + trial.crop, x : x + trial.crop] for view, (y, x) in zip(views, corners, strict=True)]
        )

    def _less_mean(self, views: Tensor) -> Tensor:
        return views if self._mean is None else views - self._mean

    def _centre(self, views: Tensor) -> Tensor:
        if not self._trial.crop:
            return views
        begin = (views.shape[-1] - self._trial.crop) // 2
        return views[:, :, begin : begin + self._trial.crop, begin : begin + self._trial.crop]


def _right(logits: Tensor, truth: Tensor) -> Tensor:
    """1 where the most probable class is the true one."""
    return (logits.argmax(dim=1) == truth).double()
