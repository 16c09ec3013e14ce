-- What a delivery is about, what it waits for, and why it failed: a code, a sentence and the path, never a part of the payload.
alter table inbox
    add column kind text,
    add column parent text,
    add column failure_message text,
    add column failure_path text;

-- The walls are forced upon the owner too, and a migration has to see every merchant's rows.
alter table inbox no force row level security;
update inbox set kind = split_part(topic, '/', 1);
alter table inbox force row level security;

alter table inbox
    alter column kind set not null,
    drop constraint inbox_status_check,
    add constraint inbox_status_check check (status in ('pending', 'parked', 'done', 'failed')),
    add constraint inbox_parked_has_parent check (status <> 'parked' or parent is not null);

-- A batch is of one kind and the oldest first, so the kind comes before the time.
drop index inbox_pending;
create index inbox_pending on inbox (merchant_id, kind, due_at) where status = 'pending';
create index inbox_parked on inbox (merchant_id, parent) where status = 'parked';
-- The list of all that came, and the short one of what needs somebody.
create index inbox_received on inbox (merchant_id, received_at desc, webhook_id desc);
create index inbox_set_aside on inbox (merchant_id, status, received_at desc, webhook_id desc) where status in ('parked', 'failed');
