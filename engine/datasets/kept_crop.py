"""Which central square a study cut out of its frames, by its study file as the store keeps it."""

from collections.abc import Mapping

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from engine.datasets.crops import Crop


def kept_crop(text: str) -> Crop:
    """The crop that the study file's text names; None for whole frames, and where the text cannot be read."""
    try:
        found = YAML(typ="safe").load(text)
    except YAMLError:
        return None
    data = found.get("data") if isinstance(found, Mapping) else None
    if not isinstance(data, Mapping):
        return None
    if crop := data.get("crop"):
        return {str(scanner): int(side) for scanner, side in crop.items()}
    return "square" if data.get("square") is True else None
