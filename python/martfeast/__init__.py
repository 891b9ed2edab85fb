"""Tested dbt marts as Feast feature views, declared in dbt YAML and nowhere else."""

from martfeast.declaration import Column, Declaration, Exposure, Label, Mart
from martfeast.feast_repository import expose, feast_objects
from martfeast.problems import DeclarationError, Problem
from martfeast.reading import read_declaration

__all__ = [
    "Column",
    "Declaration",
    "DeclarationError",
    "Exposure",
    "Label",
    "Mart",
    "Problem",
    "expose",
    "feast_objects",
    "read_declaration",
]
