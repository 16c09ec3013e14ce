-- The same rows by the same rules as before (m0002, m0009, m0010), in one statement and not in two: the update that moves the
-- account is its lock, and what it returns is what the entry says. A cause that is posted already is found by its unique key refusing
-- the entry, and what the statement did is undone with it (docs/adr/0044).
drop function points_post_one;

-- Returns the entry's position and the account's balance and pending points after it, or null when the cause is posted already.
create function points_post_one(
    p_merchant uuid, p_at timestamptz, p_actor text,
    p_customer uuid, p_type text, p_points bigint, p_pending bigint, p_source text, p_external text, p_purpose text,
    p_version integer, p_reason text, p_trace text, p_digest bytea, p_floor bigint,
    p_lot bigint, p_reverses bigint, p_expires timestamptz, p_shares text
) returns bigint[]
    language plpgsql volatile
    set plan_cache_mode = force_generic_plan
as $$
declare
    posted bigint[];
    shut text;
    is_known boolean;
    opens constant boolean := p_points > 0 and p_lot is null;
    active constant boolean := points_is_activity(p_type, p_points, p_pending);
begin
    with moved as (
        update points_accounts a
        set balance = a.balance + p_points, pending = a.pending + p_pending, version = a.version + 1,
            -- As points_chain_step does it, of the account as it is under the lock.
            last_hash = sha256(
                a.last_hash || int8send(a.version + 1) || int8send(a.balance + p_points) || int8send(a.pending + p_pending) || p_digest
            ),
            active_at = case when active then p_at else a.active_at end
        where a.merchant_id = p_merchant and a.customer_id = p_customer
        returning a.version, a.balance, a.pending, a.last_hash, a.closed
    ), written as (
        insert into points_transactions (
            merchant_id, customer_id, position, type, points, pending, balance_after, pending_after, source, external_id, purpose,
            program_version, reason, actor, trace, occurred_at, digest, hash, lot, reverses, expires_at, shares
        )
        select p_merchant, p_customer, m.version, p_type, p_points, p_pending, m.balance, m.pending, p_source, p_external, p_purpose,
            p_version, p_reason, p_actor, p_trace, p_at, p_digest, m.last_hash, p_lot, p_reverses, p_expires, p_shares
        from moved m
    ), opened as (
        -- As points_move_lots does it; most entries are this one.
        insert into points_lots (merchant_id, customer_id, lot, points, remaining, expires_at)
        select p_merchant, p_customer, m.version, p_points, greatest(0, least(p_points, m.balance)), p_expires
        from moved m where opens
    ), announced as (
        insert into outbox (merchant_id, event, payload, created_at)
        select p_merchant, 'points.changed', jsonb_build_object('customer_id', p_customer, 'version', m.version), p_at from moved m
    )
    select array[m.version, m.balance, m.pending], m.closed into posted, shut from moved m;
    if posted is null then
        raise exception 'an account is missing' using errcode = 'LN002';
    end if;
    perform points_above_floor(posted[2], p_floor);
    if points_is_refused(shut, p_type, p_points, p_pending, p_reverses) then
        raise exception 'the account is closed' using errcode = 'LN004', detail = shut;
    end if;
    if p_points <> 0 and not opens then
        perform points_move_lots(p_merchant, p_customer, posted[1], p_type, p_points, p_lot, p_expires, posted[2]);
    end if;
    return posted;
exception when unique_violation or numeric_value_out_of_range or check_violation then
    -- Executed, so that it is planned for the ledger as it is now.
    execute '
        select exists (
            select from points_transactions t
            where t.merchant_id = $1 and t.source = $2 and t.external_id = $3 and t.purpose = $4
        )'
    into is_known using p_merchant, p_source, p_external, p_purpose;
    if not is_known then
        raise;
    end if;
    return null;
end $$;

grant execute on function points_post_one to loyalnest_app;

-- A step of the chain runs for every entry of a batch, and a function in SQL begins and ends an executor each time.
create or replace function points_chain_step(state bytea, seed bytea, item bytea) returns bytea
    language plpgsql immutable parallel safe
as $$
begin
    return sha256(coalesce(state, seed) || item);
end $$;

-- The function for many entries learns how the one for a single entry answers now.
do $$
declare
    written text := pg_get_functiondef('points_post'::regproc);
    changed text;
    step text[];
    steps constant text[][] := array[
        ['select i::bigint, one.* from points_post_one(', 'select i::bigint, one[1], one[2], one[3] from points_post_one('],
        [') as one;', ') as one where one is not null;']
    ];
begin
    foreach step slice 1 in array steps loop
        changed := replace(written, step[1], step[2]);
        assert length(changed) = length(written) + length(step[2]) - length(step[1]), step[1];
        written := changed;
    end loop;
    execute written;
end $$;
