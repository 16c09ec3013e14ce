-- Every shop by which a merchant is reached, their own among them: the shop of a webhook or a token is looked up here.
create table stores (
    shop_domain text primary key check (shop_domain = lower(shop_domain)),
    merchant_id uuid not null references merchants (id),
    connected_at timestamptz not null
);

create index stores_of_merchant on stores (merchant_id);

insert into stores (shop_domain, merchant_id, connected_at) select shop_domain, id, created_at from merchants;

-- A merchant's word that another shop may join them. That shop's own word, in their own session, makes it so.
create table store_invitations (
    merchant_id uuid not null references merchants (id),
    shop_domain text not null check (shop_domain = lower(shop_domain)),
    invited_at timestamptz not null,
    primary key (shop_domain, merchant_id)
);

create index store_invitations_of_merchant on store_invitations (merchant_id);

grant select, insert, update (merchant_id, connected_at) on stores to loyalnest_app;
grant select, insert, delete on store_invitations to loyalnest_app;
