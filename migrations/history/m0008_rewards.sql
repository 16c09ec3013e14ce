-- A shop's installation of the app. The tokens are sealed by the application.
create table installations (
    merchant_id uuid not null references merchants (id),
    access_token bytea,
    expires_at timestamptz not null,
    refresh_token bytea,
    refresh_expires_at timestamptz not null,
    scopes text not null,
    -- Rises with every renewal: two processes that would renew the same one find out here.
    revision bigint not null,
    renewing_until timestamptz,
    installed_at timestamptz not null,
    uninstalled_at timestamptz,
    primary key (merchant_id),
    check ((uninstalled_at is null) = (access_token is not null) and (access_token is null) = (refresh_token is null))
);

create table rewards (
    merchant_id uuid not null references merchants (id),
    id uuid not null,
    kind text not null,
    definition text not null,
    status text not null check (status in ('active', 'paused')),
    -- How many can still be taken; null when nobody counts.
    stock bigint check (stock >= 0),
    revision integer not null check (revision > 0),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- The discount in Shopify by which points are paid with, and when to see to it.
    shopify_id text,
    due_at timestamptz,
    primary key (merchant_id, id)
);
create unique index rewards_one_way_to_pay on rewards (merchant_id) where kind = 'pay_with_points' and status = 'active';
create index rewards_due on rewards (merchant_id, due_at) where due_at is not null;

create table coupons (
    merchant_id uuid not null,
    reward_id uuid not null,
    code text not null,
    added_at timestamptz not null,
    redemption_id uuid,
    -- Over all pools: an order names a code and not its pool.
    primary key (merchant_id, code),
    foreign key (merchant_id, reward_id) references rewards (merchant_id, id)
);
create index coupons_left on coupons (merchant_id, reward_id) where redemption_id is null;

create table redemptions (
    merchant_id uuid not null references merchants (id),
    id uuid not null,
    customer_id uuid not null,
    reward_id uuid not null,
    kind text not null,
    -- The reward as it was when it was taken: later edits do not change what was promised.
    definition text not null,
    points bigint not null check (points >= 0),
    -- The ledger's entry that took the points.
    position bigint,
    status text not null check (
        status in ('held', 'issued', 'used', 'cancelling', 'expiring', 'cancelled', 'expired', 'failed', 'returned')
    ),
    code text,
    expires_at timestamptz,
    shopify_id text,
    order_id bigint,
    failure text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- When somebody must look at it: at once, after a worker's lease, when the code runs out. Null when nothing is to be done.
    due_at timestamptz,
    attempts integer not null default 0,
    primary key (merchant_id, id),
    foreign key (merchant_id, customer_id) references customers (merchant_id, id),
    foreign key (merchant_id, reward_id) references rewards (merchant_id, id),
    unique (merchant_id, code)
) partition by hash (merchant_id);
create index redemptions_due on redemptions (merchant_id, due_at) where due_at is not null;
create index redemptions_of_customer on redemptions (merchant_id, customer_id, id desc);
-- Store credit has no code by which it could be found again: its expiry, to the second, is the mark instead.
create unique index redemptions_credit on redemptions (merchant_id, customer_id, expires_at) where kind = 'cashback';

create table reservations (
    merchant_id uuid not null references merchants (id),
    id uuid not null,
    customer_id uuid not null,
    reward_id uuid not null,
    definition text not null,
    points bigint not null check (points > 0),
    position bigint not null,
    status text not null check (status in ('held', 'leaving', 'captured', 'released', 'returned')),
    points_used bigint not null default 0 check (points_used between 0 and points),
    order_id bigint,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    due_at timestamptz,
    primary key (merchant_id, id),
    foreign key (merchant_id, customer_id) references customers (merchant_id, id),
    foreign key (merchant_id, reward_id) references rewards (merchant_id, id)
) partition by hash (merchant_id);
create unique index reservations_one_open on reservations (merchant_id, customer_id) where status = 'held';
create index reservations_due on reservations (merchant_id, due_at) where due_at is not null;

-- What checkout was told of a customer, and whether it must be told anew.
create table standings (
    merchant_id uuid not null references merchants (id),
    customer_id uuid not null,
    -- Rises with every change, so that one that happens while a worker writes is not lost.
    wanted bigint not null default 1,
    written bigint not null default 0,
    digest text,
    due_at timestamptz,
    attempts integer not null default 0,
    primary key (merchant_id, customer_id),
    foreign key (merchant_id, customer_id) references customers (merchant_id, id)
) partition by hash (merchant_id);
create index standings_due on standings (merchant_id, due_at) where due_at is not null;

do $$
declare
    parent text;
begin
    foreach parent in array array['redemptions', 'reservations', 'standings'] loop
        for i in 0..7 loop
            execute format(
                'create table %I partition of %I for values with (modulus 8, remainder %s)', parent || '_' || i, parent, i
            );
            execute format('alter table %I enable row level security', parent || '_' || i);
            execute format('alter table %I force row level security', parent || '_' || i);
        end loop;
    end loop;
    foreach parent in array array['installations', 'rewards', 'coupons', 'redemptions', 'reservations', 'standings'] loop
        execute format('alter table %I enable row level security', parent);
        execute format('alter table %I force row level security', parent);
        execute format(
            'create policy tenant on %I to loyalnest_app
             using (merchant_id = nullif(current_setting(''app.merchant'', true), '''')::uuid)
             with check (merchant_id = nullif(current_setting(''app.merchant'', true), '''')::uuid)',
            parent
        );
        execute format('grant select, insert, update on %I to loyalnest_app', parent);
    end loop;
    foreach parent in array array['rewards', 'redemptions', 'reservations', 'standings'] loop
        execute format('create policy dispatch on %I for select to loyalnest_dispatcher using (true)', parent);
        execute format('grant select (merchant_id, due_at) on %I to loyalnest_dispatcher', parent);
    end loop;
end $$;
