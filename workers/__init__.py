"""Work behind the answers. Messages carry ids only; PostgreSQL knows what is to be done."""
