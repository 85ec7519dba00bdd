"""Parameters of `report`."""

from pydantic import Field

from wheretolook.base.terminal.section import options


@options
class ReportOptions:
    """What the page shows."""

    gallery_images: int = Field(description="Images of the compared split on the page.", ge=1)
    gallery_cells: int = Field(
        description="Largest side of a map on the page, in cells; finer maps are averaged.", ge=1
    )
