{#
  The tables that hold the evidence: what dbt ran, what came of it, and what was published; columns with their types
  in words that every engine has a type for. A column is only ever added, at the end of a table.

  Rows are only ever added, except to `nodes`, which says what the project holds now, and that the open end of a range
  is filled in when its run ends. Order is by
  `invocation_number`, which counts up by one, and never by the clock: clocks go back.
#}
{% macro evidence_structure() %}
  {{ return({
    'invocations': {
      'invocation_number': 'integer',
      'invocation_id': 'text',
      'command': 'text',
      'is_partial': 'boolean',
      'is_full_refresh': 'boolean',
      'target_name': 'text',
      'dbt_version': 'text',
      'selected_nodes': 'texts',
      'started_at': 'timestamp',
      'schema_name': 'text',
      'selected_relations': 'texts',
      'variables': 'text'
    },
    'completions': {
      'invocation_id': 'text',
      'completed_at': 'timestamp'
    },
    'results': {
      'invocation_id': 'text',
      'node_id': 'text',
      'resource_type': 'text',
      'status': 'text',
      'failure_count': 'integer',
      'row_count': 'integer',
      'message': 'text',
      'code_checksum': 'text',
      'materialized': 'text',
      'tested_node_id': 'text',
      'loaded_at': 'timestamp',
      'started_at': 'timestamp',
      'completed_at': 'timestamp',
      'execution_seconds': 'double',
      'is_window': 'boolean',
      'relations': 'texts',
      'compiled_checksum': 'text',
      'tested_from': 'timestamp'
    },
    'source_loads': {
      'invocation_id': 'text',
      'node_id': 'text',
      'loaded_at': 'timestamp'
    },
    'verdicts': {
      'invocation_id': 'text',
      'node_id': 'text',
      'is_publishable': 'boolean',
      'reasons': 'texts',
      'warnings': 'texts',
      'version': 'text'
    },
    'publications': {
      'node_id': 'text',
      'mart': 'text',
      'version': 'text',
      'release_number': 'integer',
      'invocation_id': 'text',
      'code_checksum': 'text',
      'row_count': 'integer',
      'content_hash': 'text',
      'first_known_at': 'timestamp',
      'last_known_at': 'timestamp',
      'published_at': 'timestamp'
    },
    'nodes': {
      'node_id': 'text',
      'resource_type': 'text',
      'name': 'text',
      'materialized': 'text',
      'code_checksum': 'text',
      'severity': 'text',
      'parents': 'texts',
      'tested_nodes': 'texts',
      'owner': 'text',
      'is_mart': 'boolean',
      'waivers': 'texts',
      'relations': 'texts',
      'batch_size': 'text',
      'start_at': 'timestamp'
    },
    'ranges': {
      'invocation_id': 'text',
      'node_id': 'text',
      'relation': 'text',
      'range_start': 'timestamp',
      'range_end': 'timestamp',
      'horizon': 'timestamp',
      'look_back_seconds': 'integer'
    },
    'fact_batches': {
      'invocation_id': 'text',
      'node_id': 'text',
      'relation': 'text',
      'batch_size': 'text',
      'batch_start': 'timestamp',
      'row_count': 'integer',
      'content_hash': 'text',
      'basis': 'text'
    }
  }) }}
{% endmacro %}


{#
  The schema of the evidence, in the target's database: variable `evidence_schema` of this package. A project's own nodes
  do not see that variable, and find the schema where the package's sources have it.
#}
{% macro evidence_schema() %}
  {% set source = graph.sources.get('source.martfeast.martfeast.results') if execute else none %}
  {{ return(adapter.quote(source.schema if source else var('evidence_schema', 'martfeast'))) }}
{% endmacro %}


{# A moment as text that every engine reads as the same one; none stays none. #}
{% macro moment(value) %}
  {{ return(value.strftime('%Y-%m-%d %H:%M:%S.%f') if value.strftime is defined else value) }}
{% endmacro %}


{# Insert rows, each a list of values in the table's order, as one text of JSON: engines take far longer to read as many literals. #}
{% macro insert_evidence(table, rows) %}
  {% if rows %}
    {% set columns = martfeast.evidence_structure()[table] %}
    {% set entries = [] %}
    {% for row in rows %}{% do entries.append(dict(zip(columns, row))) %}{% endfor %}
    {% do run_query(martfeast.insert_json(table, columns, tojson(entries))) %}
  {% endif %}
{% endmacro %}
