-- Spendable points lie in lots. A lot is opened by the entry whose position it bears, and what is left of it is a function of the
-- account's entries: what is spent comes out of the lot with the earliest expiry, the oldest first among equals.

alter table points_transactions
    drop constraint points_transactions_type_check,
    add constraint points_transactions_type_check
        check (type in ('earn', 'redeem', 'expire', 'adjust', 'import', 'referral', 'campaign', 'merge')),
    -- The lot it takes from first, or gives back to; null for one that opens its own, or takes from any.
    add column lot bigint,
    -- The entry of the same account that it reverses, wholly or in part.
    add column reverses bigint,
    -- When the lot that it opens expires.
    add column expires_at timestamptz,
    -- What a reversal takes of each line of an order: a JSON list of [line id, points].
    add column shares text;
create index points_transactions_reversals on points_transactions (merchant_id, customer_id, reverses) where reverses is not null;

-- The last time the customer earned or spent: where inactivity is counted from.
alter table points_accounts add column active_at timestamptz;

create table points_lots (
    merchant_id uuid not null,
    customer_id uuid not null,
    lot bigint not null,
    points bigint not null check (points > 0),
    remaining bigint not null check (remaining between 0 and points),
    expired bigint not null default 0 check (expired between 0 and points),
    expires_at timestamptz,
    primary key (merchant_id, customer_id, lot)
) partition by hash (merchant_id);
create index points_lots_open on points_lots (merchant_id, customer_id, expires_at, lot) where remaining > 0;
create index points_lots_expiring on points_lots (merchant_id, expires_at) where remaining > 0 and expires_at is not null;

-- What each entry took from which lot (below zero) or gave back to it. Opening a lot needs no row here.
create table points_lot_moves (
    merchant_id uuid not null,
    customer_id uuid not null,
    position bigint not null,
    lot bigint not null,
    points bigint not null check (points <> 0),
    primary key (merchant_id, customer_id, position, lot),
    foreign key (merchant_id, customer_id, position) references points_transactions (merchant_id, customer_id, position)
) partition by hash (merchant_id);

alter table orders
    -- The lots that the order opened in the account of its customer, and its newest entry of pending points.
    add column lots bigint[] not null default '{}',
    add column pending_entry bigint,
    -- Points that a refund did not take because they had expired; because the program forgives them; and because pending points
    -- of another order were taken instead, whose own figure is below zero by as much.
    -- Always: posted points and pending = deserved + absorbed + forgiven + seized.
    add column absorbed bigint not null default 0 check (absorbed >= 0),
    add column forgiven bigint not null default 0 check (forgiven >= 0),
    add column seized bigint not null default 0,
    -- What was told of the order by deliveries that are not the order itself, as JSON.
    add column facts text;

do $$
declare
    parent text;
begin
    foreach parent in array array['points_lots', 'points_lot_moves'] loop
        for i in 0..7 loop
            execute format(
                'create table %I partition of %I for values with (modulus 8, remainder %s)%s',
                parent || '_' || i, parent, i, case parent when 'points_lots' then ' with (fillfactor = 80)' else '' end
            );
            execute format('alter table %I enable row level security', parent || '_' || i);
            execute format('alter table %I force row level security', parent || '_' || i);
        end loop;
    end loop;
    foreach parent in array array['points_lots', 'points_lot_moves'] loop
        execute format('alter table %I enable row level security', parent);
        execute format('alter table %I force row level security', parent);
        execute format(
            'create policy tenant on %I to loyalnest_app
             using (merchant_id = nullif(current_setting(''app.merchant'', true), '''')::uuid)
             with check (merchant_id = nullif(current_setting(''app.merchant'', true), '''')::uuid)',
            parent
        );
    end loop;
end $$;

grant select, insert, update on points_lots to loyalnest_app;
grant select, insert on points_lot_moves to loyalnest_app;
create policy dispatch on points_lots for select to loyalnest_dispatcher using (true);
grant select (merchant_id, remaining, expires_at) on points_lots to loyalnest_dispatcher;

-- Takes points out of one lot, as many as are wanted and there; returns how many.
create function points_take(
    p_merchant uuid, p_customer uuid, p_position bigint, p_type text, p_lot bigint, p_wanted bigint
) returns bigint
    language plpgsql volatile
    set plan_cache_mode = force_generic_plan
as $$
declare
    taken bigint;
begin
    select least(p_wanted, l.remaining) into taken from points_lots l
    where l.merchant_id = p_merchant and l.customer_id = p_customer and l.lot = p_lot;
    if coalesce(taken, 0) = 0 then
        return 0;
    end if;
    update points_lots l
    set remaining = l.remaining - taken, expired = l.expired + case p_type when 'expire' then taken else 0 end
    where l.merchant_id = p_merchant and l.customer_id = p_customer and l.lot = p_lot;
    insert into points_lot_moves (merchant_id, customer_id, position, lot, points)
    values (p_merchant, p_customer, p_position, p_lot, -taken);
    return taken;
end $$;

-- What an entry does to the lots. The sum of what remains in an account's lots is its balance, or nothing while that is below
-- zero: new points pay a debt first, and only what is left of them can be spent. Precondition: the account is locked.
create function points_move_lots(
    p_merchant uuid, p_customer uuid, p_position bigint, p_type text, p_points bigint, p_lot bigint, p_expires timestamptz,
    p_balance_after bigint
) returns void
    language plpgsql volatile
    set plan_cache_mode = force_generic_plan
as $$
declare
    spendable constant bigint := greatest(0, least(p_points, p_balance_after));
    wanted bigint := -p_points;
    open_lot bigint;
begin
    if p_points > 0 and (p_lot is null or p_expires is not null) then
        insert into points_lots (merchant_id, customer_id, lot, points, remaining, expires_at)
        values (p_merchant, p_customer, p_position, p_points, spendable, p_expires);
    elsif p_points > 0 and spendable > 0 then
        update points_lots l set remaining = l.remaining + spendable
        where l.merchant_id = p_merchant and l.customer_id = p_customer and l.lot = p_lot;
        if not found then
            raise exception 'there is no lot to give back to' using errcode = 'LN003';
        end if;
        insert into points_lot_moves (merchant_id, customer_id, position, lot, points)
        values (p_merchant, p_customer, p_position, p_lot, spendable);
    end if;
    if wanted <= 0 then
        return;
    end if;
    if p_lot is not null then
        wanted := wanted - points_take(p_merchant, p_customer, p_position, p_type, p_lot, wanted);
    end if;
    while wanted > 0 loop
        select l.lot into open_lot from points_lots l
        where l.merchant_id = p_merchant and l.customer_id = p_customer and l.remaining > 0
        order by l.expires_at, l.lot limit 1;
        exit when not found;
        wanted := wanted - points_take(p_merchant, p_customer, p_position, p_type, open_lot, wanted);
    end loop;
end $$;

-- The lots of the entries that were booked before there were lots, by the rule that later ones follow. The walls come down for the
-- owner alone, and stand again before this transaction ends.
alter table points_transactions no force row level security;
alter table points_accounts no force row level security;
alter table points_lots no force row level security;
alter table points_lot_moves no force row level security;

do $$
declare
    entry record;
begin
    for entry in
        select merchant_id, customer_id, position, type, points, balance_after from points_transactions
        where points <> 0 order by merchant_id, customer_id, position
    loop
        perform points_move_lots(
            entry.merchant_id, entry.customer_id, entry.position, entry.type, entry.points, null, null, entry.balance_after
        );
    end loop;
end $$;

update points_accounts a set active_at = (
    select max(t.occurred_at) from points_transactions t
    where t.merchant_id = a.merchant_id and t.customer_id = a.customer_id and t.type = 'earn' and t.points + t.pending > 0
);
alter table points_transactions force row level security;
alter table points_accounts force row level security;
alter table points_lots force row level security;
alter table points_lot_moves force row level security;

drop function points_post_one;
drop function points_post;

create function points_is_activity(type text, points bigint, pending bigint) returns boolean
    language sql immutable parallel safe
    return case type when 'redeem' then points < 0 when 'adjust' then false when 'expire' then false when 'merge' then false
        else points + pending > 0 end;

-- Two functions write the ledger, in the same way and to the same rows: one for a single entry, which most are, and one for many.
-- A single entry needs no arrays, no windows and no joins. Returns nothing when the cause is posted already.
create function points_post_one(
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
begin
    select a.version + 1, a.balance + p_points, a.pending + p_pending, a.last_hash
    into position_, balance_, pending_, previous
    from points_accounts a where a.merchant_id = p_merchant and a.customer_id = p_customer for update;
    if not found then
        raise exception 'an account is missing' using errcode = 'LN002';
    end if;
    link := points_chain_step(null, previous, int8send(position_) || int8send(balance_) || int8send(pending_) || p_digest);
    insert into points_transactions (
        merchant_id, customer_id, position, type, points, pending, balance_after, pending_after, source, external_id, purpose,
        program_version, reason, actor, trace, occurred_at, digest, hash, lot, reverses, expires_at, shares
    )
    values (
        p_merchant, p_customer, position_, p_type, p_points, p_pending, balance_, pending_, p_source, p_external, p_purpose,
        p_version, p_reason, p_actor, p_trace, p_at, p_digest, link, p_lot, p_reverses, p_expires, p_shares
    )
    on conflict (merchant_id, source, external_id, purpose) do nothing;
    if not found then
        return;
    end if;
    perform points_above_floor(balance_, p_floor);
    if p_points > 0 and p_lot is null then
        -- As points_move_lots does it; most entries are this one.
        insert into points_lots (merchant_id, customer_id, lot, points, remaining, expires_at)
        values (p_merchant, p_customer, position_, p_points, greatest(0, least(p_points, balance_)), p_expires);
    elsif p_points <> 0 then
        perform points_move_lots(p_merchant, p_customer, position_, p_type, p_points, p_lot, p_expires, balance_);
    end if;
    update points_accounts a
    set balance = balance_, pending = pending_, version = position_, last_hash = link,
        active_at = case when points_is_activity(p_type, p_points, p_pending) then p_at else a.active_at end
    where a.merchant_id = p_merchant and a.customer_id = p_customer;
    insert into outbox (merchant_id, event, payload, created_at)
    values (p_merchant, 'points.changed', jsonb_build_object('customer_id', p_customer, 'version', position_), p_at);
    return next;
end $$;

-- Many entries at once: accounts locked in the order of their ids, entries whose cause is posted already
-- passed over, balances and chain computed, ledger, lots, accounts and outbox written. Returns the entries written, by their ordinal.
-- Where an entry takes points or gives some back to a lot, what it does depends on those before it: such a list goes one by one.
create function points_post(
    p_merchant uuid, p_at timestamptz, p_actor text,
    p_customer uuid[], p_type text[], p_points bigint[], p_pending bigint[],
    p_source text[], p_external text[], p_purpose text[],
    p_version integer[], p_reason text[], p_trace text[], p_digest bytea[], p_floor bigint[],
    p_lot bigint[], p_reverses bigint[], p_expires timestamptz[], p_shares text[]
) returns table (ordinal bigint, position_ bigint, balance bigint, pending_ bigint)
    language plpgsql volatile
    set plan_cache_mode = force_generic_plan
    -- The plan is made once a session, perhaps while the tables are all but empty, and must hold when they have grown. So every
    -- table is reached by the keys given, in a condition of its own and not in a join, and joins are between what that brings.
    set enable_seqscan = off
    set enable_nestloop = off
    set enable_mergejoin = off
as $$
declare
    locked bigint;
    unknown bigint[];
    ordinals bigint[];
    positions bigint[];
    balances bigint[];
    pendings bigint[];
begin
    with held as (
        select 1 from points_accounts a
        where a.merchant_id = p_merchant and a.customer_id = any (p_customer)
        order by a.customer_id for update
    )
    select count(*) into locked from held;
    if locked <> (select count(distinct c) from unnest(p_customer) c) then
        raise exception 'an account is missing' using errcode = 'LN002';
    end if;
    if exists (select from unnest(p_points, p_lot) as e (points, lot) where e.points < 0 or e.lot is not null) then
        for i in 1..cardinality(p_customer) loop
            return query
            select i::bigint, one.* from points_post_one(
                p_merchant, p_at, p_actor, p_customer[i], p_type[i], p_points[i], p_pending[i], p_source[i], p_external[i],
                p_purpose[i], p_version[i], p_reason[i], p_trace[i], p_digest[i], p_floor[i], p_lot[i], p_reverses[i],
                p_expires[i], p_shares[i]
            ) as one;
        end loop;
        return;
    end if;
    -- A statement of its own, so that its snapshot is taken after the locks: it sees all that earlier holders wrote.
    begin
        with entry as (
            select e.*
            from unnest(
                p_customer, p_type, p_points, p_pending, p_source, p_external, p_purpose, p_version, p_reason, p_trace, p_digest,
                p_floor, p_reverses, p_expires, p_shares
            ) with ordinality
                as e (
                    customer_id, type, points, pending, source, external_id, purpose, program_version, reason, trace, digest, floor,
                    reverses, expires_at, shares, ord
                )
        ), held as materialized (
            select a.* from points_accounts a where a.merchant_id = p_merchant and a.customer_id = any (p_customer)
        ), placed as (
            select f.*, h.last_hash,
                h.version + row_number() over w as pos,
                (h.balance + sum(f.points) over w)::bigint as balance_after,
                (h.pending + sum(f.pending) over w)::bigint as pending_after
            from entry f join held h on h.customer_id = f.customer_id
            window w as (partition by f.customer_id order by f.ord)
        ), chained as (
            select p.*,
                points_chain(
                    p.last_hash, int8send(p.pos) || int8send(p.balance_after) || int8send(p.pending_after) || p.digest
                ) over (partition by p.customer_id order by p.ord) as hash,
                lead(p.ord) over (partition by p.customer_id order by p.ord) is null as newest,
                points_above_floor(p.balance_after, p.floor) as allowed,
                bool_or(points_is_activity(p.type, p.points, p.pending)) over (partition by p.customer_id) as active
            from placed p
        ), written as (
            insert into points_transactions (
                merchant_id, customer_id, position, type, points, pending, balance_after, pending_after, source, external_id, purpose,
                program_version, reason, actor, trace, occurred_at, digest, hash, reverses, expires_at, shares
            )
            select p_merchant, c.customer_id, c.pos, c.type, c.points, c.pending, c.balance_after, c.pending_after, c.source,
                c.external_id, c.purpose, c.program_version, c.reason, p_actor, c.trace, p_at, c.digest, c.hash, c.reverses,
                c.expires_at, c.shares
            from chained c where c.allowed
        ), opened as (
            insert into points_lots (merchant_id, customer_id, lot, points, remaining, expires_at)
            select p_merchant, c.customer_id, c.pos, c.points, greatest(0, least(c.points, c.balance_after)), c.expires_at
            from chained c where c.points > 0
        ), moved as (
            update points_accounts a
            set balance = c.balance_after, pending = c.pending_after, version = c.pos, last_hash = c.hash,
                active_at = case when c.active then p_at else a.active_at end
            from chained c
            where c.newest and a.merchant_id = p_merchant and a.customer_id = any (p_customer) and a.customer_id = c.customer_id
        ), announced as (
            insert into outbox (merchant_id, event, payload, created_at)
            select p_merchant, 'points.changed', jsonb_build_object('customer_id', c.customer_id, 'version', c.pos), p_at
            from chained c where c.newest
        )
        select array_agg(c.ord order by c.ord), array_agg(c.pos order by c.ord),
            array_agg(c.balance_after order by c.ord), array_agg(c.pending_after order by c.ord)
        into ordinals, positions, balances, pendings from chained c;
        return query select * from unnest(ordinals, positions, balances, pendings);
    exception when unique_violation or sqlstate 'LN001' or numeric_value_out_of_range or check_violation then
        -- Perhaps because some cause is posted already, which is rare: look which, and post the others. Executed, so that it is
        -- planned for the ledger as it is now.
        execute '
            select coalesce(array_agg(e.ord order by e.ord), array[]::bigint[])
            from unnest($2, $3, $4) with ordinality as e (source, external_id, purpose, ord)
            where not exists (
                select 1 from points_transactions t
                where t.merchant_id = $1 and t.source = e.source and t.external_id = e.external_id and t.purpose = e.purpose
            )'
        into unknown using p_merchant, p_source, p_external, p_purpose;
        if cardinality(unknown) = cardinality(p_customer) then
            raise;
        end if;
        return query
        select unknown[posted.ordinal], posted.position_, posted.balance, posted.pending_
        from (
            select array_agg(p_customer[i] order by n) as customer, array_agg(p_type[i] order by n) as type,
                array_agg(p_points[i] order by n) as points, array_agg(p_pending[i] order by n) as pending,
                array_agg(p_source[i] order by n) as source, array_agg(p_external[i] order by n) as external,
                array_agg(p_purpose[i] order by n) as purpose, array_agg(p_version[i] order by n) as version,
                array_agg(p_reason[i] order by n) as reason, array_agg(p_trace[i] order by n) as trace,
                array_agg(p_digest[i] order by n) as digest, array_agg(p_floor[i] order by n) as floor,
                array_agg(p_lot[i] order by n) as lot, array_agg(p_reverses[i] order by n) as reverses,
                array_agg(p_expires[i] order by n) as expires, array_agg(p_shares[i] order by n) as shares
            from unnest(unknown) with ordinality as u (i, n)
        ) as rest
        cross join lateral points_post(
            p_merchant, p_at, p_actor, rest.customer, rest.type, rest.points, rest.pending, rest.source, rest.external, rest.purpose,
            rest.version, rest.reason, rest.trace, rest.digest, rest.floor, rest.lot, rest.reverses, rest.expires, rest.shares
        ) as posted
        where cardinality(unknown) > 0;
    end;
end $$;

grant execute on function points_post_one, points_post, points_take, points_move_lots, points_is_activity to loyalnest_app;
