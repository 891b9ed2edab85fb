"""Datasets on disk: where they are, their records, and whether they are as they were written."""

from pathlib import Path

from martfeast.datasets.record import DatasetRecord
from martfeast.problems import DeclarationError, refusal
from martfeast.published.verified import damage
from martfeast.records import RecordError

DATA, RECORD, CARD, CROISSANT = "data.parquet", "dataset.json", "card.html", "croissant.json"


def find_datasets(folder: Path) -> list[tuple[Path, DatasetRecord]]:
    """Return the datasets of an exposure, by number: each with its folder and its record.

    Those of an older martfeast, in a format that is no longer read, stay where they are and are
    passed over.

    Raises:
        DeclarationError: a record is damaged, edited, or of a newer martfeast.

    """
    found = []
    for path in folder.glob(f"[0-9]*/{RECORD}"):
        if path.parent.name.isdecimal():
            try:
                record = DatasetRecord.read(path)
                if (record.name, record.number) != (folder.name, int(path.parent.name)):
                    raise RecordError(f"it is that of {record.saved_dataset}")
                found.append((path.parent, record))
            except RecordError as error:
                if not error.is_older:
                    raise _refusal(path, error) from None
            except FileNotFoundError:
                continue  # removed since it was listed
    return sorted(found, key=lambda pair: pair[1].number)


def read_record(path: Path) -> DatasetRecord:
    """Return a dataset's record from its dataset.json.

    Raises:
        DeclarationError: it is damaged, edited, or of another format.

    """
    try:
        return DatasetRecord.read(path)
    except (RecordError, FileNotFoundError) as error:
        raise _refusal(path, error) from None


def _refusal(path: Path, error: Exception) -> DeclarationError:
    fix = f"Remove {path.parent}; what is asked for again is built anew, with the same bytes."
    if isinstance(error, RecordError):
        fix = error.fix(fix)
    return refusal(
        str(path), "dataset-damaged", f"This record of a dataset cannot be used: {error}.", fix
    )


def verify(path: Path, record: DatasetRecord) -> None:
    """Insist that a dataset's file is the one that was written.

    Raises:
        DeclarationError: it is not.

    """
    data = path / DATA
    if why := damage(data, record.file.bytes, record.file.sha256, depth=1):
        raise refusal(
            str(path),
            "dataset-damaged",
            f"{data} {why}.",
            f"Remove {path}; what is asked for again is built anew, with the same bytes.",
        )
