{#
  Publishes the marts that Feast reads: every mart (a model with `config.meta.feast`) whose present rows the
  evidence vouches for. Works at the end of any command that builds or tests; `dbt run` alone has no tests to
  show, so it publishes nothing.

  In the folder `published_path` (a variable of this package, relative to the project's root):

      marts/<model>/<version>.parquet  a version: written once, never changed
      releases/<number>.json           a release: which version of each mart, and the evidence for it
      current.json                     the release that holds now, and the verdict on each mart
      pending.json                     the versions that the newest publishing run set out to write
      publishing.duckdb                empty; locked while a run publishes

  A release begins to hold when current.json is replaced, which is one rename: a reader sees the old set of
  versions or the new one. Whatever is cut off before that leaves the old release as it was.

  results: dbt's own list of results, as every on-run-end hook has it; empty when a start hook failed.
#}
{% macro publish_marts(results) -%}
  {%- if execute and results and flags.WHICH in ['build', 'run', 'test', 'seed', 'snapshot'] -%}
    {%- if target.type == 'duckdb' -%}
      {%- set folder = (var('published_path', none) or 'data/published').rstrip('/') -%}
      {# Relative to the project, wherever dbt is run from. #}
      {%- set root = invocation_args_dict.get('project_dir') or '.' -%}
      {%- do martfeast.publish_from_duckdb(folder if folder.startswith('/') else root ~ '/' ~ folder, folder) -%}
    {%- else -%}
      {%- do log('martfeast: nothing was published: it publishes from DuckDB, and target ' ~ target.name ~ ' is ' ~ target.type, info=true) -%}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}


{# folder: where to publish. shown: the same as the project's variable has it, for messages. #}
{% macro publish_from_duckdb(folder, shown) -%}
  {%- do martfeast.make_folder(folder) -%}
  {# DuckDB locks an attached file until it is detached or the process ends: `feast apply` waits for that. #}
  {%- do run_query('attach ' ~ martfeast.literal(folder ~ '/publishing.duckdb') ~ ' as martfeast_publishing') -%}
  {%- do martfeast.record_source_loads() -%}
  {%- do martfeast.load_current_release(folder, shown) -%}
  {%- set schema = martfeast.evidence_schema() -%}
  {%- set files = 'glob(' ~ martfeast.glob_literal(folder, '/marts/*/*.parquet') ~ ') as files' -%}
  {%- set version = run_started_at.strftime('%Y%m%dT%H%M%SZ') ~ '-' ~ invocation_id[:8] -%}

  {%- do run_query('create or replace temp table martfeast_verdicts as ' ~ martfeast.verdicts_sql()) -%}
  {%- set candidates = run_query(
    "select verdict.mart_id from martfeast_verdicts as verdict"
    ~ " left join martfeast_current as current on verdict.mart_id = current.unique_id and current.version is not null"
    ~ " left join " ~ files ~ " on ends_with(files.file, '/' || current.path)"
    ~ " where len(verdict.reasons) = 0"
    ~ "   and (verdict.is_view or current.built_by is distinct from verdict.built_by or files.file is null)"
    ~ " order by verdict.mart_id"
  ).rows -%}
  {%- do run_query(
    'create or replace temp table martfeast_new (mart_id varchar, version varchar, path varchar, is_copied boolean,'
    ~ ' row_count bigint, content_hash varchar, columns json, first_known_at timestamp, last_known_at timestamp)'
  ) -%}
  {%- for candidate in candidates -%}
    {%- do martfeast.measure_mart(graph.nodes[candidate['mart_id']], version) -%}
  {%- endfor -%}
  {%- do run_query(
    "update martfeast_new set is_copied = false, version = current.version, path = current.path"
    ~ " from martfeast_current as current, " ~ files
    ~ " where martfeast_new.mart_id = current.unique_id"
    ~ "   and martfeast_new.content_hash = current.content_hash"
    ~ "   and martfeast_new.columns::varchar = current.columns::varchar"
    ~ "   and ends_with(files.file, '/' || current.path)"
  ) -%}

  {%- set copies = run_query('select mart_id, path from martfeast_new where is_copied order by mart_id').rows -%}
  {%- if copies -%}
    {%- do log(
      'martfeast: writing ' ~ copies | length ~ (' version' if copies | length == 1 else ' versions') ~ ' to ' ~ shown
      ~ '; if that fails, the last release stays: mend the cause, then run dbt build', info=true
    ) -%}
    {%- do martfeast.make_folder(folder ~ '/releases') -%}
    {%- do martfeast.write_json(
      'select ' ~ martfeast.literal(invocation_id) ~ ' as invocation_id, list(path) as paths from martfeast_new where is_copied',
      folder ~ '/pending.json'
    ) -%}
    {%- for copy in copies -%}
      {%- set mart = graph.nodes[copy['mart_id']] -%}
      {%- do martfeast.make_folder(folder ~ '/marts/' ~ martfeast.mart_folder(mart)) -%}
      {%- do martfeast.copy_mart(mart, folder ~ '/' ~ copy['path']) -%}
    {%- endfor -%}
  {%- endif -%}

  {%- do run_query('create or replace temp table martfeast_release as ' ~ martfeast.release_sql()) -%}
  {%- set change = run_query(
    "select coalesce(max(old.release_number), 0)::bigint as old_number, count(*) filter (where"
    ~ "   old.version is distinct from new.version) as change_count"
    ~ " from martfeast_current as old full join martfeast_release as new on old.unique_id = new.unique_id"
  ).rows[0] -%}
  {%- set number = (change['old_number'] | int) + (1 if change['change_count'] else 0) -%}
  {%- if number > 0 -%}
    {%- set record -%}
      select
        1 as format,
        {{ number }} as release_number,
        {{ martfeast.literal(invocation_id) }} as judged_by,
        {{ martfeast.literal(run_started_at.strftime('%Y-%m-%dT%H:%M:%SZ')) }} as judged_at,
        coalesce(list(martfeast_release order by mart), []) as marts
      from martfeast_release
    {%- endset -%}
    {%- if change['change_count'] -%}
      {%- do martfeast.make_folder(folder ~ '/releases') -%}
      {%- do martfeast.write_json(record, folder ~ '/releases/' ~ '%06d' % number ~ '.json') -%}
    {%- endif -%}
    {%- do martfeast.write_json(record, folder ~ '/current.json') -%}
  {%- endif -%}

  {%- do run_query(
    'insert into ' ~ schema ~ '.publications select unique_id, mart, version, ' ~ number
    ~ ', built_by, code_checksum, row_count, content_hash, first_known_at, last_known_at, published_at::timestamp'
    ~ ' from martfeast_release where version is not null and (unique_id, version) not in'
    ~ ' (select (node_id, version) from ' ~ schema ~ '.publications);'
    ~ ' insert into ' ~ schema ~ '.verdicts select ' ~ martfeast.literal(invocation_id)
    ~ ', unique_id, len(held_back) = 0, held_back, warnings, version from martfeast_release'
  ) -%}
  {%- do run_query('detach martfeast_publishing') -%}
  {%- do martfeast.report_release(shown, number, change['change_count']) -%}
{%- endmacro %}


{# The next release, one row per mart of the project: its evidence, with the version that holds from now on. #}
{% macro release_sql() -%}
select
  verdict.mart,
  verdict.mart_id as unique_id,
  coalesce(fresh.version, old.version) as version,
  coalesce(fresh.path, old.path) as path,
  case
    when fresh.is_copied then {{ martfeast.literal(run_started_at.strftime('%Y-%m-%dT%H:%M:%SZ')) }}
    else old.published_at
  end as published_at,
  case when fresh.mart_id is not null then verdict.built_by else old.built_by end as built_by,
  case when fresh.mart_id is not null then verdict.code_checksum else old.code_checksum end as code_checksum,
  coalesce(fresh.columns, old.columns) as columns,
  coalesce(fresh.row_count, old.row_count) as row_count,
  coalesce(fresh.first_known_at, old.first_known_at) as first_known_at,
  coalesce(fresh.last_known_at, old.last_known_at) as last_known_at,
  coalesce(fresh.content_hash, old.content_hash) as content_hash,
  case when len(verdict.reasons) = 0 then to_json(verdict.tests) else old.tests end as tests,
  case when len(verdict.reasons) = 0 then to_json(verdict.sources) else old.sources end as sources,
  case when len(verdict.reasons) = 0 then to_json(verdict.lineage) else old.lineage end as lineage,
  verdict.reasons as held_back,
  verdict.warnings
from martfeast_verdicts as verdict
left join martfeast_new as fresh on verdict.mart_id = fresh.mart_id
left join martfeast_current as old on verdict.mart_id = old.unique_id
{%- endmacro %}
