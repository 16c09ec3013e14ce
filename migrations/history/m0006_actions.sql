-- What customers did besides ordering. A claim is one thing that may earn; its points are posted as an order's are: the difference
-- between what it deserves and what is posted.

create table action_claims (
    merchant_id uuid not null,
    kind text not null check (kind in ('birthday', 'review', 'follow', 'event', 'goal', 'sale')),
    -- What makes it one thing, unique among those of its kind.
    key text not null,
    customer_id uuid not null,
    -- Of whom it was told: another than customer_id once they were merged into that one.
    told_of uuid not null,
    -- The network, the event's name, the goal's id or the reviews' provider: what caps are counted by.
    rule text not null,
    occurred_at timestamptz not null,
    created_at timestamptz not null,
    program_version integer,
    deserved bigint not null check (deserved >= 0),
    reason text,
    trace text,
    -- From when its points can be spent, and the same again while they are pending.
    spendable_at timestamptz not null,
    matures_at timestamptz,
    posted_points bigint not null default 0,
    posted_pending bigint not null default 0,
    revision integer not null default 0,
    lots bigint[] not null default '{}',
    pending_entry bigint,
    absorbed bigint not null default 0 check (absorbed >= 0),
    forgiven bigint not null default 0 check (forgiven >= 0),
    -- Points of it that expired in accounts that its customer has left by a merge.
    expired_elsewhere bigint not null default 0 check (expired_elsewhere >= 0),
    primary key (merchant_id, kind, key),
    check (posted_points + posted_pending = deserved + absorbed + forgiven)
) partition by hash (merchant_id);
create index action_claims_of_customer on action_claims (merchant_id, customer_id, kind, rule, occurred_at);
create index action_claims_listed on action_claims (merchant_id, created_at desc, kind desc, key desc);
create index action_claims_maturing on action_claims (merchant_id, matures_at) where matures_at is not null;

-- What was spent on an order, or at the till, that counts towards goals; kept in step with the order.
create table action_spendings (
    merchant_id uuid not null,
    -- order/450789469 or sale/<client id>.
    key text not null,
    customer_id uuid not null,
    program_version integer not null,
    currency text not null,
    spent_minor bigint not null check (spent_minor >= 0),
    placed_at timestamptz not null,
    -- Null until it is paid: it counts from then on.
    paid_at timestamptz,
    primary key (merchant_id, key)
) partition by hash (merchant_id);
create index action_spendings_of_customer on action_spendings (merchant_id, customer_id, paid_at);

-- The date itself is sealed; in the open lies only when the next gift is due.
create table birthdays (
    merchant_id uuid not null,
    customer_id uuid not null,
    -- All null once it is forgotten whose it was.
    sealed bytea,
    set_at timestamptz not null,
    changes integer not null default 0 check (changes >= 0),
    -- How often it came: the next claim is numbered by it.
    occasions integer not null default 0 check (occasions >= 0),
    due_at timestamptz,
    -- When it would be due, were the account not closed: it waits.
    due_when_open timestamptz,
    primary key (merchant_id, customer_id),
    check (num_nonnulls(due_at, due_when_open) = num_nonnulls(sealed)),
    foreign key (merchant_id, customer_id) references customers (merchant_id, id)
);
create index birthdays_due on birthdays (merchant_id, due_at) where due_at is not null;

-- The secret with which a provider of reviews proves itself, sealed.
create table review_sources (
    merchant_id uuid not null references merchants (id),
    provider text not null check (provider in ('judgeme', 'yotpo')),
    secret bytea not null,
    set_at timestamptz not null,
    primary key (merchant_id, provider)
);

-- Reviews as their providers tell of them: no text, no name, and of the e-mail only the keyed hash by which customers are found.
create table reviews (
    merchant_id uuid not null references merchants (id),
    provider text not null check (provider in ('judgeme', 'yotpo')),
    review_id text not null,
    email_term bytea,
    published boolean not null,
    written_at timestamptz not null,
    updated_at timestamptz not null,
    received_at timestamptz not null,
    -- Who wrote it; another may stand for them.
    customer_id uuid,
    -- When it is to be looked at; null while nothing has changed, or while its customer is unknown.
    due_at timestamptz,
    primary key (merchant_id, provider, review_id),
    foreign key (merchant_id, customer_id) references customers (merchant_id, id)
);
create index reviews_due on reviews (merchant_id, due_at) where due_at is not null;
create index reviews_parked on reviews (merchant_id, email_term) where customer_id is null;

-- What a till tells, some of it late: sales, and what was given back of them. A refund may come before its sale.
create table till_entries (
    merchant_id uuid not null references merchants (id),
    client_id text not null,
    kind text not null check (kind in ('sale', 'refund')),
    -- The sale's client id; a sale's own.
    sale_id text not null,
    -- Of whom the till told; another may stand for them.
    customer_id uuid,
    currency text not null,
    amount_minor bigint not null check (amount_minor > 0),
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    actor text not null,
    primary key (merchant_id, client_id),
    foreign key (merchant_id, customer_id) references customers (merchant_id, id),
    check ((kind = 'sale') = (customer_id is not null)),
    check (kind = 'refund' or sale_id = client_id)
);
create index till_entries_of_sale on till_entries (merchant_id, sale_id);
create index till_entries_of_customer on till_entries (merchant_id, customer_id, occurred_at) where kind = 'sale';

do $$
declare
    parent text;
begin
    foreach parent in array array['action_claims', 'action_spendings'] loop
        for i in 0..7 loop
            execute format(
                'create table %I partition of %I for values with (modulus 8, remainder %s) with (fillfactor = 80)',
                parent || '_' || i, parent, i
            );
            execute format('alter table %I enable row level security', parent || '_' || i);
            execute format('alter table %I force row level security', parent || '_' || i);
            -- The customer lies in the partition of the same number; a key to the whole table would be checked over all of them.
            execute format(
                'alter table %I add foreign key (merchant_id, customer_id) references %I (merchant_id, id)',
                parent || '_' || i, 'customers_' || i
            );
        end loop;
    end loop;
    foreach parent in array array[
        'action_claims', 'action_spendings', 'birthdays', 'review_sources', 'reviews', 'till_entries'
    ] loop
        execute format('alter table %I enable row level security', parent);
        execute format('alter table %I force row level security', parent);
        execute format(
            'create policy tenant on %I to loyalnest_app
             using (merchant_id = nullif(current_setting(''app.merchant'', true), '''')::uuid)
             with check (merchant_id = nullif(current_setting(''app.merchant'', true), '''')::uuid)',
            parent
        );
    end loop;
    foreach parent in array array['action_claims', 'birthdays', 'reviews'] loop
        execute format('create policy dispatch on %I for select to loyalnest_dispatcher using (true)', parent);
    end loop;
end $$;

grant select, insert, update on action_claims, action_spendings, birthdays, review_sources, reviews to loyalnest_app;
grant select, insert on till_entries to loyalnest_app;
grant select (merchant_id, matures_at) on action_claims to loyalnest_dispatcher;
grant select (merchant_id, due_at) on birthdays, reviews to loyalnest_dispatcher;
