"""Records on disk: JSON files that are typed, versioned, and noticed when somebody edits them."""

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from martfeast.files import replaced

_CHECKSUM = re.compile(r'^\{\s*"checksum":\s*"([0-9a-f]{64})",\s*')


def _moment(text: str) -> str:
    try:
        datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:
        raise ValueError("it is beyond the years 1 to 9999") from None
    return text


# What fields of records have: numbers that are finite, and no others than can be.
Count = Annotated[int, Field(ge=0, lt=2**63)]
Share = Annotated[float, Field(ge=0, le=1)]
Moment = Annotated[str, AfterValidator(_moment)]  # ISO 8601
FileStem = Annotated[str, Field(pattern=r"^[\w-][\w.-]*$")]


class RecordError(Exception):
    """A record cannot be used; the message says why, without the path.

    is_newer, is_older: whether another version of martfeast wrote it, in a format of its own.
    """

    def __init__(self, message: str, is_newer: bool = False, is_older: bool = False) -> None:
        super().__init__(message)
        self.is_newer = is_newer
        self.is_older = is_older

    def fix(self, otherwise: str) -> str:
        """Return what to do: what a newer martfeast wrote is its to use, whatever else is done."""
        return "Use the martfeast that wrote it." if self.is_newer else otherwise


class Record(BaseModel):
    """A JSON file: the SHA-256 of what follows, the version of the format, and the fields.

    Subclasses are the only readers and writers of their files. FORMAT counts up by one with every
    change after which an older reader would misread a file, or a newer reader an old one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    FORMAT: ClassVar[int]

    @classmethod
    def read(cls, path: Path, folder: Path | None = None) -> Self:
        """Return the record in a file.

        Args:
            path: the file.
            folder: what paths in the record are relative to; by default the file's folder.

        Raises:
            FileNotFoundError: there is no file.
            RecordError: it is not whole, not as it was written, or of another format.

        """
        try:
            text = path.read_bytes().decode("utf-8").strip()
            content = json.loads(text)
            json.dumps(content, ensure_ascii=False).encode()  # half a character is no text
        except FileNotFoundError:
            raise
        except (OSError, ValueError, RecursionError) as error:
            raise RecordError(f"it is cut off or no JSON: {error}") from None
        format_ = content.get("format") if isinstance(content, dict) else None
        if format_ != cls.FORMAT:
            is_newer = isinstance(format_, int) and format_ > cls.FORMAT
            is_older = isinstance(format_, int) and format_ < cls.FORMAT
            age = "a newer" if is_newer else "an older" if is_older else "no known"
            raise RecordError(
                f"it has format {format_!r:.20}, of {age} martfeast; this one reads {cls.FORMAT}",
                is_newer,
                is_older,
            )
        checksum = _CHECKSUM.match(text)
        if checksum is None or checksum[1] != _sha256("{" + text[checksum.end() :]):
            raise RecordError("it was edited after it was written")
        del content["checksum"], content["format"]
        try:
            return cls.model_validate(content, context={"folder": folder or path.parent})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            what = first["msg"].lower().removeprefix("value error, ")
            said = ": ".join(filter(None, [".".join(map(str, first["loc"])), what]))
            raise RecordError(said if said.isprintable() else ascii(said)) from None
        except (LookupError, TypeError, AttributeError):
            raise RecordError("a part of it is of another kind") from None

    def write(self, path: Path) -> None:
        """Write the record to a file, in one rename."""
        content = {"format": self.FORMAT, **self.model_dump(mode="json", by_alias=True)}
        rest = json.dumps(content, indent=2, allow_nan=False)[1:].lstrip()
        with replaced(path) as new:
            new.write_text(f'{{\n  "checksum": "{_sha256("{" + rest)}",\n  {rest}\n')


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
