"""How a competition is read and divided: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mixwell.recipes.kaggle.guard import Limits


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """How a competition is read and divided.

    Args:
        labels: CSV of ids and labels; looked for in the source when left out, as are the next
            three.
        train: folder or archive of the training images.
        test: folder or archive of the images to predict.
        sample: sample submission; without one, all test images are predicted.
        id_column: heading of the ids; the first column when left out.
        label_column: heading of the labels; needed where there are more than two columns.
        positive: the class whose probability is asked for, where a submission holds only that.
        valid: share of each class kept for validation, 0.01 .. 0.9.
        seed: of the split.
        copies: also copy the images to train, valid, train_valid / CLASS and test/unknown.
        allow_missing: go on where labels have no image; they are counted.
        check: read every image's header, count the damaged ones, and leave them out of training.
        max_files: most members of an archive.
        max_gib: most GiB that an archive may unpack to.
        max_ratio: most bytes unpacked for each byte of an archive.
        out: the folder; when left out runs/NAME-prepared, or with a number where that holds one.
        overwrite: give up the competition that is in the folder.
        quiet: show nothing.
    """

    labels: Path | None = None
    train: Path | None = None
    test: Path | None = None
    sample: Path | None = None
    id_column: str | None = None
    label_column: str | None = None
    positive: str | None = None
    valid: float = 0.1
    seed: int = 0
    copies: bool = False
    allow_missing: bool = False
    check: bool = True
    max_files: int = Limits.files
    max_gib: float = Limits.total_bytes / 2**30
    max_ratio: float = Limits.ratio
    out: Path | None = None
    overwrite: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        """Refuse values that cannot mean anything.

        Raises:
            ValueError: a number is out of range.
        """
        if not 0.01 <= self.valid <= 0.9:
            raise ValueError(f"valid must lie in 0.01 .. 0.9, got {self.valid}.")
        if self.max_files < 1 or self.max_gib <= 0 or self.max_ratio < 1:
            raise ValueError(
                "max_files, max_gib and max_ratio must be at least 1, more than 0 and at least 1, "
                f"got {self.max_files}, {self.max_gib} and {self.max_ratio}."
            )

    @property
    def limits(self) -> Limits:
        """What an archive may unpack to."""
        total = int(self.max_gib * 2**30)
        return Limits(files=self.max_files, total_bytes=total, ratio=self.max_ratio)
