"""Tiny networks that move, mix, fold or hide the places of an image; random weights, milliseconds each."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.networks.layers.places_networks import Convolutions, SequenceFirst, SideBranch, Tokens, Views

SIZE = 64
# A part of a network: what it gives, and the channels and cells of that.
Change = Callable[[Tensor], Tensor]


class Body(nn.Module):
    """Convolutions around a change of places, then a linear layer on the mean."""

    def __init__(self, change: Change | nn.Module, channels: int = 12, first: Change = lambda x: x):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.change, self.first = nn.Sequential(nn.Conv2d(3, 12, 4, 4), nn.ReLU()), change, first
        self.stage, self.fc = nn.Sequential(nn.Conv2d(channels, 16, 3, 1, 1), nn.ReLU()), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.stage(self.change(self.stem(self.first(x)))).mean((2, 3)))


class TokenOrder(nn.Module):
    """Patches as tokens in an order of their own."""

    def __init__(self, order: Change):
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.order, self.block, self.fc = nn.Conv2d(3, 16, 8, 8), order, nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.order(self.patch(x)).flatten(2).transpose(1, 2)
        return self.fc(self.block(tokens).relu().mean(1))


class Unfolded(nn.Module):
    """Patches by `nn.Unfold`, (N, values, tokens)."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.unfold, self.embed, self.fc = nn.Unfold(8, stride=8), nn.Linear(192, 16), nn.Linear(16, 4)
        self.norm = nn.LayerNorm(16)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.norm(self.embed(self.unfold(x).transpose(1, 2))).relu().mean(1))


class ChannelsLast(nn.Module):
    """Norms and linear layers on (N, h, w, C), convolutions on (N, C, h, w), in turn, as ConvNeXt."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.norm, self.wide = nn.Conv2d(3, 16, 4, 4), nn.LayerNorm(16), nn.Linear(16, 32)
        self.deep, self.narrow, self.fc = nn.Conv2d(32, 32, 3, 1, 1, groups=32), nn.Linear(32, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.wide(self.norm(self.patch(x).permute(0, 2, 3, 1))).relu()
        x = self.deep(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.fc(self.narrow(x).relu().mean((1, 2)))


class UNet(nn.Module):
    """Logits from the bottleneck and the decoder; a mask and a side output beside them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.down1, self.down2 = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 16, 2, 2)
        self.up, self.mask, self.side = nn.ConvTranspose2d(16, 8, 2, 2), nn.Conv2d(8, 1, 1), nn.Conv2d(16, 2, 1)
        self.fc = nn.Linear(24, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        high = self.down1(x).relu()
        low = self.down2(high).relu()
        fine = self.up(low) + high
        return self.fc(torch.cat([low.mean((2, 3)), fine.mean((2, 3))], 1)), self.mask(fine), self.side(low)


class Pyramid(nn.Module):
    """Three levels, summed from the top down; logits from the mean of all."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.levels = nn.ModuleList([nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 8, 2, 2), nn.Conv2d(8, 8, 2, 2)])
        self.smooth, self.fc = nn.ModuleList([nn.Conv2d(8, 8, 3, 1, 1) for _ in range(3)]), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        maps = []
        for level in self.levels:
            maps.append(x := level(x).relu())
        for i in (1, 0):
            maps[i] = maps[i] + functional.interpolate(maps[i + 1], scale_factor=2)
        return self.fc(sum(smooth(each).mean((2, 3)) for smooth, each in zip(self.smooth, maps, strict=True)))


class Context(nn.Module):
    """A weighted mean over all places, added to each (a global context block)."""

    def __init__(self, channels: int = 12):
        super().__init__()
        self.weight, self.transform = nn.Conv2d(channels, 1, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        shares = self.weight(x).flatten(2).softmax(-1)  # (N, 1, places)
        return x + self.transform((x.flatten(2) @ shares.transpose(1, 2))[..., None])


class Excitation(nn.Module):
    """Channels weighed by their means over all places."""

    def __init__(self, channels: int = 12):
        super().__init__()
        self.fc = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3))).sigmoid()[:, :, None, None]


class Fourier(nn.Module):
    """Tokens mixed by a Fourier transform, as FNet, without a residual path."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.norm, self.fc = nn.Conv2d(3, 16, 8, 8), nn.LayerNorm(16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        return self.fc(self.norm(torch.fft.fft2(tokens).real).relu().mean(1))


class Optional(Convolutions):
    """A second input and a keyword, both with defaults."""

    def forward(self, x: Tensor, age: Tensor | None = None, *, scale: float = 1.0) -> Tensor:
        return scale * super().forward(x) + (0 if age is None else age)


def warp(scale: float, shift: float) -> Change:
    """Sample the maps at other places."""

    def change(x: Tensor) -> Tensor:
        theta = torch.tensor([[scale, 0.0, shift], [0.0, scale, 0.0]]).expand(len(x), -1, -1)
        return functional.grid_sample(
            x, functional.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False
        )

    return change


def snake(x: Tensor) -> Tensor:
    """Every second row from right to left."""
    return torch.stack([row.flip(2) if i % 2 else row for i, row in enumerate(x.unbind(2))], 2)


def halves(x: Tensor) -> Tensor:
    """The left and the right half of the maps, as channels of one."""
    return torch.cat(x.chunk(2, 3), 1)


def jigsaw(x: Tensor) -> Tensor:
    """Places in a random order."""
    order = torch.randperm(x[0, 0].numel(), generator=torch.Generator().manual_seed(3))
    return x.flatten(2)[:, :, order].unflatten(2, x.shape[2:])


def ends_in(module: nn.Module) -> nn.Module:
    """A network that ends in another function than its logits."""
    return Convolutions(end=module)


def quantised() -> nn.Module:
    """Linear layers in int8, quantised by each batch."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()
    return torch.ao.quantization.quantize_dynamic(network, {nn.Linear})


def strided(kernel: int, stride: int, padding: int) -> nn.Module:
    """Two convolutions of a stride that does not divide the image."""
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 8, kernel, stride, padding), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU()]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


# Networks whose places at some layer are where a map would put them: default layers are expected.
EXPLAINED: dict[str, Callable[[], nn.Module]] = {
    "registers behind": lambda: Tokens(behind=4),
    "class token amid": lambda: Tokens(amid=1),
    "patches 16 x 8": lambda: Tokens((16, 8), before=1),
    "tokens first": SequenceFirst,
    "unfold": Unfolded,
    "channels last": ChannelsLast,
    "one axis pooled": lambda: Body(nn.MaxPool2d((1, 4))),
    "optional inputs": Optional,
    "U-Net with side outputs": UNet,
    "decoder unused": SideBranch,
    "feature pyramid": Pyramid,
    "global context": lambda: Body(Context()),
    "squeeze and excitation": lambda: Body(Excitation()),
    "space to depth": lambda: Body(nn.PixelUnshuffle(2), 48),
    "pixel shuffle": lambda: Body(nn.PixelShuffle(2), 3),
    "input enlarged": lambda: Body(nn.Identity(), first=lambda x: functional.interpolate(x, scale_factor=2)),
    "stride 5 of 64": lambda: strided(5, 5, 0),
    "stride 3, padding 1": lambda: strided(3, 3, 1),
    "stride 7, kernel 11": lambda: strided(11, 7, 4),
    "softmax": lambda: ends_in(nn.Softmax(1)),
    "log-softmax": lambda: ends_in(nn.LogSoftmax(1)),
    "sigmoid": lambda: ends_in(nn.Sigmoid()),
    "half precision": lambda: Convolutions().half(),
    # What follows moves places; a layer before it has them.
    "transpose": lambda: Body(lambda x: x.transpose(2, 3)),
    "flip": lambda: Body(lambda x: x.flip(3)),
    "quarter turn": lambda: Body(lambda x: x.rot90(1, (2, 3))),
    "roll": lambda: Body(lambda x: x.roll(5, 3)),
    "crop": lambda: Body(lambda x: x[:, :, 4:-4, 4:-4]),
    "padding": lambda: Body(lambda x: functional.pad(x, (8, 8, 8, 8))),
    "padding module": lambda: Body(nn.ZeroPad2d(6)),
    "warp, enlarged": lambda: Body(warp(0.5, 0.0)),
    "warp, shifted": lambda: Body(warp(1.0, 0.5)),
    "halves as channels": lambda: Body(halves, 24),
    "jigsaw": lambda: Body(jigsaw),
    "own mirror image": lambda: Body(lambda x: x + x.flip(3)),
    "columns first": lambda: TokenOrder(lambda x: x.transpose(2, 3)),
    "tokens from the end": lambda: TokenOrder(lambda x: x.flip(2, 3)),
    "snake": lambda: TokenOrder(snake),
    "Fourier mixing": Fourier,
}
# Networks without such a layer, or that cannot be run: refused.
REFUSED: dict[str, Callable[[], nn.Module]] = {
    "one place": lambda: Body(nn.AdaptiveAvgPool2d(1), first=lambda x: functional.avg_pool2d(x, 16)),
    "input turned": lambda: Body(nn.Identity(), first=lambda x: x.transpose(2, 3)),
    "input mirrored": lambda: Body(nn.Identity(), first=lambda x: x.flip(3)),
    "input cropped": lambda: Body(nn.Identity(), first=lambda x: x[:, :, 16:48, 16:48]),
    "views in the batch": Views,
    "functional dropout": lambda: Convolutions(drop=True),
    "no running statistics": lambda: Convolutions(nn.BatchNorm2d(8, track_running_stats=False)),
}
