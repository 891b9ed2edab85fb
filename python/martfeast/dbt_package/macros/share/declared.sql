{#
  What other projects are told of a mart, beside its evidence: who may use it, and what its YAML declares. The Python
  package of such a project reads it as if it were that project's own (`declaration/shared.py`): change both together.
#}


{# Note in martfeast_declared, of each mart, who may use it and, of a public one, its declaration. #}
{% macro note_declared() %}
  {% set sql %}
    create or replace temp table martfeast_declared (
        mart_id varchar,
        sharing json,
        declared json
    );

    create or replace temp table martfeast_declared_before as
    with entries as (
        select unnest(from_json(release -> '$.marts', '[{"unique_id": "VARCHAR", "declared": "JSON"}]')) as entry
        from martfeast_readable
    )

    select
        entry.unique_id as mart_id,
        entry.declared
    from entries
    where coalesce(json_type(entry.declared), 'NULL') = 'OBJECT'
  {% endset %}
  {% do run_query(sql) %}
  {% set tests = {} %}
  {% for test in graph.nodes.values() if test.resource_type == 'test' and test.attached_node and test.test_metadata %}
    {% do tests.setdefault(test.attached_node, []).append(test) %}
  {% endfor %}
  {% set lines = [] %}
  {% for mart in graph.nodes.values() if mart.resource_type == 'model' and martfeast.feast_meta(mart) is not none %}
    {% set declared = martfeast.declaration_of(mart, tests.get(mart.unique_id, [])) if mart.config.access == 'public' else none %}
    {% do lines.append(
      '(' ~ martfeast.literal(mart.unique_id) ~ ', ' ~ martfeast.literal(tojson(martfeast.sharing_of(mart))) ~ ', '
      ~ martfeast.literal(tojson(declared) if declared else none) ~ ')'
    ) %}
  {% endfor %}
  {% if lines %}
    {% do run_query('insert into martfeast_declared values ' ~ lines | join(', ')) %}
  {% endif %}
{% endmacro %}


{# Who may use a mart, who owns it, and which version of its model it is. #}
{% macro sharing_of(mart) %}
  {% set feast = martfeast.feast_meta(mart) %}
  {% set groups = graph.groups.values() | selectattr('name', 'equalto', mart.config.group) | list %}
  {{ return({
    'access': mart.config.access | string,
    'is_label': feast is mapping and 'label' in feast,
    'group': mart.config.group,
    'owner': martfeast.plain(groups[0].owner) if groups else none,
    'version': mart.version,
    'latest_version': mart.latest_version,
    'deprecation_date': mart.deprecation_date | string if mart.deprecation_date else none
  }) }}
{% endmacro %}


{# What the YAML says of a mart, as dbt's manifest has it, with its generic tests; no SQL, and nothing above it. #}
{% macro declaration_of(mart, tests) %}
  {% set columns = {} %}
  {% for name, column in mart.columns.items() %}
    {% do columns.update({name: {
      'name': column.name,
      'data_type': column.data_type,
      'description': column.description,
      'constraints': martfeast.plain(column.constraints),
      'meta': {'feast': martfeast.plain(martfeast.feast_meta(column))} if martfeast.feast_meta(column) is not none else {}
    }}) %}
  {% endfor %}
  {% set node = {'columns': columns} %}
  {% for key in ['unique_id', 'resource_type', 'name', 'alias', 'description', 'package_name', 'original_file_path', 'schema'] %}
    {% do node.update({key: mart[key] | string}) %}
  {% endfor %}
  {% set config = {'meta': {'feast': martfeast.plain(martfeast.feast_meta(mart))}} %}
  {% for key in ['materialized', 'incremental_strategy', 'event_time', 'file_format', 'batch_size', 'lookback', 'begin', 'contract'] %}
    {% do config.update({key: martfeast.plain(mart.config.get(key))}) %}
  {% endfor %}
  {% do node.update({'config': config, 'constraints': martfeast.plain(mart.constraints)}) %}
  {% set declared_tests = [] %}
  {% for test in tests | sort(attribute='unique_id') %}{% do declared_tests.append(martfeast.declared_test(test)) %}{% endfor %}
  {{ return({'node': node, 'tests': declared_tests}) }}
{% endmacro %}


{# A generic test as dbt's manifest has it, without its code. #}
{% macro declared_test(test) %}
  {% set config = {} %}
  {% set arguments = {} %}
  {% for key, value in test.test_metadata.kwargs.items() if key != 'model' %}
    {% do arguments.update({key: martfeast.plain(value)}) %}
  {% endfor %}
  {% for key in ['severity', 'where', 'limit', 'warn_if', 'error_if', 'fail_calc'] %}
    {% do config.update({key: martfeast.plain(test.config.get(key))}) %}
  {% endfor %}
  {{ return({
    'unique_id': test.unique_id,
    'name': test.name,
    'config': config,
    'test_metadata': {'name': test.test_metadata.name, 'kwargs': arguments},
    'macros': test.depends_on.macros | list
  }) }}
{% endmacro %}


{# A value of YAML as JSON has it: dates and others of its own as text. #}
{% macro plain(value) %}
  {% if value is none or value is undefined %}
    {{ return(none) }}
  {% elif value is string or value is boolean or value is number %}
    {{ return(value) }}
  {% elif value is mapping or value.items is defined %}
    {% set found = {} %}
    {% for key, item in value.items() %}{% do found.update({key | string: martfeast.plain(item)}) %}{% endfor %}
    {{ return(found) }}
  {% elif value is sequence %}
    {% set found = [] %}
    {% for item in value %}{% do found.append(martfeast.plain(item)) %}{% endfor %}
    {{ return(found) }}
  {% endif %}
  {{ return(value | string) }}
{% endmacro %}
