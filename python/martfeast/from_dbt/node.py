"""What dbt's manifest says of one node, typed: the only place that knows the manifest's keys.

The classes are of dbt's manifest schema v12, and have the keys that are used here. Names are dbt's,
grouped where a node has too many: where it is written, its relation, its code, who shares it.
"""

from typing import Any

from pydantic import AliasPath, BaseModel, ConfigDict, Field, model_validator

Meta = dict[str, Any]
# The fields that group keys which stand beside one another in the manifest.
GROUPS = frozenset({"written", "relation", "code", "sharing"})


class Part(BaseModel):
    """A part of the manifest; keys that are not used here are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Configured(Part):
    """What has ``meta``: beside ``config`` as older projects write it, or under it."""

    meta: Meta = {}


class Config(Configured):
    """A node's configuration.

    event_time: the column that says when a row was known. file_format: of the table, where its
    engine has several. batch_size, lookback, begin: of microbatch models.
    """

    materialized: str = ""
    incremental_strategy: str | None = None
    event_time: str | None = None
    file_format: str | None = None
    batch_size: str | None = None
    lookback: int | None = None
    begin: Any = None
    is_contract_enforced: bool = Field(
        default=False, validation_alias=AliasPath("contract", "enforced")
    )


class TestConfig(Config):
    """A data test's configuration."""

    severity: str = "ERROR"
    where: str | None = None
    limit: int | None = None
    warn_if: str | None = None
    error_if: str | None = None
    fail_calc: str | None = None


class SnapshotConfig(Config):
    """A snapshot's configuration. column_names: what it calls dbt's own columns, where changed."""

    column_names: dict[str, str | None] | None = Field(
        default=None, validation_alias="snapshot_meta_column_names"
    )
    dbt_valid_to_current: str | None = None

    def column(self, name: str) -> str:
        """Return what the snapshot calls one of dbt's columns."""
        return (self.column_names or {}).get(name) or name


class DependsOn(Part):
    """What a node is made of, by unique_id."""

    nodes: tuple[str, ...] = ()
    macros: tuple[str, ...] = ()


class Constraint(Part):
    """A constraint of a contract, on one column or on several."""

    type: str
    columns: tuple[str, ...] = ()


class Column(Part):
    """A column as YAML describes it."""

    name: str
    data_type: str | None = None
    description: str = ""
    constraints: tuple[Constraint, ...] | None = ()
    meta: Meta = {}
    config: Configured = Configured()


class Written(Part):
    """Where a node is written. patch_path: ``<package>://<file>`` of the YAML that describes it."""

    package_name: str
    original_file_path: str
    patch_path: str | None = Field(default=None, pattern="^[^:]+://.+")


class Named(Part):
    """What a relation is called in the warehouse. sql: as dbt's SQL calls it."""

    database: str | None = None
    schema_name: str = Field(validation_alias="schema")
    sql: str | None = Field(default=None, validation_alias="relation_name")


class Code(Part):
    """What a node runs. checksum: dbt's own, of its file. compiled: SQL, if dbt compiled it."""

    checksum: str | None = Field(validation_alias=AliasPath("checksum", "checksum"))
    raw: str = Field(default="", validation_alias="raw_code")
    compiled: str | None = Field(default=None, validation_alias="compiled_code")
    language: str = "sql"


class Sharing(Part):
    """Who owns a model, who may build on it, and which version of it this is."""

    group: str | None = None
    access: str | None = None
    version: str | int | float | None = None
    deprecation_date: str | None = None


class Owner(Part):
    """An owner of a group or an exposure."""

    email: str | list[str] | None = None
    name: str | None = None

    def __str__(self) -> str:
        """Return the email (the first, if there are several), or else the name, or ''."""
        first = self.email if isinstance(self.email, str) else next(iter(self.email or []), None)
        return first or self.name or ""


class Node(Part):
    """Anything that the manifest describes under a unique_id."""

    unique_id: str
    resource_type: str
    name: str
    description: str = ""
    written: Written
    meta: Meta = {}
    config: Config = Config()
    columns: dict[str, Column] = {}
    depends_on: DependsOn = DependsOn()

    @model_validator(mode="before")
    @classmethod
    def _group(cls, raw: Any) -> Any:
        """Let the groups of keys read the node's own."""
        groups = GROUPS & set(cls.model_fields)
        return {**raw, **dict.fromkeys(groups, raw)} if isinstance(raw, dict) else raw

    @property
    def alias(self) -> str:
        """What it is called where its relation is called by its name alone."""
        return self.name


class Model(Node):
    """A model, a seed or a snapshot: what is a relation, or part of one if it is ephemeral."""

    alias_: str = Field(validation_alias="alias")
    config: SnapshotConfig = SnapshotConfig()
    relation: Named
    code: Code
    sharing: Sharing
    constraints: tuple[Constraint, ...] | None = ()

    @property
    def alias(self) -> str:
        """What its relation is called."""
        return self.alias_

    @property
    def is_ephemeral(self) -> bool:
        """Whether it has no relation, and is part of what reads it."""
        return self.config.materialized == "ephemeral"


class GenericTest(Part):
    """Which generic test a data test is, with its arguments."""

    name: str
    arguments: dict[str, Any] = Field(default={}, validation_alias="kwargs")


class Test(Node):
    """A data test. attached_node: what it is about; None for a singular one."""

    config: TestConfig = TestConfig()
    code: Code
    attached_node: str | None = None
    generic: GenericTest | None = Field(default=None, validation_alias="test_metadata")

    @property
    def tested(self) -> tuple[str, ...]:
        """The unique_ids that it is about."""
        return (self.attached_node,) if self.attached_node else self.depends_on.nodes

    @property
    def blocks(self) -> bool:
        """Whether its failure is an error, and no warning."""
        return self.config.severity.lower() == "error"

    @property
    def sees_every_row(self) -> bool:
        """Whether any one row can make it fail as an error."""
        config = self.config
        return (
            self.blocks
            and config.error_if == "!= 0"
            and config.fail_calc == "count(*)"
            and not config.where
            and not config.limit
        )


class UnitTest(Node):
    """A unit test; the first node it depends on is what it is about."""

    @property
    def blocks(self) -> bool:
        """Whether its failure is an error, which it always is."""
        return True

    @property
    def tested(self) -> tuple[str, ...]:
        """The unique_ids that it is about."""
        return self.depends_on.nodes[:1]


class Limit(Part):
    """A number of periods: minutes, hours or days."""

    count: int | None = None
    period: str | None = None


class Freshness(Part):
    """How old a source's newest load may be."""

    error_after: Limit | None = None


class Source(Node):
    """A table of a source."""

    source_name: str
    identifier: str
    relation: Named
    loaded_at_field: str | None = None
    loaded_at_query: str | None = None
    freshness: Freshness | None = None

    @property
    def alias(self) -> str:
        """What it is called: source and table, joined by a dot."""
        return f"{self.source_name}.{self.name}"


class Exposure(Node):
    """An exposure. type: dbt's kind of it, such as ml."""

    type: str
    owner: Owner | None = None
    label: str | None = None
    maturity: str | None = None
    url: str | None = None


class MetricInput(Part):
    """A measure or a metric that a metric is computed from."""

    name: str


class MetricParameters(Part):
    """What a metric is computed from, by its type."""

    measure: MetricInput | None = None
    numerator: MetricInput | None = None
    denominator: MetricInput | None = None
    expr: str | None = None


class Metric(Node):
    """A metric of the semantic layer. type: dbt's kind of it, such as ratio."""

    type: str
    label: str | None = None
    parameters: MetricParameters = Field(default=MetricParameters(), validation_alias="type_params")

    @property
    def made_of(self) -> str:
        """What it is computed from, in words; empty if that takes more than a few."""
        given = self.parameters
        if given.numerator and given.denominator:
            return f"{given.numerator.name} / {given.denominator.name}"
        return given.measure.name if given.measure else given.expr or ""


class Macro(Part):
    """A macro, with the text it is written as."""

    unique_id: str
    name: str
    package_name: str
    original_file_path: str
    macro_sql: str
    depends_on: DependsOn = DependsOn()


class Group(Part):
    """A group of models, with its owner."""

    name: str
    package_name: str
    original_file_path: str
    owner: Owner | None = None


def feast_meta(of: Node | Column) -> tuple[bool, Any]:
    """Return whether a node or a column has ``meta.feast``, and its value."""
    for meta in (of.config.meta, of.meta):
        if "feast" in meta:
            return True, meta["feast"]
    return False, None
