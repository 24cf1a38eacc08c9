"""From the CPU to a GPU without a wait: through memory that the GPU can read by itself."""

from torch import Tensor
from torch import device as Device


def send(tensor: Tensor, device: Device) -> Tensor:
    """The tensor on the device; the CPU does not wait for the copy to a GPU."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return pin(tensor).to(device, non_blocking=True)


def pin(tensor: Tensor) -> Tensor:
    """The tensor in pinned memory, from which a copy to a GPU needs no wait; one that is there or on a GPU, as is."""
    return tensor if tensor.device.type != "cpu" or tensor.is_pinned() else tensor.pin_memory()
