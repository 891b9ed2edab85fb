-- Every function over two days, with a condition and without: of several facts in a step, of nulls, of one value, and of
-- none. Without a spine there are rows from the first fact to the last one of all.
with facts (entity, known_at, amount, kind, is_paid, part_count) as (

    values
    ('a', timestamp '2013-07-01 08:00:00', 2, 'x', true, 1),
    ('a', timestamp '2013-07-01 08:00:00', 4, 'y', true, 3),
    ('a', timestamp '2013-07-01 09:00:00', cast(null as integer), cast(null as string), false, 2),
    ('a', timestamp '2013-07-02 20:00:00', 9, 'x', cast(null as boolean), 2),
    ('b', timestamp '2013-07-02 00:00:00', cast(null as integer), cast(null as string), cast(null as boolean), 0),
    ('b', timestamp '2013-07-04 12:00:00', 7, 'z', false, 7)

),

found as (

    {{ martfeast.windowed_features(
        facts='facts', entity=['entity'], known_at='known_at', step='day', windows=['2 days'],
        aggregations=[
            {'name': 'facts', 'function': 'count'},
            {'name': 'amounts', 'function': 'count', 'of': 'amount'},
            {'name': 'paid', 'function': 'count', 'where': 'is_paid'},
            {'name': 'amount_sum', 'function': 'sum', 'of': 'amount', 'type': 'bigint'},
            {'name': 'paid_sum', 'function': 'sum', 'of': 'amount', 'where': 'is_paid', 'type': 'bigint', 'empty': none},
            {'name': 'amount_mean', 'function': 'mean', 'of': 'amount'},
            {'name': 'amount_of_a_part', 'function': 'mean', 'of': 'amount', 'per': 'part_count'},
            {'name': 'paid_share', 'function': 'share', 'of': 'is_paid'},
            {'name': 'x_part_share', 'function': 'share', 'of': "case when kind = 'x' then part_count else 0 end",
             'per': 'part_count'},
            {'name': 'least', 'function': 'min', 'of': 'amount'},
            {'name': 'most', 'function': 'max', 'of': 'amount'},
            {'name': 'deviation', 'function': 'stddev', 'of': 'amount * 2'},
            {'name': 'last_kind', 'function': 'last', 'of': 'kind'},
            {'name': 'last_paid_kind', 'function': 'last', 'of': 'kind', 'where': 'is_paid', 'empty': "'none'"},
            {'name': 'kinds', 'function': 'distinct', 'of': 'kind'},
            {'name': 'paid_kinds', 'function': 'distinct', 'of': 'kind', 'where': 'is_paid'},
        ]
    ) }}

),

rounded as (

    select
        entity,
        known_at,
        facts_2d,
        amounts_2d,
        paid_2d,
        amount_sum_2d,
        paid_sum_2d,
        amount_mean_2d,
        amount_of_a_part_2d,
        round(paid_share_2d, 9) as paid_share_2d,
        round(x_part_share_2d, 9) as x_part_share_2d,
        least_2d,
        most_2d,
        round(deviation_2d, 9) as deviation_2d,
        last_kind_2d,
        last_paid_kind_2d,
        kinds_2d,
        paid_kinds_2d
    from found

),

given (
    entity, known_at, facts_2d, amounts_2d, paid_2d, amount_sum_2d, paid_sum_2d, amount_mean_2d, amount_of_a_part_2d,
    paid_share_2d, x_part_share_2d, least_2d, most_2d, deviation_2d, last_kind_2d, last_paid_kind_2d, kinds_2d,
    paid_kinds_2d
) as (

    values
    ('a', '2013-07-02', 3, 2, 2, 6, 6, 3, 1, 0.666666667, 0.166666667, 2, 4, 2.828427125, 'y', 'y', 2, 2),
    ('a', '2013-07-03', 4, 3, 2, 15, 6, 5, 1.875, 0.666666667, 0.375, 2, 9, 7.211102551, 'x', 'y', 2, 2),
    ('a', '2013-07-04', 1, 1, 0, 9, null, 9, 4.5, null, 1, 9, 9, null, 'x', 'none', 1, 0),
    ('a', '2013-07-05', 0, 0, 0, 0, null, null, null, null, null, null, null, null, null, 'none', 0, 0),
    ('b', '2013-07-02', 1, 0, 0, 0, null, null, null, null, null, null, null, null, null, 'none', 0, 0),
    ('b', '2013-07-03', 1, 0, 0, 0, null, null, null, null, null, null, null, null, null, 'none', 0, 0),
    ('b', '2013-07-04', 0, 0, 0, 0, null, null, null, null, null, null, null, null, null, 'none', 0, 0),
    ('b', '2013-07-05', 1, 1, 0, 7, null, 7, 1, 0, 0, 7, 7, null, 'z', 'none', 1, 0)

),

expected as (

    select
        cast(entity as string) as entity,
        cast(known_at as timestamp) as known_at,
        cast(facts_2d as bigint) as facts_2d,
        cast(amounts_2d as bigint) as amounts_2d,
        cast(paid_2d as bigint) as paid_2d,
        cast(amount_sum_2d as bigint) as amount_sum_2d,
        cast(paid_sum_2d as bigint) as paid_sum_2d,
        cast(amount_mean_2d as double) as amount_mean_2d,
        cast(amount_of_a_part_2d as double) as amount_of_a_part_2d,
        cast(paid_share_2d as double) as paid_share_2d,
        cast(x_part_share_2d as double) as x_part_share_2d,
        cast(least_2d as integer) as least_2d,
        cast(most_2d as integer) as most_2d,
        cast(deviation_2d as double) as deviation_2d,
        cast(last_kind_2d as string) as last_kind_2d,
        cast(last_paid_kind_2d as string) as last_paid_kind_2d,
        cast(kinds_2d as bigint) as kinds_2d,
        cast(paid_kinds_2d as bigint) as paid_kinds_2d
    from given

),

missing as (

    select * from expected
    except all
    select * from rounded

),

extra as (

    select * from rounded
    except all
    select * from expected

)

select
    'missing' as problem,
    entity,
    known_at,
    facts_2d,
    amounts_2d,
    paid_2d,
    amount_sum_2d,
    paid_sum_2d,
    amount_mean_2d,
    amount_of_a_part_2d,
    paid_share_2d,
    x_part_share_2d,
    least_2d,
    most_2d,
    deviation_2d,
    last_kind_2d,
    last_paid_kind_2d,
    kinds_2d,
    paid_kinds_2d
from missing

union all

select
    'extra' as problem,
    entity,
    known_at,
    facts_2d,
    amounts_2d,
    paid_2d,
    amount_sum_2d,
    paid_sum_2d,
    amount_mean_2d,
    amount_of_a_part_2d,
    paid_share_2d,
    x_part_share_2d,
    least_2d,
    most_2d,
    deviation_2d,
    last_kind_2d,
    last_paid_kind_2d,
    kinds_2d,
    paid_kinds_2d
from extra
