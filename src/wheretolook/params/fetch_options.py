"""Parameters of `fetch`. Each source takes its own: `wheretolook.sources.source_registry` checks that."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from wheretolook.base.terminal.section import options


@options
class FetchOptions:
    """Where images come from."""

    source: Literal["synthetic", "folder", "archive", "drive"] = Field(
        description="Where images come from: rendered blood cells, class folders on this machine, a zip or tar "
        "archive by path or "
        "URL, or an archive or folder on Google Drive. Each source takes its own options and no others."
    )
    images_per_class: int | None = Field(None, description="synthetic: number of rendered cells in each class.", ge=3)
    size: int | None = Field(None, description="synthetic: width and height of each image in pixels.", ge=32, le=4096)
    seed: int | None = Field(None, description="synthetic: random seed. The same seed gives the same bytes.", ge=0)
    shortcut_class: Literal["infected", "uninfected"] | None = Field(
        None,
        description="synthetic: class that bears the planted mark, a small square in a corner unrelated to the class.",
    )
    shortcut_share: float | None = Field(
        None, description="synthetic: share of that class's images that bear the mark, from 0 (none) to 1.", ge=0, le=1
    )
    path: Path | None = Field(
        None,
        description="folder: folder with one folder of images for each class. archive: the archive file (or give url).",
    )
    url: str | None = Field(
        None, description="archive: http(s) address (or give path). drive: sharing link (or give id)."
    )
    id: str | None = Field(None, description="drive: id in the sharing link (or give url).")
    sha256: str | None = Field(
        None,
        description="archive, drive: SHA-256 of the archive, 64 hexadecimal digits. '' prints the one found, ready "
        "to paste.",
    )
    root: str | None = Field(
        None,
        description="archive, drive: folder inside the archive that holds the class folders, such as cells/images, "
        "or '.' for "
        "the top. '' finds it.",
    )
    masks: str | None = Field(
        None,
        description="folder: folder of evidence masks that mirrors the images (same names, any suffix). archive, "
        "drive: such a "
        "folder inside the archive, such as cells/masks. '' for none.",
    )

    labels: str | None = Field(
        None,
        description="folder, archive, drive: table of labels (CSV, TSV or Parquet), a path in the folder or archive, "
        "or on this machine; several, separated by commas, are joined. Classes then come from the table, and "
        "images may lie in any folder. The further options are those of the table; '' recognises a column by a usual "
        "name, none uses none.",
    )
    path_column: str | None = Field(None, description="table: column with the path or name of the image.")
    label_column: str | None = Field(None, description="table: column with the class. Not needed with class folders.")
    split_column: str | None = Field(None, description="table: column with the split: train, val, test, or 0, 1, 2.")
    group_column: str | None = Field(None, description="table: column with the patient, slide or person.")
    mask_column: str | None = Field(None, description="table: column with the path or name of the evidence mask.")
    box_columns: str | None = Field(
        None,
        description="table: four columns of a box of evidence, x0,y0,x1,y1 or x,y,w,h in pixels, or one of "
        "four numbers (x, y, width, height).",
    )
    attributes: str | None = Field(
        None,
        description="table: columns to keep and to score by, such as age,sex. '' keeps all that have no other use.",
    )
    multi_labels: str | None = Field(
        None,
        description="table: columns of 0 and 1 (or -1 and 1), each a label of its own, or one column of lists such as "
        "Effusion|Mass.",
    )
    value_column: str | None = Field(
        None,
        description="table: column of numbers for `train.outputs: value`. The classes are then its values up to and "
        "above a threshold.",
    )
    value_threshold: float | None = Field(
        None, description="table: that threshold.  [default: the median of the column]"
    )
    on_bad_row: Literal["error", "drop"] | None = Field(
        None,
        description="table: rows without a file, files without a row, double and contradictory rows: refuse the data "
        "(default), or leave them out and record them in the audit.",
    )

    def of_source(self) -> dict[str, Any]:
        """All options but the source itself; None for those that were not given."""
        return {name: value for name, value in asdict(self).items() if name != "source"}
