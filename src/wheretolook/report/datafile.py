"""reports/data.json: what the page says, for scripts of one's own and for the comparison of two revisions."""

from typing import Any

import numpy as np

from wheretolook.data.prepared import Prepared
from wheretolook.report.findings import findings_of
from wheretolook.report.gallery import Gallery
from wheretolook.report.metrics import metrics_of
from wheretolook.report.results import Results


def data_of(results: Results, prepared: Prepared, gallery: Gallery) -> dict[str, Any]:
    """Findings, metrics, and the gallery's images with each model's scores and how far their maps stand apart.

    Figures are rounded to six digits; disagreement is null where it does not exist.
    """
    chosen = prepared.index.iloc[gallery.rows]
    return {
        "format": 1,
        "split": results.split,
        "class_names": list(results.class_names),
        "models": list(results.names),
        "data": next(iter(results.exports.values()))["data"]["sha256"],
        "findings": findings_of(results),
        "metrics": metrics_of(results),
        "gallery": {
            "of": gallery.total,
            "method": gallery.method,
            "images": [
                {
                    "image_id": image_id,
                    "class_name": class_name,
                    "disagreement": round(float(apart), 6) if np.isfinite(apart) else None,
                    "scores": {name: [round(float(s), 6) for s in gallery.scores[name][i]] for name in results.names},
                }
                for i, (image_id, class_name, apart) in enumerate(
                    zip(chosen["image_id"], chosen["class_name"], gallery.disagreement, strict=True)
                )
            ],
        },
    }
