-- Who is who: a customer may be disabled, deleted, merged into another or erased, and a guest may turn out to be one of them.

alter table customers
    add column state text not null default 'open' check (state in ('open', 'disabled', 'deleted', 'merged', 'redacted')),
    -- The instant of the delivery that told the state: an older one does not undo a newer one.
    add column state_at timestamptz,
    -- Who stands for this customer from now on: always the last of a chain of merges, never one in the middle.
    add column merged_into uuid,
    -- The keyed hash of the e-mail address while the shop says that it is verified and the account enabled. By it guests are known.
    add column email_term bytea,
    add constraint customers_merged_into_somebody check (state <> 'merged' or merged_into is not null),
    add constraint customers_merged_into_another check (merged_into <> id);
create index customers_merged on customers (merchant_id, merged_into) where merged_into is not null;
create index customers_verified on customers (merchant_id, email_term) where email_term is not null;

-- Why nothing can be earned or spent: the customer's state, unless that is open. It stands here because here is the lock.
alter table points_accounts add column closed text check (closed in ('disabled', 'deleted', 'merged', 'redacted'));

alter table orders
    -- Of an order without a customer: the keyed hash of its e-mail address, and the Shopify number of who claimed it.
    add column email_term bytea,
    add column claimed_by bigint,
    -- Its snapshot is kept and not booked, because the account is closed.
    add column waiting boolean not null default false,
    -- Points of the order that expired in accounts that its customer has left by a merge.
    add column expired_elsewhere bigint not null default 0 check (expired_elsewhere >= 0);
create index orders_of_guests on orders (merchant_id, email_term)
    where email_term is not null and customer_id is null and claimed_by is null;
create index orders_waiting on orders (merchant_id, customer_id) where waiting;

create table customer_merges (
    merchant_id uuid not null references merchants (id),
    id uuid not null,
    gone_id uuid not null,
    kept_id uuid not null check (kept_id <> gone_id),
    -- Shopify's job, when it names one: the same job is not done twice, even after it was undone.
    job_id text,
    merged_at timestamptz not null,
    undone_at timestamptz,
    -- What undoing puts back: the state of who went, when the kept customer had joined, who was led to the one who went, the
    -- Shopify number whose signup points were taken back, and the orders and the claims that moved, as JSON.
    gone_state text not null,
    kept_joined_at timestamptz,
    redirected uuid[] not null,
    signup bigint,
    orders text not null,
    claims text not null,
    primary key (merchant_id, id),
    foreign key (merchant_id, gone_id) references customers (merchant_id, id),
    foreign key (merchant_id, kept_id) references customers (merchant_id, id)
);
create unique index customer_merges_once on customer_merges (merchant_id, gone_id) where undone_at is null;
create index customer_merges_kept on customer_merges (merchant_id, kept_id);

-- What is kept of a person, sealed, for staff to read once.
create table customer_exports (
    merchant_id uuid not null references merchants (id),
    id uuid not null,
    customer_id uuid not null,
    -- Shopify's number of the request; the same one is answered once.
    request_id bigint not null,
    content bytea,
    requested_at timestamptz not null,
    taken_at timestamptz,
    taken_by text,
    primary key (merchant_id, id),
    unique (merchant_id, request_id),
    foreign key (merchant_id, customer_id) references customers (merchant_id, id),
    check (content is null or taken_at is null)
);

do $$
declare
    tenant_table text;
begin
    foreach tenant_table in array array['customer_merges', 'customer_exports'] loop
        execute format('alter table %I enable row level security', tenant_table);
        execute format('alter table %I force row level security', tenant_table);
        execute format(
            'create policy tenant on %I to loyalnest_app
             using (merchant_id = nullif(current_setting(''app.merchant'', true), '''')::uuid)
             with check (merchant_id = nullif(current_setting(''app.merchant'', true), '''')::uuid)',
            tenant_table
        );
    end loop;
end $$;

grant select, insert, update on customer_merges, customer_exports to loyalnest_app;

-- Whether an entry may not enter a closed account. What was earned can still be taken back, expire and move on; nothing is earned
-- or spent. An account that was merged away is not adjusted either: who means the customer means the one who was kept.
create function points_is_refused(closed text, type text, points bigint, pending bigint, reverses bigint) returns boolean
    language sql immutable parallel safe
    return closed is not null and reverses is null
        and (points_is_activity(type, points, pending) or (closed = 'merged' and type = 'adjust'));

-- The two functions that write the ledger learn it where they hold the account's lock. All else in them stays as it was, and so they
-- are changed by a few words and not written out again: whoever changes them before this change keeps what they did.
do $$
declare
    written text;
    changed text;
    step text[];
    one constant text[][] := array[
        ['link bytea;', 'link bytea;' || chr(10) || '    shut text;'],
        ['a.pending + p_pending, a.last_hash', 'a.pending + p_pending, a.last_hash, a.closed'],
        ['into position_, balance_, pending_, previous', 'into position_, balance_, pending_, previous, shut'],
        -- Behind the passing over of a cause that is posted already, which a closed account is answered as ever.
        [
            '        return;
    end if;',
            '        return;
    end if;
    if points_is_refused(shut, p_type, p_points, p_pending, p_reverses) then
        raise exception ''the account is closed'' using errcode = ''LN004'', detail = shut;
    end if;'
        ]
    ];
    -- Entries for a closed account go one by one.
    many constant text[][] := array[
        ['locked bigint;', 'locked bigint;' || chr(10) || '    any_shut boolean;'],
        ['select 1 from points_accounts a', 'select a.closed from points_accounts a'],
        ['select count(*) into locked from held;', 'select count(*), bool_or(held.closed is not null) into locked, any_shut from held;'],
        ['if exists (select from unnest(p_points, p_lot)', 'if any_shut or exists (select from unnest(p_points, p_lot)']
    ];
begin
    written := pg_get_functiondef('points_post_one'::regproc);
    foreach step slice 1 in array one loop
        changed := replace(written, step[1], step[2]);
        assert length(changed) = length(written) + length(step[2]) - length(step[1]), step[1];
        written := changed;
    end loop;
    execute written;
    written := pg_get_functiondef('points_post'::regproc);
    foreach step slice 1 in array many loop
        changed := replace(written, step[1], step[2]);
        assert length(changed) = length(written) + length(step[2]) - length(step[1]), step[1];
        written := changed;
    end loop;
    execute written;
end $$;

grant execute on function points_is_refused to loyalnest_app;
