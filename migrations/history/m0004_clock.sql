-- A sandbox is a merchant whose clock can be ahead of the real one; docs/adr/0012 says how far that reaches.
alter table merchants
    add column sandbox boolean not null default false,
    add column clock_offset interval not null default '0',
    add constraint clock_never_behind check (clock_offset >= '0'),
    add constraint clock_of_sandboxes_only check (sandbox or clock_offset = '0');
create index merchants_ahead on merchants (id) where clock_offset > '0';

-- Whether a merchant is a sandbox is said when they are registered, and never changes: tokens carry it.
grant update (clock_offset) on merchants to loyalnest_app;
grant select (id, clock_offset) on merchants to loyalnest_dispatcher;
