-- What was said of a customer: a tier, and segments. Whoever was merged keeps what was said of them; it is read together.
create table memberships (
    merchant_id uuid not null references merchants (id),
    customer_id uuid not null,
    tier text check (length(tier) between 1 and 64),
    segments text[] not null default '{}' check (cardinality(segments) <= 50),
    -- When each was said last. A customer who was merged into this one before that adds nothing to it any more.
    tier_at timestamptz,
    segments_at timestamptz,
    -- Rises with every change, and when somebody with a tier or segments is merged into this customer or parted from them.
    revision bigint not null default 0 check (revision >= 0),
    primary key (merchant_id, customer_id)
) partition by hash (merchant_id);

-- The customers, by Shopify's numbers, of shops that joined the merchant. Whoever is not here is in the merchant's own shop.
create table customer_shops (
    merchant_id uuid not null references merchants (id),
    shopify_id bigint not null,
    shop_domain text not null check (shop_domain = lower(shop_domain)),
    told_at timestamptz not null,
    primary key (merchant_id, shopify_id)
);

-- For whom, in which shop, a redemption is made in Shopify: null is the customer themself, and the merchant's own shop.
alter table redemptions
    add column shop_domain text,
    add column customer_number bigint;

do $$
declare
    tenant_table text;
begin
    for i in 0..7 loop
        execute format('create table memberships_%s partition of memberships for values with (modulus 8, remainder %s)', i, i);
        execute format('alter table memberships_%s enable row level security', i);
        execute format('alter table memberships_%s force row level security', i);
        execute format(
            'alter table memberships_%s add constraint memberships_%s_customers
             foreign key (merchant_id, customer_id) references customers_%s (merchant_id, id)', i, i, i
        );
    end loop;
    foreach tenant_table in array array['memberships', 'customer_shops'] loop
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

grant select, insert, update on memberships, customer_shops to loyalnest_app;

-- When to compare a shop's webhooks with those that we need: at once after it has installed the app, and then every day.
alter table installations add column webhooks_due_at timestamptz;
alter table installations no force row level security;
update installations set webhooks_due_at = now() where uninstalled_at is null;
alter table installations force row level security;
create index installations_webhooks_due on installations (merchant_id, webhooks_due_at) where webhooks_due_at is not null;
create policy dispatch on installations for select to loyalnest_dispatcher using (true);
grant select (merchant_id, webhooks_due_at) on installations to loyalnest_dispatcher;

-- The discounts by which points are paid with in the shops that joined the merchant: {"shop": "id"}.
alter table rewards add column elsewhere text not null default '{}';

-- What has come back of the points of a redemption or a reservation, because its order was refunded or cancelled.
alter table redemptions add column points_returned bigint not null default 0 check (points_returned between 0 and points);
alter table reservations add column points_returned bigint not null default 0 check (points_returned between 0 and points_used);
create index redemptions_of_order on redemptions (merchant_id, order_id) where order_id is not null;
create index reservations_of_order on reservations (merchant_id, order_id) where order_id is not null;
alter table redemptions no force row level security;
update redemptions set points_returned = points where status = 'returned';
alter table redemptions force row level security;
alter table reservations no force row level security;
update reservations set points_returned = points_used where status = 'returned';
alter table reservations force row level security;
