-- A foreign key to a partitioned table is checked by a query that is planned over all its partitions, row by row: 50 µs, more than
-- the row itself costs. The tables of a merchant are divided alike, so what a row of one partition points to is in the partition
-- of the same number, and the key is declared there: the same promise for a fifth of the price.
do $$
declare
    declared record;
begin
    for declared in
        select * from (
            values
                ('points_accounts', 'customers', 'merchant_id, customer_id', 'merchant_id, id'),
                ('points_transactions', 'points_accounts', 'merchant_id, customer_id', 'merchant_id, customer_id'),
                ('points_lot_moves', 'points_transactions', 'merchant_id, customer_id, position', 'merchant_id, customer_id, position'),
                ('orders', 'customers', 'merchant_id, customer_id', 'merchant_id, id')
        ) as keys (child, parent, columns, target)
    loop
        execute format(
            'alter table %I drop constraint %I', declared.child, declared.child || '_' || replace(declared.columns, ', ', '_') || '_fkey'
        );
        for i in 0..7 loop
            -- The walls come down for the owner alone while a key is made: behind them its check sees no row, and passes.
            execute format('alter table %I no force row level security', declared.child || '_' || i);
            execute format('alter table %I no force row level security', declared.parent || '_' || i);
            execute format(
                'alter table %I add constraint %I foreign key (%s) references %I (%s)',
                declared.child || '_' || i, declared.child || '_' || i || '_' || declared.parent, declared.columns,
                declared.parent || '_' || i, declared.target
            );
            execute format('alter table %I force row level security', declared.child || '_' || i);
            execute format('alter table %I force row level security', declared.parent || '_' || i);
        end loop;
    end loop;
end $$;

-- An event is written with the account that it tells of and lives for a moment. Its check took a share of the merchant's one row
-- in every award.
alter table outbox drop constraint outbox_merchant_id_fkey;

-- The same rows by the same rules as before, in two statements and not in five: each one that is begun and ended costs about as
-- much as the row that it writes. All that follows from an entry is fed by the entry that was written, so a cause that is posted
-- already, which writes none, changes nothing.
create or replace function points_post_one(
    p_merchant uuid, p_at timestamptz, p_actor text,
    p_customer uuid, p_type text, p_points bigint, p_pending bigint, p_source text, p_external text, p_purpose text,
    p_version integer, p_reason text, p_trace text, p_digest bytea, p_floor bigint,
    p_lot bigint, p_reverses bigint, p_expires timestamptz, p_shares text
) returns table (position_ bigint, balance_ bigint, pending_ bigint)
    language plpgsql volatile
    set plan_cache_mode = force_generic_plan
as $$
declare
    previous bytea;
    link bytea;
    opens constant boolean := p_points > 0 and p_lot is null;
    active constant boolean := points_is_activity(p_type, p_points, p_pending);
begin
    select a.version + 1, a.balance + p_points, a.pending + p_pending, a.last_hash
    into position_, balance_, pending_, previous
    from points_accounts a where a.merchant_id = p_merchant and a.customer_id = p_customer for update;
    if not found then
        raise exception 'an account is missing' using errcode = 'LN002';
    end if;
    link := points_chain_step(null, previous, int8send(position_) || int8send(balance_) || int8send(pending_) || p_digest);
    -- A statement of its own, so that its snapshot is taken after the lock: it sees all that earlier holders wrote.
    with written as (
        insert into points_transactions (
            merchant_id, customer_id, position, type, points, pending, balance_after, pending_after, source, external_id, purpose,
            program_version, reason, actor, trace, occurred_at, digest, hash, lot, reverses, expires_at, shares
        )
        values (
            p_merchant, p_customer, position_, p_type, p_points, p_pending, balance_, pending_, p_source, p_external, p_purpose,
            p_version, p_reason, p_actor, p_trace, p_at, p_digest, link, p_lot, p_reverses, p_expires, p_shares
        )
        on conflict (merchant_id, source, external_id, purpose) do nothing
        returning points_transactions.balance_after
    ), opened as (
        -- As points_move_lots does it; most entries are this one.
        insert into points_lots (merchant_id, customer_id, lot, points, remaining, expires_at)
        select p_merchant, p_customer, position_, p_points, greatest(0, least(p_points, balance_)), p_expires from written where opens
    ), moved as (
        update points_accounts a
        set balance = balance_, pending = pending_, version = position_, last_hash = link,
            active_at = case when active then p_at else a.active_at end
        from written w
        where a.merchant_id = p_merchant and a.customer_id = p_customer and points_above_floor(w.balance_after, p_floor)
    )
    insert into outbox (merchant_id, event, payload, created_at)
    select p_merchant, 'points.changed', jsonb_build_object('customer_id', p_customer, 'version', position_), p_at from written;
    if not found then
        return;
    end if;
    if p_points <> 0 and not opens then
        perform points_move_lots(p_merchant, p_customer, position_, p_type, p_points, p_lot, p_expires, balance_);
    end if;
    return next;
end $$;
