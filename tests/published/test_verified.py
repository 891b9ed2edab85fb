"""A file is the one that was written, or it is said why not: whatever was done to it."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from martfeast.published import verified
from martfeast.published.verified import damage, file_sha256

CONTENT = b"PAR1 some rows PAR1"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A version's file that was read once, as by the last command."""
    path = tmp_path / "published/marts/library.titles/v1.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert said_of(path) == ""
    verified._seen.clear()
    return path


def said_of(path: Path) -> str:
    return damage(path, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def edit_in_place(path: Path) -> None:
    """Change a byte, and give the file its size and time of change back."""
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def take_the_place(path: Path) -> None:
    """Put another file there, with the size and time of change of the first."""
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes()[::-1])
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def link_to(path: Path, target: Path) -> None:
    """Let a link of the same content stand in for the file."""
    shutil.copy2(path, target)
    path.unlink()
    path.symlink_to(target)


def link_the_folder(path: Path) -> None:
    outside = path.parents[3] / "outside"
    path.parent.rename(outside)
    path.parent.symlink_to(outside)


def break_the_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (Path.unlink, "does not exist"),
        (lambda path: path.write_bytes(CONTENT[:-1]), "has 18 bytes, and was written with 19"),
        (lambda path: path.write_bytes(b""), "has 0 bytes, and was written with 19"),
        (edit_in_place, "has other bytes than were written"),
        (take_the_place, "has other bytes than were written"),
        (lambda path: link_to(path, path.parents[3] / "outside.parquet"), "is a link"),
        (lambda path: link_to(path, path.with_name("v2.parquet")), "is a link"),
        (link_the_folder, "is a link, or stands in a folder that is one"),
        (break_the_link, "is a link"),
        (make_a_folder, "is a folder without Parquet files"),
    ],
)
def test_whatever_is_done_to_a_file_is_said(file, harm: Callable[[Path], object], said):
    harm(file)
    assert said in said_of(file)
    assert said in said_of(file)  # and again: nothing of it was taken for seen


@pytest.fixture
def parts(file) -> Path:
    """A version in two part files, where the file was."""
    file.unlink()
    file.mkdir()
    for number, content in enumerate((CONTENT[:7], CONTENT[7:])):
        (file / f"part-{number}.parquet").write_bytes(content)
    (file / "_SUCCESS").touch()
    return Path(file)


def said_of_parts(parts: Path) -> str:
    lines = [
        f"{hashlib.sha256(content).hexdigest()}  part-{number}.parquet\n"
        for number, content in enumerate((CONTENT[:7], CONTENT[7:]))
    ]
    return damage(parts, len(CONTENT), hashlib.sha256("".join(lines).encode()).hexdigest())


def swap(parts: Path) -> None:
    """Give each part the name of the other: the same bytes, and rows in another order."""
    first, second = sorted(parts.glob("*.parquet"))
    first.rename(parts / "other")
    second.rename(first)
    (parts / "other").rename(second)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda parts: (parts / "_SUCCESS").unlink(), ""),
        (lambda parts: (parts / "part-0.parquet").unlink(), "has 12 bytes, and was written with"),
        (lambda parts: (parts / "part-2.parquet").write_bytes(b"x"), "has 20 bytes"),
        (lambda parts: (parts / "part-2.parquet").touch(), "has other bytes than were written"),
        (lambda parts: edit_in_place(parts / "part-1.parquet"), "has other bytes"),
        (lambda parts: take_the_place(parts / "part-1.parquet"), "has other bytes"),
        (swap, "has other bytes than were written"),
        (lambda parts: (parts / "part-0.parquet").rename(parts / "a.parquet"), "has other bytes"),
        (lambda parts: link_to(parts / "part-0.parquet", parts / "part-1.parquet"), "is a link"),
        (lambda parts: (parts / "part-2.parquet").mkdir(), "a link or no file"),
        (lambda parts: (parts / "more").mkdir(), "has a folder in it"),
        (lambda parts: shutil.rmtree(parts), "does not exist"),
    ],
)
def test_whatever_is_done_to_a_part_is_said(parts, harm: Callable[[Path], object], said):
    assert said_of_parts(parts) == ""
    harm(parts)
    for _ in range(2):  # and again: nothing of it was taken for seen
        assert said in said_of_parts(parts)
        assert bool(said_of_parts(parts)) == bool(said)


def test_what_does_not_change_the_bytes_is_no_damage(file, tmp_path):
    os.utime(file)
    assert said_of(file) == ""
    copy = shutil.copytree(tmp_path / "published", tmp_path / "copied folder")
    assert said_of(copy / file.relative_to(tmp_path / "published")) == ""
    # The folder as a whole may be a link: disks are mounted so.
    (tmp_path / "linked").symlink_to(tmp_path / "published")
    assert said_of(tmp_path / "linked" / file.relative_to(tmp_path / "published")) == ""


def test_a_file_is_read_whole_once_and_after_a_change(file, monkeypatch):
    read: list[Path] = []

    def reading(path: Path) -> str:
        read.append(path)
        return file_sha256(path)

    monkeypatch.setattr(verified, "file_sha256", reading)
    assert said_of(file) == ""
    assert not read
    os.utime(file)
    assert said_of(file) == ""
    assert said_of(file) == ""
    assert read == [file]


def test_what_was_seen_is_no_evidence_once_it_was_edited(file):
    edit_in_place(file)
    seen = file.with_name(verified.SEEN)
    state = verified._state(file, file_sha256(file))
    old = seen.read_text()
    for name, value in state.model_dump().items():
        if name != "sha256":
            line = next(line for line in old.splitlines() if f'"{name}"' in line)
            old = old.replace(line, f'      "{name}": {value},')
    seen.write_text(old)
    assert said_of(file) == "has other bytes than were written"


def test_a_version_is_read_only_once_it_was_verified(file):
    assert file.stat().st_mode & 0o222 == 0


def test_a_file_too_large_to_be_read_is_known_by_its_size(file):
    edit_in_place(file)
    assert damage(file, len(CONTENT), None) == ""
    assert "has 19 bytes" in damage(file, 20, None)
