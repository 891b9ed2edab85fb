"""Changes of a project's files: shown as a diff, and written all or none."""

import contextlib
import difflib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from martfeast.causes import Cause, cause_of
from martfeast.files import replaced
from martfeast.problems import DeclarationError, refusal


@dataclass(frozen=True)
class Edit:
    """A file as it is to be.

    project_dir: the dbt project's folder, absolute. name: the file, relative to it.
    before: its text; None if there is no such file. after: its text to be.
    """

    project_dir: Path
    name: str
    before: str | None
    after: str

    @property
    def path(self) -> Path:
        """The file itself, where a link leads to; absolute."""
        return (self.project_dir / self.name).resolve()

    def diff(self) -> str:
        """Return what changes, as a unified diff."""
        lines = difflib.unified_diff(
            (self.before or "").splitlines(),
            self.after.splitlines(),
            "/dev/null" if self.before is None else f"a/{self.name}",
            f"b/{self.name}",
            lineterm="",
        )
        return "\n".join(lines)


def read_text(project_dir: Path, name: str) -> str | None:
    """Return a project's file as it is, line ends included; None if there is none.

    Raises:
        DeclarationError: it cannot be read as text.

    """
    try:
        return (project_dir / name).read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(project_dir / name, f"cannot be read: {error}", cause_of(error)) from None


def write(edits: Sequence[Edit]) -> None:
    """Write every file, or leave all of them as they are.

    Raises:
        DeclarationError: a file cannot be written, or is no longer as it was read.

    """
    for edit in edits:
        if read_text(edit.project_dir, edit.name) != edit.before:
            raise _refused(edit.path, "has changed since the diff was made")
    made = list(_missing_folders(edits))
    try:
        with ExitStack() as renames:
            for edit in edits:
                edit.path.parent.mkdir(parents=True, exist_ok=True)
                new = renames.enter_context(replaced(edit.path))
                new.write_bytes(edit.after.encode())
                if edit.before is not None:
                    shutil.copymode(edit.path, new)
    except OSError as error:
        _undo(edits, made)
        path = Path(error.filename or edit.path)
        raise _refused(path, f"cannot be written: {error.strerror}", cause_of(error)) from None


def _missing_folders(edits: Sequence[Edit]) -> Iterator[Path]:
    for folder in dict.fromkeys(edit.path.parent for edit in edits):
        if not folder.exists():
            yield folder


def _undo(edits: Sequence[Edit], made: Sequence[Path]) -> None:
    """Take back what was written before a later file could not be."""
    for edit in edits:
        with contextlib.suppress(OSError):
            if edit.before is None:
                edit.path.unlink(missing_ok=True)
            elif edit.path.read_bytes() != edit.before.encode():
                edit.path.write_bytes(edit.before.encode())
    for folder in made:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _refused(path: Path, why: str, cause: Cause = Cause.USAGE) -> DeclarationError:
    fix = "Put that right, then run `martfeast init` again."
    return refusal(str(path), "file-unusable", f"It {why}.", fix, cause=cause)
