"""Records on disk: what was written is read, and what was done to it since is refused."""

import json
from typing import ClassVar

import pytest
from martfeast.records import Record, RecordError


class Shelf(Record):
    FORMAT: ClassVar[int] = 2

    name: str
    shares: dict[str, float]
    notes: list[str]


class NewerShelf(Shelf):
    FORMAT: ClassVar[int] = 3


SHELF = Shelf(name='"é" \n\x01/', shares={"a": 0.1, "b": 1e-12}, notes=["{", "}"])


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "shelf.json"
    SHELF.write(path)
    return path


def test_what_was_written_is_read(path):
    assert Shelf.read(path) == SHELF
    assert json.loads(path.read_text())["format"] == 2
    assert [file.name for file in path.parent.iterdir()] == ["shelf.json"]


def test_an_edit_is_noticed_wherever_it_is(path):
    """Each character in turn: another one in its place is an edit, or no record any more."""
    text = path.read_text().strip()
    for place, character in enumerate(text):
        path.write_text(text[:place] + ("x" if character != "x" else "y") + text[place + 1 :])
        with pytest.raises(RecordError):
            Shelf.read(path)
    path.write_text(json.dumps({**json.loads(text), "name": "another"}))
    with pytest.raises(RecordError, match="edited after it was written"):
        Shelf.read(path)


def test_a_cut_off_record_is_refused_at_every_length(path):
    text = path.read_text().strip()
    for length in range(len(text)):
        path.write_text(text[:length])
        with pytest.raises(RecordError, match=r"cut off|format"):
            Shelf.read(path)


@pytest.mark.parametrize("text", ["[]", "7", "null", "\xff", "[" * 100_000])
def test_what_is_no_record_is_refused(path, text):
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RecordError):
        Shelf.read(path)


def test_a_record_of_another_version_says_which(path):
    NewerShelf(**SHELF.model_dump()).write(path)
    with pytest.raises(RecordError, match="format 3, of a newer martfeast; this one reads 2") as e:
        Shelf.read(path)
    assert (e.value.is_newer, e.value.is_older) == (True, False)
    SHELF.write(path)
    with pytest.raises(RecordError, match="format 2, of an older martfeast") as e:
        NewerShelf.read(path)
    assert (e.value.is_newer, e.value.is_older) == (False, True)


def test_a_checksum_does_not_make_other_fields_right(path):
    class Otherwise(Record):
        FORMAT: ClassVar[int] = 2

        name: int

    with pytest.raises(RecordError, match="name: "):
        Otherwise.read(path)


def test_a_failed_write_leaves_what_was_there(path):
    class Broken(Shelf):
        def model_dump(self, **_):
            return {"name": float("nan")}

    with pytest.raises(ValueError, match="JSON"):
        Broken(**SHELF.model_dump()).write(path)
    assert Shelf.read(path) == SHELF
