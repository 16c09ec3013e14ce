-- The application role owns nothing and cannot bypass row-level security. The dispatcher sees which merchants have work, and nothing of it.
do $$
begin
    if not exists (select from pg_roles where rolname = 'loyalnest_app') then
        create role loyalnest_app nologin nosuperuser nobypassrls;
    end if;
    if not exists (select from pg_roles where rolname = 'loyalnest_dispatcher') then
        create role loyalnest_dispatcher nologin nosuperuser nobypassrls;
    end if;
    execute format('grant loyalnest_app, loyalnest_dispatcher to %I', current_user);
end $$;

-- Reference tables: what must be unique over all merchants lives here.

create table merchants (
    id uuid primary key,
    shop_domain text not null unique check (shop_domain = lower(shop_domain)),
    name text not null,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    created_at timestamptz not null
);

create table api_keys (
    id uuid primary key,
    merchant_id uuid not null references merchants (id),
    key_hash bytea not null unique,
    name text not null,
    created_at timestamptz not null,
    expires_at timestamptz,
    revoked_at timestamptz
);

-- Tenant tables.

create table customers (
    merchant_id uuid not null references merchants (id),
    id uuid not null,
    shopify_id bigint not null,
    created_at timestamptz not null,
    -- The instant at which the shop says the customer came to be; unknown while only an order has named them.
    joined_at timestamptz,
    snapshot_updated_at timestamptz,
    -- E-mail and name, sealed by the application.
    profile bytea,
    -- Keyed hashes of the e-mail, each word of the name and the Shopify id: exact words can be found, nothing can be read.
    search_terms bytea[] not null default '{}',
    primary key (merchant_id, id),
    unique (merchant_id, shopify_id)
) partition by hash (merchant_id);
create index customers_search on customers using gin (search_terms);

create table program_versions (
    merchant_id uuid not null references merchants (id),
    version integer not null check (version > 0),
    definition text not null,
    effective_from timestamptz not null,
    published_at timestamptz not null,
    published_by text not null,
    primary key (merchant_id, version)
);

create table program_drafts (
    merchant_id uuid not null references merchants (id),
    definition text not null,
    revision integer not null check (revision > 0),
    updated_at timestamptz not null,
    updated_by text not null,
    primary key (merchant_id)
);

create table points_accounts (
    merchant_id uuid not null,
    customer_id uuid not null,
    balance bigint not null default 0,
    pending bigint not null default 0,
    version bigint not null default 0,
    last_hash bytea not null,
    primary key (merchant_id, customer_id),
    foreign key (merchant_id, customer_id) references customers (merchant_id, id),
    -- The largest integer that every JSON reader holds exactly.
    constraint points_in_range check (
        balance between -9007199254740991 and 9007199254740991 and pending between -9007199254740991 and 9007199254740991
    )
) partition by hash (merchant_id);

create table points_transactions (
    merchant_id uuid not null,
    customer_id uuid not null,
    position bigint not null check (position > 0),
    type text not null check (type in ('earn', 'redeem', 'expire', 'adjust', 'import', 'referral', 'campaign')),
    points bigint not null,
    pending bigint not null,
    balance_after bigint not null,
    pending_after bigint not null,
    source text not null,
    external_id text not null,
    purpose text not null,
    program_version integer,
    reason text,
    actor text not null,
    trace text,
    occurred_at timestamptz not null,
    digest bytea not null,
    hash bytea not null,
    primary key (merchant_id, customer_id, position),
    unique (merchant_id, source, external_id, purpose),
    foreign key (merchant_id, customer_id) references points_accounts (merchant_id, customer_id)
) partition by hash (merchant_id);
create index points_transactions_occurred on points_transactions (merchant_id, occurred_at, customer_id, position);

create table orders (
    merchant_id uuid not null references merchants (id),
    shopify_id bigint not null,
    customer_id uuid,
    currency text not null,
    created_at timestamptz not null,
    snapshot text not null,
    snapshot_updated_at timestamptz not null,
    -- The program version in force at created_at, frozen when the order is first seen; null when there was none.
    program_version integer,
    -- What was before the order when it was first seen with its customer, as JSON, frozen like the version; null where the
    -- program does not ask.
    history text,
    deserved bigint not null,
    reason text,
    trace text,
    paid_at timestamptz,
    -- When the pending points become spendable; null once they have, and while nothing is pending on a paid order.
    matures_at timestamptz,
    posted_points bigint not null default 0,
    posted_pending bigint not null default 0,
    -- How many entries the order has caused: the next one's idempotency key holds it.
    revision integer not null default 0,
    primary key (merchant_id, shopify_id),
    foreign key (merchant_id, customer_id) references customers (merchant_id, id)
) partition by hash (merchant_id);
create index orders_maturing on orders (merchant_id, matures_at) where matures_at is not null;
create index orders_of_customer on orders (merchant_id, customer_id, created_at desc);

create table inbox (
    merchant_id uuid not null references merchants (id),
    webhook_id text not null,
    topic text not null,
    payload text,
    profile bytea,
    triggered_at timestamptz,
    received_at timestamptz not null,
    -- When to work it off: at once, or later after a failed attempt.
    due_at timestamptz not null,
    request_id text not null,
    status text not null default 'pending' check (status in ('pending', 'done', 'failed')),
    attempts integer not null default 0,
    failure text,
    primary key (merchant_id, webhook_id)
);
create index inbox_pending on inbox (merchant_id, due_at) where status = 'pending';

create table outbox (
    merchant_id uuid not null references merchants (id),
    id bigint generated always as identity,
    event text not null,
    payload jsonb not null,
    created_at timestamptz not null,
    primary key (merchant_id, id)
);

create table idempotency_keys (
    merchant_id uuid not null references merchants (id),
    key text not null,
    command text not null,
    input_hash bytea not null,
    result text not null,
    created_at timestamptz not null,
    primary key (merchant_id, key)
);

create table audit_entries (
    merchant_id uuid not null references merchants (id),
    id uuid not null,
    at timestamptz not null,
    actor text not null,
    action text not null,
    subject text not null,
    before jsonb,
    after jsonb,
    request_id text not null,
    primary key (merchant_id, id)
);
create index audit_entries_at on audit_entries (merchant_id, at desc);

do $$
declare
    parent text;
begin
    foreach parent in array array['customers', 'points_accounts', 'points_transactions', 'orders'] loop
        for i in 0..7 loop
            execute format(
                'create table %I partition of %I for values with (modulus 8, remainder %s)%s',
                parent || '_' || i, parent, i,
                case parent
                    when 'points_accounts' then ' with (fillfactor = 70)'
                    -- Snapshot and trace are about 3 kB: left in the row as they are, because compressing them costs more than the rest.
                    when 'orders' then ' with (fillfactor = 80, toast_tuple_target = 8160)'
                    else ''
                end
            );
        end loop;
    end loop;
end $$;

-- Row-level security: with no merchant set, no row. Partitions have it too, without a policy, so that none is a way around.
do $$
declare
    tenant_table text;
begin
    for tenant_table in
        select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'merchant_id'
        where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and c.relname <> 'api_keys'
    loop
        execute format('alter table %I enable row level security', tenant_table);
        execute format('alter table %I force row level security', tenant_table);
    end loop;
    foreach tenant_table in array array[
        'customers', 'program_versions', 'program_drafts', 'points_accounts', 'points_transactions',
        'orders', 'inbox', 'outbox', 'idempotency_keys', 'audit_entries'
    ] loop
        execute format(
            'create policy tenant on %I to loyalnest_app
             using (merchant_id = nullif(current_setting(''app.merchant'', true), '''')::uuid)
             with check (merchant_id = nullif(current_setting(''app.merchant'', true), '''')::uuid)',
            tenant_table
        );
    end loop;
end $$;

-- The ledger, the published programs and the audit are append-only by privilege.
grant select, insert on merchants, api_keys, program_versions, points_transactions, audit_entries, idempotency_keys to loyalnest_app;
grant update (name) on merchants to loyalnest_app;
grant update (revoked_at, expires_at) on api_keys to loyalnest_app;
grant select, insert, update on customers, points_accounts, orders, inbox to loyalnest_app;
grant select, insert, update, delete on program_drafts to loyalnest_app;
grant select, insert, delete on outbox to loyalnest_app;

create policy dispatch on inbox for select to loyalnest_dispatcher using (true);
create policy dispatch on outbox for select to loyalnest_dispatcher using (true);
create policy dispatch on orders for select to loyalnest_dispatcher using (true);
grant select (merchant_id, status, due_at) on inbox to loyalnest_dispatcher;
grant select (merchant_id, created_at) on outbox to loyalnest_dispatcher;
grant select (merchant_id, matures_at) on orders to loyalnest_dispatcher;

-- The chain: each entry's hash covers the one before it. An account's first link is bound to the account itself.
create function points_chain_step(state bytea, seed bytea, item bytea) returns bytea
    language sql immutable parallel safe
    return sha256(coalesce(state, seed) || item);

create aggregate points_chain(seed bytea, item bytea) (sfunc = points_chain_step, stype = bytea);

create function points_genesis(merchant_id uuid, customer_id uuid) returns bytea
    language sql immutable parallel safe
    return sha256(uuid_send(merchant_id) || uuid_send(customer_id));

-- Two functions write the ledger, in the same way and to the same rows: one for a single entry, which most are, and one for many.
-- A single entry needs no arrays, no windows and no joins. Returns nothing when the cause is posted already.
create function points_post_one(
    p_merchant uuid, p_at timestamptz, p_actor text,
    p_customer uuid, p_type text, p_points bigint, p_pending bigint, p_source text, p_external text, p_purpose text,
    p_version integer, p_reason text, p_trace text, p_digest bytea, p_floor bigint
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
        program_version, reason, actor, trace, occurred_at, digest, hash
    )
    values (
        p_merchant, p_customer, position_, p_type, p_points, p_pending, balance_, pending_, p_source, p_external, p_purpose,
        p_version, p_reason, p_actor, p_trace, p_at, p_digest, link
    )
    on conflict (merchant_id, source, external_id, purpose) do nothing;
    if not found then
        return;
    end if;
    perform points_above_floor(balance_, p_floor);
    update points_accounts a
    set balance = balance_, pending = pending_, version = position_, last_hash = link
    where a.merchant_id = p_merchant and a.customer_id = p_customer;
    insert into outbox (merchant_id, event, payload, created_at)
    values (p_merchant, 'points.changed', jsonb_build_object('customer_id', p_customer, 'version', position_), p_at);
    return next;
end $$;

-- Many entries at once: accounts locked in the order of their ids, entries whose cause is posted already
-- passed over, balances and chain computed, ledger, accounts and outbox written. Returns the entries written, by their ordinal.
create function points_post(
    p_merchant uuid, p_at timestamptz, p_actor text,
    p_customer uuid[], p_type text[], p_points bigint[], p_pending bigint[],
    p_source text[], p_external text[], p_purpose text[],
    p_version integer[], p_reason text[], p_trace text[], p_digest bytea[], p_floor bigint[]
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
    -- A statement of its own, so that its snapshot is taken after the locks: it sees all that earlier holders wrote.
    begin
        with entry as (
            select e.*
            from unnest(
                p_customer, p_type, p_points, p_pending, p_source, p_external, p_purpose, p_version, p_reason, p_trace, p_digest, p_floor
            ) with ordinality
                as e (customer_id, type, points, pending, source, external_id, purpose, program_version, reason, trace, digest, floor, ord)
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
                points_above_floor(p.balance_after, p.floor) as allowed
            from placed p
        ), written as (
            insert into points_transactions (
                merchant_id, customer_id, position, type, points, pending, balance_after, pending_after, source, external_id, purpose,
                program_version, reason, actor, trace, occurred_at, digest, hash
            )
            select p_merchant, c.customer_id, c.pos, c.type, c.points, c.pending, c.balance_after, c.pending_after, c.source,
                c.external_id, c.purpose, c.program_version, c.reason, p_actor, c.trace, p_at, c.digest, c.hash
            from chained c where c.allowed
        ), moved as (
            update points_accounts a
            set balance = c.balance_after, pending = c.pending_after, version = c.pos, last_hash = c.hash
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
                array_agg(p_digest[i] order by n) as digest, array_agg(p_floor[i] order by n) as floor
            from unnest(unknown) with ordinality as u (i, n)
        ) as rest
        cross join lateral points_post(
            p_merchant, p_at, p_actor, rest.customer, rest.type, rest.points, rest.pending, rest.source, rest.external, rest.purpose,
            rest.version, rest.reason, rest.trace, rest.digest, rest.floor
        ) as posted
        where cardinality(unknown) > 0;
    end;
end $$;

create function points_above_floor(balance bigint, floor bigint) returns boolean
    language plpgsql immutable
as $$
begin
    if balance < floor then
        raise exception 'the balance would fall below its floor' using errcode = 'LN001';
    end if;
    return true;
end $$;

grant execute on function points_post_one, points_post, points_above_floor, points_chain_step, points_genesis to loyalnest_app;
