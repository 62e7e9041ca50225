"""rpm's database in its three formats (SQLite, ndb, Berkeley DB hash) → its packages. Pure and bounded."""
