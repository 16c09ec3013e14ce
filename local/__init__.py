"""Everything that runs LoyalNest on one machine: its servers, its processes, its seed data and its doctor."""
