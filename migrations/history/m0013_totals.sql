-- What a customer has spent towards a goal: the sum of the rows of action_spendings that count towards it, moved by the difference
-- whenever one of them changes, in the same transaction. A goal keeps its terms under its id, and a version which goals it offers,
-- so whether a row counts towards a goal never changes behind the total's back: docs/adr/0024.
create table action_totals (
    merchant_id uuid not null,
    customer_id uuid not null,
    goal text not null,
    -- Minor units of the goal's currency, whole. Many amounts together can be more than any one of them may be.
    spent_minor numeric(30, 0) not null check (spent_minor >= 0),
    primary key (merchant_id, customer_id, goal)
) partition by hash (merchant_id);

do $$
begin
    for i in 0..7 loop
        execute format(
            'create table %I partition of action_totals for values with (modulus 8, remainder %s) with (fillfactor = 80)',
            'action_totals_' || i, i
        );
        execute format('alter table %I enable row level security', 'action_totals_' || i);
        execute format('alter table %I force row level security', 'action_totals_' || i);
        execute format(
            'alter table %I add foreign key (merchant_id, customer_id) references %I (merchant_id, id)',
            'action_totals_' || i, 'customers_' || i
        );
    end loop;
end $$;

-- The totals of what was spent before there were totals. The walls come down for the owner alone, who sees every merchant's rows
-- while this runs, and stand before anybody else can see the table.
alter table program_versions no force row level security;
alter table action_spendings no force row level security;

insert into action_totals (merchant_id, customer_id, goal, spent_minor)
select s.merchant_id, s.customer_id, g.goal ->> 'id', sum(s.spent_minor)
from (
    select v.merchant_id, v.version, json_array_elements(v.definition #> '{actions,goals}') as goal
    from (
        -- A definition may hold an escaped zero in some text, which PostgreSQL takes for no character. No goal's terms do.
        select merchant_id, version, replace(definition, '\u0000', '\ufffd')::json as definition from program_versions
    ) v
    where coalesce((v.definition ->> 'enabled')::boolean, true) and v.definition #> '{actions,goals}' is not null
) g
join action_spendings s on s.merchant_id = g.merchant_id and s.program_version = g.version and s.paid_at is not null
    and s.currency = g.goal ->> 'currency'
    and s.placed_at >= coalesce((g.goal ->> 'starts_at')::timestamptz, '-infinity')
    and s.placed_at < coalesce((g.goal ->> 'ends_at')::timestamptz, 'infinity')
group by s.merchant_id, s.customer_id, g.goal ->> 'id';

alter table program_versions force row level security;
alter table action_spendings force row level security;

alter table action_totals enable row level security;
alter table action_totals force row level security;
create policy tenant on action_totals to loyalnest_app
    using (merchant_id = nullif(current_setting('app.merchant', true), '')::uuid)
    with check (merchant_id = nullif(current_setting('app.merchant', true), '')::uuid);
grant select, insert, update on action_totals to loyalnest_app;

-- Which order reached a goal is looked for from the newest back, page by page: so the index ends in what makes the order total. Its
-- condition always holds, and is there so that rows that are looked for by their keys are never found by it: docs/adr/0042.
drop index action_spendings_of_customer;
create index action_spendings_of_customer on action_spendings (merchant_id, customer_id, paid_at, key) where customer_id is not null;

-- Whether any of a customer's goals still waits for its hold, and since when: asked with every order, answered without their claims.
create index action_claims_waiting on action_claims (merchant_id, customer_id, rule, occurred_at)
    where kind = 'goal' and posted_pending > 0;

-- Which of a customer's orders have pending points: what a refund may take instead of points that are spent. Without it all the
-- customer's orders were read to find them.
create index orders_pending on orders (merchant_id, customer_id, matures_at, shopify_id) where posted_pending > 0;

-- Work that recurs and fails is tried again later each time, so that one merchant whose midnight cannot be worked off does not keep
-- the workers busy; and it can be seen, with the reason. `due_at` says for when it is, `wakes_at` when it is next looked at.
alter table schedules
    add column wakes_at timestamptz,
    -- How often it was begun for this occasion, whether it then failed, was killed or is still at it.
    add column attempts integer not null default 0 check (attempts >= 0),
    -- The code of the error that the last attempt ended with, or what kind of fault of ours it was.
    add column failure text;
alter table schedules no force row level security;
update schedules set wakes_at = due_at;
alter table schedules force row level security;
alter table schedules alter column wakes_at set not null;
drop index schedules_due;
create index schedules_waking on schedules (wakes_at);
grant select (wakes_at, attempts, failure) on schedules to loyalnest_dispatcher;
