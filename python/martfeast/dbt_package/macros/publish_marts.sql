{#
  Publishes the marts that Feast reads, at the end of a green `dbt build`.

  A mart is a model with `config.meta.feast`. Every mart that this invocation built is written to
  <published_path>/<alias>.parquet, and <published_path>/last_build.json says what was written. Unless every
  result of the invocation is green nothing is written, and the files of the last green build stay as they are.

  The folder is the variable `published_path` of this package, relative to the project's root:
      vars: {martfeast: {published_path: data/published}}

  results: dbt's own list of results, as every on-run-end hook has it.
#}
{% macro publish_marts(results) -%}
  {%- if execute and flags.WHICH == 'build' -%}
    {%- set folder = var('published_path', 'data/published') -%}
    {%- set marts = [] -%}
    {%- set not_green = [] -%}
    {%- for result in results -%}
      {%- if result.status | string not in ['success', 'pass', 'warn', 'no-op'] -%}
        {%- do not_green.append(result) -%}
      {%- elif result.node.resource_type == 'model' and 'feast' in result.node.config.meta -%}
        {%- do marts.append(result.node) -%}
      {%- endif -%}
    {%- endfor -%}

    {%- if not_green -%}
      {%- do log('martfeast: nothing was published: ' ~ martfeast.describe_not_green(not_green), info=true) -%}
      {%- do log('martfeast: what was published before, in ' ~ folder ~ ', is unchanged', info=true) -%}
    {# dbt shows --sample to macros here only: `flags` has no SAMPLE. #}
    {%- elif invocation_args_dict.get('empty') or invocation_args_dict.get('sample') -%}
      {%- do log('martfeast: nothing was published: --empty and --sample build only part of the data', info=true) -%}
    {# A retry poses as the command it repeats, and has only the results that were missing. #}
    {%- elif 'retry' in (flags.INVOCATION_COMMAND or '').split() -%}
      {%- do log('martfeast: nothing was published: a retry has only part of the results; run dbt build', info=true) -%}
    {%- elif not marts -%}
      {%- do log('martfeast: nothing was published: this build has no model with meta.feast', info=true) -%}
    {%- else -%}
      {%- set row_counts = adapter.dispatch('write_marts', 'martfeast')(marts, folder) -%}
      {%- do log('martfeast: published ' ~ marts | length ~ (' mart to ' if marts | length == 1 else ' marts to ') ~ folder, info=true) -%}
      {%- do log('martfeast: rows: ' ~ row_counts | join(', '), info=true) -%}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}


{# One line: the results that failed, by name and status, and how many were skipped because of them. #}
{% macro describe_not_green(not_green) -%}
  {%- set failed = [] -%}
  {%- for result in not_green if result.status | string != 'skipped' -%}
    {%- do failed.append(result.node.name ~ ' (' ~ result.status ~ ')') -%}
  {%- endfor -%}
  {%- set skipped_count = not_green | length - failed | length -%}
  {{- failed[:5] | join(', ') -}}
  {%- if failed | length > 5 %} and {{ failed | length - 5 }} more{% endif -%}
  {%- if skipped_count %}{{ '; ' if failed }}{{ skipped_count }} skipped{% endif -%}
{%- endmacro %}
