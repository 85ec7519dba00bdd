"""Makes quantus_figures.json: what Quantus says of the shared fixture.

Quantus brings more along than the tests need, so that it is not among the requirements. To make the file anew:

    pip install quantus==0.6.0 && PYTHONPATH=src:. python -m tests.analysis.quantus_figures
"""

import json
from pathlib import Path

import numpy as np

from tests.analysis.shared import SIDE, STEPS, Shared, at_pixels

FILE = Path(__file__).with_suffix(".json")


def main() -> None:
    """Write the file."""
    import quantus

    shared, plain = Shared(), {"abs": False, "normalise": False, "disable_warnings": True}
    inputs = shared.inputs().numpy()
    given = {"model": shared.network, "x_batch": inputs, "y_batch": shared.classes, "device": "cpu"}
    coarse = given | {"a_batch": at_pixels(shared.maps)[:, None], "s_batch": shared.masks[:, None]}
    positive = coarse | {"a_batch": np.maximum(coarse["a_batch"], 0)}
    fine = given | {"a_batch": shared.fine[:, None], "softmax": True}
    flipping = quantus.PixelFlipping(
        perturb_baseline=0.0, features_in_step=3 * SIDE**2 // STEPS, return_auc_per_sample=False, **plain
    )
    figures = {
        "made_with": f"Quantus {quantus.__version__}",
        "PointingGame": [bool(hit) for hit in quantus.PointingGame(**plain)(**coarse)],
        "RelevanceMassAccuracy": rounded(quantus.RelevanceMassAccuracy(**plain)(**positive)),
        "AUC": rounded(quantus.AUC(**plain)(**coarse)),
        "PixelFlipping": rounded(flipping(**fine)),
    }
    FILE.write_text(json.dumps(figures) + "\n", encoding="utf-8")


def rounded(values: object) -> list:
    """Floats of six digits, nested as they are."""
    return np.asarray(values, dtype=np.float64).round(6).tolist()


if __name__ == "__main__":
    main()
