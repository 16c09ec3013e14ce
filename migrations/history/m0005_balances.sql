-- What a customer was told that moved no points, such as that some will expire. It stands behind the entry that was the account's
-- newest then, so that entries and notices have one order that never changes.
create table points_notices (
    merchant_id uuid not null,
    customer_id uuid not null,
    position bigint not null check (position >= 0),
    number integer not null check (number > 0),
    kind text not null,
    cause text not null,
    payload jsonb not null,
    occurred_at timestamptz not null,
    primary key (merchant_id, customer_id, position, number),
    unique (merchant_id, customer_id, cause),
    foreign key (merchant_id, customer_id) references points_accounts (merchant_id, customer_id)
) partition by hash (merchant_id);

-- Work of a merchant that recurs, and when it is next to be done.
create table schedules (
    merchant_id uuid not null references merchants (id),
    job text not null,
    due_at timestamptz not null,
    primary key (merchant_id, job)
);
create index schedules_due on schedules (due_at);

-- By which the dispatcher sees whose lots are due, without going through all that are open.
create index points_lots_due on points_lots (expires_at) where remaining > 0 and expires_at is not null;

do $$
begin
    for i in 0..7 loop
        execute format(
            'create table %I partition of points_notices for values with (modulus 8, remainder %s)', 'points_notices_' || i, i
        );
        execute format('alter table %I enable row level security', 'points_notices_' || i);
        execute format('alter table %I force row level security', 'points_notices_' || i);
    end loop;
end $$;

do $$
declare
    tenant_table text;
begin
    foreach tenant_table in array array['points_notices', 'schedules'] loop
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

grant select, insert on points_notices to loyalnest_app;
grant select, insert, update on schedules to loyalnest_app;
create policy dispatch on schedules for select to loyalnest_dispatcher using (true);
grant select (merchant_id, job, due_at) on schedules to loyalnest_dispatcher;

-- Merchants who have published a program already; the walls come down for the owner alone, and stand again before this
-- transaction ends.
alter table program_versions no force row level security;
alter table schedules no force row level security;
insert into schedules (merchant_id, job, due_at)
select distinct merchant_id, 'daily', date_trunc('day', now()) + interval '1 day' from program_versions;
alter table program_versions force row level security;
alter table schedules force row level security;
