"""How to get a feature, a view, a label or a model's rows, as text to copy."""

import textwrap

from martfeast.site.catalog import Model
from martfeast.site.mart import Feature, View

Snippets = list[tuple[str, str]]


def of_feature(feature: Feature, view: View) -> Snippets:
    """Return how to get one feature."""
    return [
        ("As Feast is asked for it", feature.reference),
        *_python(view, f'["{feature.reference}"]'),
        *_sql(view, feature.name),
        ("In an exposure's YAML of dbt", f"features:\n  {view.name}: [{feature.name}]"),
    ]


def of_view(view: View) -> Snippets:
    """Return how to get all of a mart."""
    if view.kind == "labels":
        assert view.declared.label is not None
        column = view.declared.label.column
        text = f"label: {{mart: {view.name}, column: {column}}}"
        return [*_sql(view, column), ("In an exposure's YAML of dbt", text)]
    every = ",\n        ".join(f'"{one.reference}"' for one in view.features)
    return [
        *_python(view, f"[\n        {every},\n    ]"),
        *_sql(view, *(one.name for one in view.features)),
        ("In a model of dbt", f"select * from {{{{ ref('{_model(view)}') }}}}"),
        ("In an exposure's YAML of dbt", f"features:\n  {view.name}: all"),
    ]


def of_model(model: Model) -> Snippets:
    """Return how to get what a model learns from and is asked with."""
    return [
        ("A training set, measured, with a card", f"martfeast dataset {model.name}"),
        (
            "Online, in Python",
            textwrap.dedent(
                f"""\
                from feast import FeatureStore

                store = FeatureStore("feature_repo")
                service = store.get_feature_service("{model.name}")
                store.get_online_features(service, entity_rows=[...]).to_dict()"""
            ),
        ),
    ]


def _model(view: View) -> str:
    return view.unique_id.split(".")[2]


def _python(view: View, features: str) -> Snippets:
    keys = [key for _, key in view.declared.entities]
    columns = ", ".join([*keys, "event_timestamp"])
    history = textwrap.dedent(
        """\
        from feast import FeatureStore

        store = FeatureStore("feature_repo")
        rows = store.get_historical_features(
            entity_df=entities,  # {columns}
            features={features},
        ).to_df()"""
    ).format(columns=columns, features=features)
    found = [("As it was known then, in Python", history)]
    if view.declared.is_online:
        row = ", ".join(f'"{key}": ...' for key in keys)
        online = textwrap.dedent(
            """\
            store.get_online_features(
                features={features},
                entity_rows=[{{{row}}}],
            ).to_dict()"""
        ).format(features=features, row=row)
        found.append(("As it is known now, in Python", online))
    return found


def _sql(view: View, *columns: str) -> Snippets:
    if view.published is None:
        return []
    keys = [key for _, key in view.declared.entities]
    selected = ",\n    ".join(dict.fromkeys([*keys, view.declared.timestamp, *columns]))
    file = view.published.file.replace("'", "''")
    return [("In SQL, of DuckDB", f"select\n    {selected}\nfrom read_parquet('{file}')")]
