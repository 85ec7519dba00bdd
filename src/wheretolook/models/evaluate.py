"""Loss and accuracy of a network on a split, as training follows them."""

from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor

from wheretolook.data.prepared import Prepared
from wheretolook.data.refusal import Refusal
from wheretolook.execution.ranks import Ranks
from wheretolook.models.history import Tally
from wheretolook.models.inputs import Channels, to_device, to_input
from wheretolook.models.objective import Objective
from wheretolook.models.parallel import summed_tally

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def computing_in(precision: str, device: torch.device) -> AbstractContextManager:
    """The context in which convolutions and linear layers compute in `precision`; weights stay float32."""
    dtype = PRECISIONS[precision]
    return torch.autocast(device.type, dtype, enabled=dtype is not torch.float32)


def evaluate(
    objective: Objective,
    prepared: Prepared,
    rows: np.ndarray,
    normalisation: tuple[Channels, Channels],
    precision: str,
    batch_size: int,
    ranks: Ranks,
    when: str,
) -> Tally:
    """Totals over the images `rows`, in evaluation mode; the network is in training mode after it.

    Args:
        objective: the network and its trained heads.
        prepared: images and labels.
        rows: (n,) indices of the images.
        normalisation: mean and standard deviation of each channel.
        precision: "float32" or "bfloat16".
        batch_size: images a pass.
        ranks: the processes that share the images.
        when: the moment, for the message of a refusal.

    Raises:
        Refusal: a loss that is NaN or infinite.
    """
    labels, mine = prepared.labels, ranks.share(rows)
    # Zeros for each head: a process without a share of the images counts as many heads as the others.
    tally = Tally.empty(len(objective.layers), ranks.device)
    objective.eval()
    with torch.inference_mode():
        for start in range(0, len(mine), batch_size):
            batch = mine[start : start + batch_size]
            images = to_input(to_device(torch.from_numpy(prepared.images[batch]), ranks.device), *normalisation)
            with computing_in(precision, ranks.device):
                logits = objective(images)
            target = to_device(torch.from_numpy(labels[batch]), ranks.device)
            losses = objective.losses(logits, target)
            check_losses(losses, objective.layers, prepared, batch, when)
            tally.add(losses, logits, target)
    objective.train()
    return summed_tally(tally, ranks)


def check_losses(losses: Tensor, layers: tuple[str, ...], prepared: Prepared, batch: np.ndarray, when: str) -> None:
    """Refuse a loss that is NaN or infinite.

    Args:
        losses: (H, N), of each head and image.
        layers: names of the heads.
        prepared: names the images.
        batch: (N,) rows.
        when: the moment, for the message.
    """
    if bool(torch.isfinite(losses.sum())):
        return
    bad = ~torch.isfinite(losses).cpu().numpy()
    heads = ", ".join(layer for layer, row in zip(layers, bad, strict=True) if row.any())
    ids = prepared.index["image_id"]
    raise Refusal(
        f"{when}: expected a finite loss, found NaN or infinity in {heads} "
        f"for {', '.join(ids.iloc[batch[bad.any(0)]])}; "
        f"lower train.learning_rate, or set train.precision to float32 (the batch: {', '.join(ids.iloc[batch])})"
    )
