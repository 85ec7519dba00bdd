"""How a notebook shows the result of `explain`: its maps as a picture, and its predictions as a table."""

import base64
import io
from collections.abc import Mapping
from html import escape

import numpy as np

from wheretolook.cams.methods import find_method

ROWS, COLUMNS = 6, 8  # images and maps that are drawn
SIDE = 1.15  # inches of a map


def picture_of(maps: Mapping[tuple[str, str], np.ndarray], class_index: np.ndarray) -> bytes:
    """The maps of the first images as PNG: red above zero, blue below, full colour at each map's largest |value|.

    Args:
        maps: (method, layer) to (N, K, h, w).
        class_index: (N, K), the class of each map.
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [(pair, k) for pair, values in maps.items() for k in range(values.shape[1])][:COLUMNS]
    rows = min(len(class_index), ROWS)
    figure = Figure(figsize=(SIDE * len(shown), (SIDE + 0.35) * rows), dpi=96, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, len(shown), squeeze=False)
    for i, line in enumerate(panels):
        for axes, ((method, layer), k) in zip(line, shown, strict=True):
            values = maps[method, layer][i, k]
            limit = float(np.abs(values).max()) or 1.0
            axes.imshow(values, cmap=colormaps["RdBu_r"], vmin=-limit, vmax=limit, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            whose = f"class {class_index[i, k]}" if find_method(method).knows_class else "any class"
            axes.set_title(f"{method} {layer}\n{whose}", fontsize=6, parse_math=False)
        line[0].set_ylabel(f"image {i}", fontsize=6)
    written = io.BytesIO()
    figure.savefig(written, format="png", metadata={"Software": None})
    return written.getvalue()


def page_of_maps(maps: Mapping[tuple[str, str], np.ndarray], logits: np.ndarray, class_index: np.ndarray) -> str:
    """HTML with the picture, what it leaves out, and the predicted class and logits of each image drawn."""
    count = sum(values.shape[1] for values in maps.values())
    drawn, columns = min(len(logits), ROWS), min(count, COLUMNS)
    shapes = "; ".join(f"{method} at {layer}: {values.shape}" for (method, layer), values in maps.items())
    left_out = ""
    if (drawn, columns) != (len(logits), count):
        left_out = f"Drawn: {drawn} of {len(logits)} images, {columns} of {count} maps of each. "
    rows = "".join(
        f"<tr><th>image {i}</th><td>class {row.argmax()}</td><td>{row.max():.2f}</td></tr>"
        for i, row in enumerate(logits[:drawn])
    )
    image = base64.b64encode(picture_of(maps, class_index)).decode("ascii")
    return (
        f'<div><img alt="Maps of {drawn} images, red above zero and blue below" src="data:image/png;base64,{image}">'
        f"<p>{escape(left_out)}Red: above zero, blue: below; full colour at each map's largest |value|. "
        f"{escape(shapes)}.</p><table><thead><tr><th></th><th>predicted</th><th>logit</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )
