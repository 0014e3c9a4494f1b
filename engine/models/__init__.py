"""Networks by name. Each gives logits and names its units (`units()`)."""

from engine.models.unet import UNet

__all__ = ["MODELS", "UNet"]

MODELS = {"unet": UNet}
