"""One training in several processes: gradients, running statistics and totals, brought together."""

from inspect import signature

import torch
from torch import Tensor, nn

from wheretolook.execution.ranks import Ranks
from wheretolook.models.history import Tally


def sharing_gradients(module: nn.Module, ranks: Ranks) -> nn.Module:
    """The module, its gradients averaged over the processes.

    On CUDA batch normalisation takes its statistics over the whole batch. Elsewhere PyTorch has no such thing: each
    process normalises by its own share, and `average_statistics` brings the running ones together.
    """
    if ranks.alone:
        return module
    from torch.nn.parallel import DistributedDataParallel

    # Running statistics stay each process's own until they are averaged; PyTorch renames the option that says so.
    known = signature(DistributedDataParallel).parameters
    option = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    if ranks.device.type == "cuda":
        module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
        return DistributedDataParallel(module, device_ids=[ranks.device.index], **{option: False})
    return DistributedDataParallel(module, **{option: False})


def average_statistics(module: nn.Module, ranks: Ranks) -> None:
    """Give every process the mean of all running statistics."""
    if ranks.alone:
        return
    with torch.no_grad():
        for statistic in running_statistics(module).values():
            statistic.copy_(ranks.summed(statistic) / ranks.count)


def running_statistics(module: nn.Module) -> dict[str, Tensor]:
    """What batch normalisation has gathered of all images so far, by name: the live tensors."""
    return {name: buffer for name, buffer in module.named_buffers() if buffer.is_floating_point()}


def summed_tally(tally: Tally, ranks: Ranks) -> Tally:
    """The totals over all processes, which must have counted the same number of heads."""
    if ranks.alone:
        return tally
    totals = ranks.summed(torch.cat([tally.sums.new_tensor([tally.images]), tally.sums.flatten()]))
    return Tally(int(totals[0]), totals[1:].reshape(tally.sums.shape))
