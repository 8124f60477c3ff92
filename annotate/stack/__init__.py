"""PostgreSQL, Valkey, web and worker as children of one command, for the first run and for small instances.

Production sets DATABASE_URL and BROKER_URL, and nothing here starts a server. Everything that is kept
stands in one state directory; nothing of it survives the command except the data.
"""
