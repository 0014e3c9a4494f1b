"""What a unit of a network hands on of one image, before fine-tuning and after (Amiri et al. 2020, S2)."""

import copy
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from engine.errors import StoreError, StrategyError, WeightsError
from engine.inference import LoadedModel
from engine.models import UNet
from engine.pretraining import load_start_weights
from engine.store import Store


def before_fine_tuning(store: Store, model: LoadedModel) -> LoadedModel:
    """The network of `model` with the start weights that its trial began from.

    Of several structures the output layer may be new; it stays the trained one, since no map comes after it.
    Raises StoreError where the trial began from random weights, which are not kept, or the start weights are gone;
    WeightsError where they lack tensors of the network.
    """
    plan = store.plan(model.study)
    rows = plan[plan["id"] == model.trial_id]
    sha256 = rows["start_weights"].iloc[0] if len(rows) else None
    where = f"study '{model.study}', trial {model.trial_id[:12]}"
    if not isinstance(sha256, str):
        raise StoreError(f"{where}: began from random weights, which are not kept; choose a fine-tuned trial")
    start = load_start_weights(store.start_weights(model.study, sha256))
    own = model.network.state_dict()
    if missing := [name for name in own if name not in start]:
        raise WeightsError(
            f"{where}: its start weights lack {len(missing)} of {len(own)} tensors ('{missing[0]}'), which began at "
            "random and are not kept; choose a trial whose whole network was pre-trained"
        )
    fits = {name: start[name].float() for name, tensor in own.items() if start[name].shape == tensor.shape}
    network = copy.deepcopy(model.network)
    network.load_state_dict(fits, strict=False)
    return replace(model, network=network)


def unit_maps(
    model: LoadedModel, image: UInt8[np.ndarray, "side side"], unit: str
) -> Float32[np.ndarray, "channel height width"]:
    """The maps that `unit` hands on of `image`, which is at the network's size.

    Those of the unit's last layer, after its ReLU in the U-Net; where that layer gives the logits, those of the layer
    before it. Raises StrategyError where the network has no such unit.
    """
    units = model.network.units()
    if unit not in units:
        raise StrategyError(f"unknown unit '{unit}'; this network has {', '.join(units)}")
    found: deque[Tensor] = deque(maxlen=2)

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4:
            found.append(output.clone())  # an activation in place would change it later

    leaves = [leaf for part in units[unit] for leaf in part.modules() if not list(leaf.children())]
    hooks = [leaf.register_forward_hook(keep) for leaf in leaves]
    try:
        with torch.inference_mode():
            inputs = torch.from_numpy(image.copy()).to(model.device)[None, None].float() / 255
            logits = model.network(inputs.contiguous(memory_format=torch.channels_last))
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise StrategyError(f"unit '{unit}' gives no maps; choose another of {', '.join(units)}")
    maps = found[0] if torch.equal(found[-1], logits) else found[-1]
    maps = maps.relu() if isinstance(model.network, UNet) else maps
    return np.ascontiguousarray(maps[0].float().cpu().numpy())
