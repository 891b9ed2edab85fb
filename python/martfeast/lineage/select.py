"""One SELECT, traced: what each of its columns is computed of, and what decides on its rows."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from martfeast.lineage.syntax import (
    column_names,
    counts_rows,
    depends_on_other_rows,
    join_clauses,
    join_kind,
    joins_of,
    orders_window,
    parts_of,
    row_clauses,
    text_with,
    write_windows_out,
)
from martfeast.lineage.traced import (
    AGGREGATION,
    IDENTITY,
    TRANSFORMATION,
    WINDOW,
    ColumnKey,
    Known,
    Step,
    Traced,
    TracedSelect,
    Untraceable,
    united,
)


def trace_select(sql: str, dialect: str, relations: Mapping[str, Known]) -> TracedSelect:
    """Trace the columns of a SELECT.

    Args:
        sql: the SELECT.
        dialect: sqlglot's name of its dialect.
        relations: what it may read, by what SQL calls that.

    Raises:
        Untraceable: it cannot be parsed, or it takes all columns of what has unknown ones.

    """
    try:
        tree = sqlglot.parse_one(sql, dialect=dialect)
        _require_traceable(tree)
        known = {
            _called(f"select * from {name}", dialect): found for name, found in relations.items()
        }
        read = _name_relations(tree, dialect, known)
        write_windows_out(tree)
        try:
            return _traced(tree, dialect, read)
        except (Untraceable, OptimizeError):
            guessed = _with_names_read(tree, read)
            if guessed is None:
                raise
            return _traced(tree, dialect, guessed)
    except (SqlglotError, RecursionError) as error:
        found = getattr(error, "errors", None)  # of its parser, whose text marks SQL for terminals
        said = found[0]["description"] if found else " ".join(str(error).split())[:300]
        raise Untraceable(f"sqlglot cannot read it: {said}") from None


def _traced(tree: exp.Expr, dialect: str, read: Mapping[str, Known]) -> TracedSelect:
    """Trace the columns of a SELECT that calls relations by their unique_ids."""
    schema: dict[str, object] = {
        f'"{one.unique_id}"': dict.fromkeys(one.columns, "text")
        for one in read.values()
        if one.columns is not None
    }
    tree = qualify(
        tree.copy(),
        dialect=dialect,
        schema=schema,
        quote_identifiers=False,
        validate_qualify_columns=False,
    )
    scope = build_scope(tree)
    assert scope is not None, "a query has a scope"
    tracer = _Tracer(dialect, scope, read.values())
    names = column_names(tree)
    if "*" in names:
        unknown = [one.unique_id for one in read.values() if one.columns is None]
        raise Untraceable(f"the columns of {', '.join(unknown) or 'what it reads'} are not known")
    if len({name.lower() for name in names}) < len(names) or "" in names:
        raise Untraceable("it has columns without a name, or two of one name")
    columns = {name.lower(): tracer.column(scope, name) for name in names}
    rows = tracer.rows(scope)
    return TracedSelect(columns, rows, united([tracer.rows_by]), united([tracer.relations(scope)]))


def _with_names_read(tree: exp.Expr, read: Mapping[str, Known]) -> dict[str, Known] | None:
    """Return what is read, with all names that nothing else has as columns of the one in question.

    None if it is not one relation only whose columns are not all known, or all of them are taken.
    """
    parts = [name for name, one in read.items() if not one.is_whole or one.columns is None]
    if len(parts) != 1 or (isinstance(tree, exp.Query) and tree.is_star):
        return None
    others = {name.lower() for one in read.values() for name in one.columns or ()}
    if tree.find(exp.Star):  # then what SQL names itself would be taken twice
        others |= {one.alias.lower() for one in tree.find_all(exp.Alias)}
    names = dict.fromkeys(column.name for column in tree.find_all(exp.Column))
    rest = [name for name in names if name and name.lower() not in others]
    one = read[parts[0]]
    return {**read, parts[0]: one._replace(columns=[*(one.columns or ()), *rest])}


def _require_traceable(tree: exp.Expr) -> None:
    if not isinstance(tree, exp.Query):
        raise Untraceable("it is no SELECT")
    if any(isinstance(one, exp.Columns) for one in tree.walk()):
        raise Untraceable("COLUMNS(...) says only when it runs which columns there are")


def _called(sql: str, dialect: str) -> str:
    """Return what a SELECT of one relation calls it, spelled as sqlglot does."""
    table = sqlglot.parse_one(sql, dialect=dialect).find(exp.Table)
    return _spelled(table, dialect) if table is not None else sql


def _spelled(table: exp.Expr, dialect: str) -> str:
    bare = table.copy()
    bare.set("alias", None)
    return bare.sql(dialect=dialect, identify=True).lower()


def _name_relations(tree: exp.Expr, dialect: str, known: Mapping[str, Known]) -> dict[str, Known]:
    """Call each known relation by its unique_id; return those that are read, by that."""
    read: dict[str, Known] = {}
    for table in list(tree.find_all(exp.Table)):
        found = known.get(_spelled(table, dialect))
        if found is None:
            continue
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name))
        named = exp.Table(this=exp.to_identifier(found.unique_id, quoted=True), alias=alias)
        for argument in ("joins", "pivots", "laterals", "sample"):
            named.set(argument, table.args.get(argument))
        table.replace(named)
        read[found.unique_id] = found
    return read


class _Tracer:
    """Follows columns through the scopes of one SELECT; each is traced once."""

    def __init__(self, dialect: str, root: Scope, known: Iterable[Known]) -> None:
        self.dialect = dialect
        # A recursive CTE reads itself by a scope that is made for that, without sources.
        self.scopes = {id(one.expression): one for one in root.traverse()}
        self.unique_ids = {one.unique_id.lower(): one.unique_id for one in known}
        self.whole = {
            one.unique_id.lower() for one in known if one.is_whole and one.columns is not None
        }
        self.traced: dict[tuple[int, str], Traced] = {}
        self.shapes: dict[int, tuple[tuple[ColumnKey, str], ...]] = {}
        self.row_checksums: dict[int, str] = {}
        self.rows_by: list[ColumnKey] = []
        self.listing: set[int] = set()

    def column(self, scope: Scope, name: str) -> Traced:
        """Trace a column of a scope."""
        scope = self.scopes.get(id(scope.expression), scope)
        key = (id(scope), name.lower())
        if key not in self.traced:
            # A recursive CTE reads itself: what it adds to itself is known by its first part.
            self.traced[key] = Traced(definition="recursion")
            self.traced[key] = self._column(scope, name)
        return self.traced[key]

    def _column(self, scope: Scope, name: str) -> Traced:
        expression = scope.expression
        if isinstance(expression, exp.SetOperation):
            return self._of_branches(scope, name)
        if not isinstance(expression, exp.Select):
            return self._of_rows_computed(scope, name)
        for projection in expression.selects:
            if projection.alias_or_name.lower() == name.lower():
                break
        else:
            raise Untraceable(f"{name} is not found in {expression.sql(self.dialect)[:100]}")
        traced = self._computed(scope, projection.unalias())
        is_plain = isinstance(projection.unalias(), exp.Column)
        step = Step(self._name(scope), projection.unalias().sql(self.dialect, comments=False))
        shaped = Traced(shaped_by=self._shaped_by(scope), definition=traced.definition)
        return replace(
            shaped.and_all([traced]), steps=(*(() if is_plain else (step,)), *traced.steps)
        )

    def _of_rows_computed(self, scope: Scope, name: str) -> Traced:
        """Trace a column of a lateral query, or of what unnest and the like compute."""
        for inner in scope.subquery_scopes:
            if name.lower() in [one.lower() for one in column_names(inner.expression)]:
                return self.column(inner, name)
        return self._computed(scope, scope.expression)

    def _of_branches(self, scope: Scope, name: str) -> Traced:
        names = [one.lower() for one in column_names(scope.expression)]
        position, found = names.index(name.lower()), []
        for branch in scope.set_operation_scopes:
            theirs = column_names(branch.expression)
            by_name = scope.expression.args.get("by_name")
            if not by_name or name.lower() in [one.lower() for one in theirs]:
                found.append(self.column(branch, name if by_name else theirs[position]))
        kind = type(scope.expression).__name__
        together = _checksum(kind, *(one.definition for one in found))
        return Traced(definition=together).and_all(found)

    def _computed(self, scope: Scope, expression: exp.Expr) -> Traced:
        """Trace all that an expression is computed of."""
        parts, text, windows = self._parts(scope, expression)
        how = TRANSFORMATION
        if isinstance(expression, exp.Column):
            how = IDENTITY
        elif next(parts_of(expression, exp.AggFunc), None) is not None:
            how = AGGREGATION
        is_count = any(counts_rows(one) for one in parts_of(expression, exp.Count))
        counted = tuple(self.relations(scope)) if is_count else ()
        shaped = united(
            [*((value, WINDOW) for value in one.values), *one.shaped_by] for one in windows
        )
        definition = parts[0].definition if how == IDENTITY else _checksum(text)
        rows_of: tuple[str, ...] = ()
        if depends_on_other_rows(scope, expression):
            definition, rows_of = (
                _checksum(definition, self.rows(scope)),
                united([self.relations(scope)]),
            )
        elif looked_up := self._lookups(scope, expression):
            definition, rows_of = _checksum(definition, *looked_up[0]), united([looked_up[1]])
        own = Traced((), how, shaped, counted, rows_of, definition=definition)
        return own.and_all(parts)

    def _parts(self, scope: Scope, expression: exp.Expr) -> tuple[list[Traced], str, list[Traced]]:
        """Return the columns of an expression, its SQL with these by their definitions, windows."""
        parts: list[Traced] = []
        windows: list[Traced] = []
        names: dict[int, str] = {}
        for node in parts_of(expression, exp.Column, exp.Query):
            if isinstance(node, exp.Query):
                traced = self._of_query(scope, node)
            else:
                traced = self._source(scope, node)
            names[id(node)] = traced.definition
            (windows if orders_window(node, expression) else parts).append(traced)
        return parts, text_with(expression, names, self.dialect), windows

    def _lookups(self, scope: Scope, expression: exp.Expr) -> tuple[list[str], list[str]] | None:
        """Return what decides which rows of joined relations an expression reads, and of which."""
        named = {one.table for one in parts_of(expression, exp.Column)}
        said: list[str] = []
        relations: list[str] = []
        for join in joins_of(scope.expression):
            if (name := join.alias_or_name) in named:
                source = scope.sources.get(name)
                said += [join_kind(join), self.rows(source) if isinstance(source, Scope) else ""]
                said += [self._parts(scope, clause)[1] for clause in join_clauses(join)]
                relations += self._relations_in(source)
        return (said, relations) if said else None

    def _of_query(self, scope: Scope, query: exp.Query) -> Traced:
        """Trace a query inside an expression: all its columns, and what decides on its rows."""
        for inner in scope.subquery_scopes:
            if inner.expression is query.unnest():
                found = [self.column(inner, name) for name in column_names(inner.expression)]
                found.append(Traced(shaped_by=self._shaped_by(inner)))
                definition = _checksum(*(one.definition for one in found), self.rows(inner))
                return Traced(how=TRANSFORMATION, definition=definition).and_all(found)
        return Traced(how=TRANSFORMATION, definition=_checksum(query.sql(self.dialect)))

    def _source(self, scope: Scope, column: exp.Column) -> Traced:
        """Trace a column that an expression names."""
        source = self._source_of(scope, column)
        if isinstance(source, Scope):
            return self.column(source, column.name)
        if isinstance(source, exp.Table):
            unique_id = self.unique_ids.get(source.name.lower())
            if unique_id:
                key = ColumnKey(unique_id, column.name.lower())
                return Traced(values=(key,), definition=_checksum(*key))
            if not isinstance(source.this, exp.Identifier):  # a table function
                return self._computed(scope, source.this)
            raise Untraceable(f"it reads {source.sql(self.dialect)}, which is no ref and no source")
        raise Untraceable(f"nothing says which relation {column.sql(self.dialect)} is of")

    def _source_of(self, scope: Scope, column: exp.Column) -> Scope | exp.Table | None:
        """Return what a column is of: of this scope, or of one that it is inside of."""
        around: Scope | None = scope
        while around is not None:
            if column.table in around.sources:
                return around.sources[column.table]
            around = around.parent
        tables = [source for _, source in scope.selected_sources.values()]
        # The only one whose columns are not known must have it.
        unknown = [one for one in tables if isinstance(one, exp.Table) and not self._is_known(one)]
        return unknown[0] if len(unknown) == 1 and not column.table else None

    def _is_known(self, table: exp.Table) -> bool:
        return table.name.lower() in self.whole

    # Rows

    def _shaped_by(self, scope: Scope) -> tuple[tuple[ColumnKey, str], ...]:
        """Return the columns that decide on the rows of a scope itself."""
        if id(scope) not in self.shapes:
            self.shapes[id(scope)] = united(
                [*((value, how) for value in part.values), *part.shaped_by]
                for how, clause in row_clauses(scope.expression)
                for part in self._shaping(scope, clause)
            )
        return self.shapes[id(scope)]

    def _shaping(self, scope: Scope, clause: exp.Expr) -> list[Traced]:
        parts, _, windows = self._parts(scope, clause)
        return [*parts, *windows]

    def rows(self, scope: Scope) -> str:
        """Return a checksum of all that decides which rows a scope has."""
        scope = self.scopes.get(id(scope.expression), scope)
        if id(scope) not in self.row_checksums:
            self.row_checksums[id(scope)] = "recursion"
            self.row_checksums[id(scope)] = self._rows(scope)
        return self.row_checksums[id(scope)]

    def _rows(self, scope: Scope) -> str:
        expression = scope.expression
        if isinstance(expression, exp.SetOperation):
            kind = f"{type(expression).__name__} {expression.args.get('distinct')}"
            return _checksum(kind, *(self.rows(one) for one in scope.set_operation_scopes))
        said = []
        if isinstance(expression, exp.Select):
            for _, source in scope.selected_sources.values():
                said.append(self.rows(source) if isinstance(source, Scope) else source.name)
            said += [join_kind(join) for join in joins_of(expression)]
            self.rows_by += [key for key, _ in self._shaped_by(scope)]
            for how, clause in row_clauses(expression):
                said += [how, self._parts(scope, clause)[1]]
            for name in ("distinct", "limit", "offset", "sample"):
                if part := expression.args.get(name):
                    said += [name, part.sql(self.dialect)]
        else:
            said.append(self._parts(scope, expression)[1])
        return _checksum(*said)

    def relations(self, scope: Scope) -> Iterator[str]:
        """Yield the relations of which a scope has the rows."""
        for branch in scope.set_operation_scopes or ():
            yield from self.relations(branch)
        for _, source in scope.selected_sources.values():
            yield from self._relations_in(source)

    def _relations_in(self, source: Scope | exp.Table | None) -> Iterator[str]:
        if isinstance(source, Scope) and id(source.expression) not in self.listing:
            self.listing.add(id(source.expression))  # a recursive CTE has its own rows
            yield from self.relations(self.scopes.get(id(source.expression), source))
            self.listing.discard(id(source.expression))
        elif isinstance(source, exp.Table) and source.name.lower() in self.unique_ids:
            yield self.unique_ids[source.name.lower()]

    def _name(self, scope: Scope) -> str:
        parent = scope.expression.parent
        return parent.alias if isinstance(parent, exp.CTE | exp.Subquery) else ""


def _checksum(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
