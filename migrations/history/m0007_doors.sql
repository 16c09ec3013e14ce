-- Partners' keys: what each may do, who agreed to it for the merchant, when it was last used, and which key it replaces.
alter table api_keys
    add column scopes text[] not null default '{read}' check (scopes <> '{}'),
    add column created_by text not null default 'system:loyalnest',
    add column last_used_at timestamptz,
    add column replaces uuid references api_keys (id);
create index api_keys_of_merchant on api_keys (merchant_id, id);
-- One key is replaced by one key, however often the request is repeated.
create unique index api_keys_replaced on api_keys (replaces);
grant update (last_used_at) on api_keys to loyalnest_app;

-- The roles of the merchant's staff, by Shopify's user id. Who is not listed is an owner until one is named, and an analyst after.
create table staff_members (
    merchant_id uuid not null references merchants (id),
    user_id text not null check (user_id ~ '^[0-9]{1,20}$'),
    role text not null check (role in ('owner', 'manager', 'support', 'analyst')),
    updated_at timestamptz not null,
    updated_by text not null,
    primary key (merchant_id, user_id)
);

-- The platform's own people. The address is sealed; its keyed hash finds it and keeps it unique.
create table admins (
    id uuid primary key,
    email bytea not null,
    email_term bytea not null unique,
    name text not null,
    role text not null check (role in ('full', 'analytics', 'support', 'points')),
    -- Networks from which the account may be used, such as 203.0.113.0/24; none means any.
    networks text[] not null default '{}',
    password_hash text not null,
    totp_secret bytea not null,
    -- The last time step whose code was taken: a code opens once.
    totp_step bigint not null default 0,
    failures integer not null default 0,
    locked_until timestamptz,
    created_at timestamptz not null,
    disabled_at timestamptz
);

create table admin_sessions (
    id uuid primary key,
    admin_id uuid not null references admins (id),
    -- Of the one refresh token that is good now. Any other for this session was used before, and ends it.
    refresh_hash bytea not null,
    created_at timestamptz not null,
    refreshed_at timestamptz not null,
    expires_at timestamptz not null,
    revoked_at timestamptz,
    origin text not null
);
create index admin_sessions_of_admin on admin_sessions (admin_id, id);

-- What the platform's people do to the platform; what they do to a merchant stands in the merchant's own audit.
create table platform_audit_entries (
    id uuid primary key,
    at timestamptz not null,
    actor text not null,
    action text not null,
    subject text not null,
    before jsonb,
    after jsonb,
    request_id text not null,
    origin text not null
);

-- The network from which the actor came, without the part that names a machine.
alter table audit_entries add column origin text not null default '';

-- The merchant's keys, each wrapped by the master key that is named with it.
create table data_keys (
    merchant_id uuid not null references merchants (id),
    purpose text not null check (purpose in ('seal', 'search', 'match')),
    id smallint not null check (id between 1 and 32767),
    wrapped bytea not null,
    master text not null,
    created_at timestamptz not null default now(),
    -- Every process has read a key long before one of them begins to write with it.
    active_from timestamptz not null,
    primary key (merchant_id, purpose, id)
);

do $$
declare
    tenant_table text;
begin
    foreach tenant_table in array array['staff_members', 'data_keys'] loop
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

grant select, insert, update, delete on staff_members, data_keys to loyalnest_app;
grant select, insert, update on admins, admin_sessions to loyalnest_app;
grant select, insert on platform_audit_entries to loyalnest_app;
