-- Orders that are looked for by their numbers must be found by the key, whatever the statistics say: of a shop that is new in its
-- partition they say that it has next to no orders, and then an index of all its orders looked as good as the key. The plan was
-- kept, and every batch of a new shop's backlog read all orders booked before it. A partial index can serve no such look-up.
drop index orders_of_customer;
create index orders_of_customer on orders (merchant_id, customer_id, created_at desc) where customer_id is not null;
