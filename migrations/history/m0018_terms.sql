-- By what a customer is found: keyed hashes of the e-mail, of each word of the name and of the Shopify id. They were an array with a GIN
-- index, which PostgreSQL does not ask behind row-level security (docs/adr/0028).
-- The key is in the order in which they are asked for and shown: a word that many have is read no further than the page goes.
create table customer_terms (
    merchant_id uuid not null,
    customer_id uuid not null,
    term bytea not null,
    primary key (merchant_id, term, customer_id)
) partition by hash (merchant_id);

alter table customers no force row level security;
do $$
begin
    for i in 0..7 loop
        execute format('create table customer_terms_%s partition of customer_terms for values with (modulus 8, remainder %s)', i, i);
    end loop;
    insert into customer_terms (merchant_id, customer_id, term)
    select c.merchant_id, c.id, t.term from customers c cross join unnest(c.search_terms) as t (term) on conflict do nothing;
    for i in 0..7 loop
        execute format('alter table customers_%s no force row level security', i);
        execute format(
            'alter table customer_terms_%s add constraint customer_terms_%s_customers
             foreign key (merchant_id, customer_id) references customers_%s (merchant_id, id)', i, i, i
        );
        execute format('alter table customers_%s force row level security', i);
        execute format('alter table customer_terms_%s enable row level security', i);
        execute format('alter table customer_terms_%s force row level security', i);
    end loop;
end $$;
alter table customers force row level security;

create index customer_terms_of_customer on customer_terms (merchant_id, customer_id);
alter table customer_terms enable row level security;
alter table customer_terms force row level security;
create policy tenant on customer_terms to loyalnest_app
    using (merchant_id = nullif(current_setting('app.merchant', true), '')::uuid)
    with check (merchant_id = nullif(current_setting('app.merchant', true), '')::uuid);
grant select, insert, delete on customer_terms to loyalnest_app;

-- Its index goes with it.
alter table customers drop column search_terms;
