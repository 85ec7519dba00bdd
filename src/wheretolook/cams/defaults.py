"""Which layers of any module are looked at where none are named: the last with places at each resolution."""

from collections.abc import Mapping

from torch import nn

from wheretolook.cams.trial import Seen

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def default_layers(seen: Mapping[str, Seen], modules: Mapping[str, nn.Module]) -> list[str]:
    """At each resolution the last of the outermost layers with places that lead to the logits, first to last.

    Outermost: inside the fewest other layers with places, where a sequence is no layer of its own. Resolutions fall
    from one to the next: what runs before a layer of at least as many places is no last layer.

    Args:
        seen: what the trial found.
        modules: by name.
    """
    leading = {name: each for name, each in seen.items() if each.reading and each.reading.believed and each.leads}
    outer = {name for name, each in seen.items() if each.usable and not isinstance(modules[name], _CONTAINERS)}
    # What leads nowhere itself, but holds whole blocks that do, is only a frame: an encoder read by its class token.
    blocks = [name for name in leading if any(True for _ in modules[name].children())]
    outer -= {name for name in outer - set(leading) if any(block.startswith(name + ".") for block in blocks)}
    depth = {name: _depth(name, outer) for name in leading}
    last: dict[tuple[int, int], str] = {}
    for name, each in sorted(leading.items(), key=lambda item: item[1].number):
        grid = each.reading.grid
        if grid not in last or depth[name] <= depth[last[grid]]:
            last[grid] = name
    last = {grid: _normalised(name, seen, leading) for grid, name in last.items()}
    chosen: list[str] = []
    most = 0
    for name in sorted(last.values(), key=lambda name: leading[name].number, reverse=True):
        h, w = leading[name].reading.grid
        if h * w > most:
            chosen.append(name)
            most = h * w
    return chosen[::-1]


def _depth(name: str, outer: set[str]) -> int:
    parts = name.split(".")
    return sum(".".join(parts[:count]) in outer for count in range(1, len(parts)))


def _normalised(name: str, seen: Mapping[str, Seen], leading: Mapping[str, Seen]) -> str:
    """Of tokens, the norm that reads this layer's output, where nothing behind leads on: as before the last attention.

    A vision transformer's last block hands on the class token alone; its places are read behind its first norm.
    """
    layer = leading[name]
    if not layer.reading.layout.has_tokens:
        return name
    behind = [n for n, each in seen.items() if each.number > layer.number and each.usable and not each.leads]
    behind = [n for n in behind if seen[n].shape == layer.shape]
    norms = [n for n, each in leading.items() if each.follows == name and each.shape == layer.shape]
    return norms[0] if behind and norms else name
