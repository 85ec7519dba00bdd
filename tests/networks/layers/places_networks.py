"""Tiny networks that lay out their places as known families do; random weights, milliseconds each."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """As timm's with fused attention off: a dropout on the matrix itself, a norm on the keys of each head."""

    def __init__(self, channels: int, heads: int = 2):
        super().__init__()
        self.heads, self.qkv, self.k_norm, self.drop = (
            heads,
            nn.Linear(channels, 3 * channels),
            nn.Identity(),
            nn.Dropout(0),
        )

    def forward(self, x: Tensor) -> Tensor:
        n, t, c = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        a = self.drop((q @ self.k_norm(k).transpose(2, 3)).softmax(-1))  # (N, heads, t, t)
        return (a @ v).transpose(1, 2).reshape(n, t, c)


class Tokens(nn.Module):
    """Patches as tokens, others before, amid and behind them, one block of attention, then mean or class token."""

    def __init__(
        self, patch: tuple[int, int] = (8, 8), before: int = 0, amid: int = 0, behind: int = 0, by_class: bool = False
    ):
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.by_class = nn.Conv2d(3, 16, patch, patch), by_class
        self.others = nn.ParameterList(nn.Parameter(torch.randn(1, n, 16)) for n in (before, amid, behind))
        self.drop, self.attention, self.norm, self.fc = nn.Dropout(0), Attention(16), nn.LayerNorm(16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        t = self.patch(x).flatten(2).transpose(1, 2)
        before, amid, behind = (each.expand(len(x), -1, -1) for each in self.others)
        half = t.shape[1] // 2
        t = self.drop(torch.cat([before, t[:, :half], amid, t[:, half:], behind], 1))
        t = self.norm(t + self.attention(t))
        return self.fc(t[:, 0] if self.by_class else t.mean(1))


class SequenceFirst(nn.Module):
    """Tokens first, as `nn.TransformerEncoder` has them by default."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.norm, self.fc = nn.Conv2d(3, 16, 8, 8), nn.LayerNorm(16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.norm(self.patch(x).flatten(2).permute(2, 0, 1)).relu().mean(0))


class Windows(nn.Module):
    """Attention in windows that lie in the batch, as swin's, its softmax a module; then channels last."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.q, self.softmax = nn.Conv2d(3, 16, 4, 4), nn.Linear(16, 32), nn.Softmax(-1)
        self.norm, self.fc = nn.LayerNorm(16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).permute(0, 2, 3, 1)
        n, h, w, c = x.shape
        windows = x.reshape(n, h // 4, 4, w // 4, 4, c).transpose(2, 3).reshape(-1, 16, c)
        q, k = self.q(windows).chunk(2, -1)
        y = self.softmax(q @ k.transpose(1, 2)) @ windows
        y = y.reshape(n, h // 4, w // 4, 4, 4, c).transpose(2, 3).reshape(n, h, w, c)
        return self.fc(self.norm(x + y).mean((1, 2)))


class Mixer(nn.Module):
    """Tokens mixed by a linear layer over places, as MLP mixers."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.norm = nn.Conv2d(3, 24, 8, 8), nn.LayerNorm(24)
        self.mix, self.act, self.back, self.fc = nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 16), nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        t = self.patch(x).flatten(2).transpose(1, 2)
        t = t + self.back(self.act(self.mix(self.norm(t).transpose(1, 2)))).transpose(1, 2)
        return self.fc(self.norm(t).mean(1))


class ClassAttention(nn.Module):
    """Blocks on places, then one that a class token alone leaves, as cait and xcit."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.block, self.norm = nn.Conv2d(3, 16, 8, 8), nn.Linear(16, 16), nn.LayerNorm(16)
        self.token, self.drop, self.fc = nn.Parameter(torch.randn(1, 1, 16)), nn.Dropout(0), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        t = self.block(self.patch(x).flatten(2).transpose(1, 2))
        token = self.token.expand(len(x), -1, -1)
        u = self.norm(torch.cat([token, t], 1))
        shares = self.drop((u[:, :1] @ u.transpose(1, 2)).softmax(-1))  # (N, 1, tokens)
        return self.fc((token + shares @ u)[:, 0])


class Unrolled(nn.Module):
    """Tokens in the order of blocks of two by two, as Hiera's first stages."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.block, self.fc = nn.Conv2d(3, 16, 4, 4), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).permute(0, 2, 3, 1)
        n, h, w, c = x.shape
        t = x.reshape(n, 2, h // 2, 2, w // 2, c).permute(0, 2, 4, 1, 3, 5).reshape(n, h * w, c)
        return self.fc(self.block(t).relu().mean(1))


class Pooler(nn.Module):
    """Places pooled to (N, C, 1), with as many channels as places, as transformers' Swin."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.norm, self.fc = nn.Conv2d(3, 64, 8, 8), nn.LayerNorm(64), nn.Linear(64, 4)
        self.pooler = nn.AdaptiveAvgPool1d(1)

    def forward(self, x: Tensor) -> Tensor:
        t = self.norm(self.patch(x).flatten(2).transpose(1, 2))
        return self.fc(self.pooler(t.transpose(1, 2)).flatten(1))


class Encoder(nn.Module):
    """Embeddings at the top, stages deep inside parts that return dicts, as transformers' ConvNeXt and CLIP."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embeddings, self.encoder, self.fc = nn.Conv2d(3, 8, 4, 4), _Stages(), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.encoder(self.embeddings(x))["last_hidden_state"]
        return {"logits": self.fc(features.mean((2, 3))), "hidden": features}


class _Stages(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU()),
                nn.Sequential(nn.Conv2d(8, 16, 2, 2), nn.Conv2d(16, 16, 3, 1, 1)),
            ]
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        for stage in self.stages:
            x = stage(x)
        return {"last_hidden_state": x}


class SideBranch(nn.Module):
    """Classes from the encoder; the decoder's mask is thrown away."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU())
        self.decoder = nn.Sequential(nn.ConvTranspose2d(16, 8, 2, 2), nn.ReLU(), nn.ConvTranspose2d(8, 1, 2, 2))
        self.fc = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        features = self.encoder(x)
        self.decoder(features)
        return self.fc(features.mean((2, 3)))


class Views(nn.Module):
    """Three views of one thing, stacked into the batch for the backbone."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.fc = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU()), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        views = self.body(x.reshape(-1, 3, *x.shape[2:])).mean((2, 3))
        return self.fc(views.reshape(len(x), 3, -1).amax(1))


class Convolutions(nn.Module):
    """A convolution and a linear layer on its mean; dropout that eval mode leaves on; any normalisation."""

    def __init__(self, norm: nn.Module | None = None, drop: bool = False, end: nn.Module | None = None):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.norm, self.drop = nn.Conv2d(3, 8, 3, 2, 1), norm or nn.Identity(), drop
        self.fc, self.end = nn.Linear(8, 4), end or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm(self.body(x))).mean((2, 3))
        return self.end(self.fc(functional.dropout(x) if self.drop else x))


class Mixing(nn.Module):
    """Adds `strength` times the mean of all places, turned, to each place."""

    def __init__(self, strength: float):
        super().__init__()
        torch.manual_seed(0)
        self.strength, self.turn = strength, nn.init.orthogonal_(torch.empty(16, 16))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.strength * (x.mean((2, 3)) @ self.turn)[:, :, None, None]


class Mixed(nn.Module):
    """Places of 8 x 8 pixels, which a second layer mixes."""

    def __init__(self, strength: float):
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.mix, self.fc = nn.Conv2d(3, 16, 8, 8), Mixing(strength), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.mix(self.patch(x)).mean((2, 3)))
