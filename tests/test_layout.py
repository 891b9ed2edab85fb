"""The package stays a place to live in: small files, functions and classes, and no subject."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

PACKAGE = Path(__file__).parents[1] / "python/martfeast"
TEXTS = [
    path
    for path in sorted(PACKAGE.rglob("*"))
    if path.is_file() and path.suffix in (".py", ".sql", ".yml", ".jinja", ".css")
]
MODULES = {path: ast.parse(path.read_text()) for path in TEXTS if path.suffix == ".py"}
Node = TypeVar("Node", bound=ast.AST)


def named(path: Path, name: str = "") -> str:
    return f"{path.relative_to(PACKAGE)} {name}".strip()


def of_kind(kind: type[Node]) -> Iterator[tuple[Path, Node]]:
    for path, module in MODULES.items():
        yield from ((path, node) for node in ast.walk(module) if isinstance(node, kind))


def lines_of(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def attributes(of_class: ast.ClassDef) -> set[str]:
    """What a class declares and what its methods set on self."""
    found = {
        node.target.id
        for node in of_class.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and "ClassVar" not in ast.unparse(node.annotation)
    }
    for node in ast.walk(of_class):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            found.add(node.attr)
    return found


def test_no_file_has_more_than_400_lines():
    lengths = {named(path): len(path.read_text().splitlines()) for path in TEXTS}
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


def test_no_function_has_more_than_60_lines():
    functions: list[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]] = [
        *of_kind(ast.FunctionDef),
        *of_kind(ast.AsyncFunctionDef),
    ]
    lengths = {named(path, node.name): lines_of(node) for path, node in functions}
    assert len(lengths) > 300
    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}


def test_no_class_has_more_than_15_attributes():
    counts = {named(path, node.name): len(attributes(node)) for path, node in of_kind(ast.ClassDef)}
    assert len(counts) > 50
    assert {name: count for name, count in counts.items() if count > 15} == {}


def test_the_package_knows_no_subject():
    words = re.compile("flight|carrier", re.IGNORECASE)
    assert [named(path) for path in TEXTS if words.search(path.read_text())] == []
