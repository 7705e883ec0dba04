package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
)

// TestSQLite loads ten thousand rows, with the file mapped (mmap_size) and with a WAL.
func TestSQLite(t *testing.T) {
	t.Parallel()
	need(t, "sqlite3")
	program{
		argv: []string{"sqlite3", "x.db"},
		stdin: `pragma mmap_size = 67108864;
pragma journal_mode = wal;
create table t(id integer primary key, name text, n real);
begin;
with recursive c(i) as (select 1 union all select i + 1 from c where i < 10000)
insert into t select i, printf('name %d', i * 7919 % 10000), i / 3.0 from c;
commit;
create index t_name on t(name);
select count(*), sum(id), max(name), round(sum(n), 3) from t;
select id from t where name = 'name 4242';
update t set n = n + 1 where id % 3 = 0;
delete from t where id % 5 = 0;
vacuum;
pragma integrity_check;
select count(*), round(sum(n), 3) from t;
select * from no_such_table;
`,
		status: "exit 1",
		want:   "10000|50005000|",
	}.check(t)
}

// postgreSQL returns where the newest PostgreSQL has these tools.
func postgreSQL(t *testing.T, tools ...string) string {
	t.Helper()
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(bins) == 0 {
		need(t, tools...)
	}
	sort.Strings(bins)
	bin := bins[len(bins)-1]
	for _, tool := range tools {
		need(t, filepath.Join(bin, tool))
	}
	return bin
}

// TestPostgreSQL makes a cluster, starts the server, runs SQL and pgbench, and stops it. The
// server refuses root, so all of it runs as an ordinary user.
func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	bin := postgreSQL(t, "initdb", "pgbench")
	heavy(t)
	script := `
PATH=` + bin + `:$PATH
initdb -D db -A trust -U me --no-sync --no-instructions > initdb.log 2>&1 || { cat initdb.log; exit 1; }
cat >> db/postgresql.conf <<EOF
listen_addresses = ''
unix_socket_directories = '$PWD'
shared_buffers = 4MB
max_connections = 10
fsync = off
max_parallel_workers_per_gather = 2
min_parallel_table_scan_size = 0
parallel_setup_cost = 0
parallel_tuple_cost = 0
EOF
pg_ctl -D db -w -l server.log start > start.log || { cat start.log server.log; exit 1; }
export PGHOST=$PWD PGUSER=me PGDATABASE=postgres
psql -Atq <<EOF
create table t as select i, md5(i::text) as m from generate_series(1, 20000) i;
create index on t(m);
select count(*), sum(i), min(m) from t;
select count(*) from t a join t b using (m) where a.i % 7 = 0;
begin; delete from t where i > 10000; rollback;
select count(*) from t;
vacuum full t;
select 1/0;
EOF
echo "psql $?"
pgbench -i -s 1 -q > pgbench.log 2>&1 || { cat pgbench.log; exit 1; }
pgbench -c 2 -j 2 -t 20 -n 2> pgbench.err | grep -E 'transactions|failed' | sed 's/ (.*//' | grep -v tps || cat pgbench.err
psql -Atq -c 'select count(*) from pgbench_history'
pg_ctl -D db -w -m fast stop > stop.log || cat stop.log
echo "stop $?"
grep -E 'PANIC|FATAL|signal' server.log | sed 's/^[-0-9:. ]*UTC//'
exit 0
`
	program{
		argv:   []string{"sh", "script.sh"},
		files:  map[string]string{"script.sh": script},
		asUser: true,
		verify: "exit",
		want:   "20000|200010000|",
		normal: func(s string) string { return regexp.MustCompile(`\[\d+\]`).ReplaceAllString(s, "[PID]") },
	}.check(t)
}

// TestRedis starts a server on a socket, works on it, saves in the background (fork), and shuts
// it down.
func TestRedis(t *testing.T) {
	t.Parallel()
	need(t, "redis-server", "redis-cli", "redis-benchmark")
	script := `
redis-server --port 0 --unixsocket s --daemonize no --save '' --appendonly no --dir . --io-threads 2 > log 2>&1 &
server=$!
cli() { redis-cli -s s "$@"; }
until [ -S s ] && [ "$(cli ping 2>/dev/null)" = PONG ]; do kill -0 $server || { cat log; exit 1; }; sleep 0.02; done
redis-benchmark -s s -n 1000 -c 5 -P 10 -q -t set,get,lpush,mset -d 500 > bench 2>&1; echo "benchmark $?"
cli set k v
cli debug sleep 0 > /dev/null
cli eval 'local t = {} for i = 1, 20000 do t[i] = i .. "x" end return #t' 0
cli bgsave > /dev/null
until cli info persistence | grep -q rdb_bgsave_in_progress:0; do sleep 0.02; done
cli info persistence | grep -o rdb_last_bgsave_status:ok
test -s dump.rdb && echo saved
cli flushall async
cli dbsize
cli shutdown nosave
wait $server; echo "server $?"
grep -c crashed log
true
`
	program{
		argv:   []string{"sh", "script.sh"},
		files:  map[string]string{"script.sh": script},
		verify: "exit",
		want:   "rdb_last_bgsave_status:ok\nsaved",
	}.check(t)
}

// TestSharedMemoryIsNotLeft looks after SysV segments: a program in the sandbox leaves none that
// a native one would not leave.
func TestSharedMemoryIsNotLeft(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		t.Skip(err)
	}
	if n := strings.Count(string(b), "\n"); n > 200 {
		t.Errorf("%d SysV shared memory segments on this machine", n)
	}
}
