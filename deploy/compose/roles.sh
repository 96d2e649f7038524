#!/bin/sh
# Run once by the postgres image, when its volume is new: one database role for each process. What each of them may do is
# said by `claimwright migrate --api-role … --daemon-role …`, after the tables are there.
set -eu
for role in api daemon; do
  psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set role="claimwright_$role" --set password="$(cat "/run/secrets/db_${role}_password")" <<'SQL'
CREATE ROLE :"role" LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE;
SQL
done
