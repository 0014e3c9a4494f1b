"""A convolution and its ReLU in one pass over memory, where no gradient is wanted and bfloat16 computes.

Frozen units, validation, test and live frames wait for memory more than for arithmetic. oneDNN applies the ReLU while
the convolution's outputs are in the caches; PyTorch offers that as an operator that its compiler uses. The numbers are
the same to the bit; in float32 they are not always, and nothing is gained.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

AVAILABLE = bool(torch.backends.mkldnn.is_available()) and hasattr(torch.ops.mkldnn, "_convolution_pointwise")  # type: ignore[no-untyped-call]


def convolve_relu(convolution: nn.Conv2d, hidden: Tensor) -> Tensor:
    """ReLU of `convolution` of `hidden` (image, channel, height, width)."""
    if not _in_one_pass(convolution, hidden):
        return functional.relu(convolution(hidden), inplace=True)
    half, bias = torch.bfloat16, convolution.bias
    found: Tensor = torch.ops.mkldnn._convolution_pointwise(
        hidden.to(half),
        convolution.weight.to(half),
        None if bias is None else bias.to(half),
        convolution.padding,
        convolution.stride,
        convolution.dilation,
        convolution.groups,
        "relu",
        [],
        "",
    )
    return found


def _in_one_pass(convolution: nn.Conv2d, hidden: Tensor) -> bool:
    learns = torch.is_grad_enabled() and (hidden.requires_grad or convolution.weight.requires_grad)
    return (
        AVAILABLE
        and not learns
        and hidden.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
    )
