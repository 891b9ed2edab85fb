"""Tested dbt marts as Feast feature views, declared in dbt YAML and nowhere else."""

from martfeast.declaration.declared import Column, Declaration, Exposure, Label, Mart
from martfeast.gate.assess import read_declaration
from martfeast.problems import DeclarationError, Problem
from martfeast.to_feast.expose import expose, feast_objects

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
