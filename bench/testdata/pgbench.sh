# Makes a cluster the first time, then runs a server and its benchmark, on a socket here.
PATH=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1):$PATH
export PGHOST=$PWD PGUSER=me PGDATABASE=postgres
if [ ! -d db ]; then
	initdb -D db -A trust -U me --no-sync --no-instructions > initdb.log 2>&1 || { cat initdb.log; exit 1; }
	cat >> db/postgresql.conf <<-EOF
		listen_addresses = ''
		unix_socket_directories = '$PWD'
		fsync = off
		autovacuum = off
		dynamic_shared_memory_type = mmap
	EOF
	new=1
fi
pg_ctl -D db -w -l postgres.log start > /dev/null || { cat postgres.log; exit 1; }
trap 'pg_ctl -D db -w -m fast stop > /dev/null' EXIT
[ -z "$new" ] || pgbench -i -s 5 -q > pgbench.log 2>&1 || { cat pgbench.log; exit 1; }
pgbench -c 2 -j 2 -T 5 -S -n 2> /dev/null
