package integration

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// How much TestCommitStress does:
//
//	go test ./integration -run TestCommitStress -operations 1000000 -timeout 0
var commitOperations = flag.Int("operations", 4000, "TestCommitStress: operations of all processes together")

// limitedRun runs argv under these limits with everything verified, and returns what came of it and the
// report.
func limitedRun(t *testing.T, verify string, limits []string, argv ...string) (result, report) {
	t.Helper()
	dir := base(t)
	p := program{argv: argv, verify: verify, ownIPC: os.Getuid() == 0} // segments of the killed stay behind
	for _, l := range limits {
		p.flags = append(p.flags, "--limit", l)
	}
	file := filepath.Join(dir, "report.json")
	r := p.run(t, dir, p.runsbxArgs(file))
	rep := readReport(t, file)
	if rep.DriftCount != 0 || rep.Failure != "" {
		t.Errorf("report: %s %v", rep.Failure, rep.Drift)
	}
	return r, rep
}

// TestCommitStress: 32 processes map, fork, share and are killed at random. With each comparison the
// ledger is compared with its parts, and what each process is charged with smaps; at the end nothing
// is left in it. It never holds more than the limit.
func TestCommitStress(t *testing.T) {
	t.Parallel()
	for seed, verify := range []string{"every", "exit"} {
		t.Run(verify, func(t *testing.T) {
			t.Parallel()
			const limit = 96 << 20
			r, rep := limitedRun(t, verify, []string{"commit=96M"}, guest(t, "committers"),
				strconv.Itoa(seed+1), strconv.Itoa(*commitOperations), "32")
			if r.status != "exit 0" || !strings.Contains(r.stdout, "refused: some") {
				t.Errorf("%s\n%s%s", r.status, r.stdout, tail(r.stderr))
			}
			if rep.Peak.Commit > limit || rep.Peak.Commit < limit*9/10 {
				t.Errorf("peak %d, of %d", rep.Peak.Commit, limit)
			}
			if rep.Refused == 0 || rep.Verified == 0 {
				t.Errorf("%d refused, %d verified", rep.Refused, rep.Verified)
			}
		})
	}
}

// TestMemoryError: python raises MemoryError, catches it, and goes on; the limit is on all its
// processes together.
func TestMemoryError(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	r, rep := limitedRun(t, "every", []string{"commit=64M"}, lookTool("python3"), "-I", "-S", "-c", `
import os
def have(n):
    try:
        return len(bytearray(n)) == n
    except MemoryError:
        return "MemoryError"
print(have(512 << 20), have(20 << 20))
keep = bytearray(20 << 20)
try:
    if os.fork() == 0:
        os._exit(0 if have(30 << 20) == "MemoryError" else 1)
    print(os.wait()[1])
    more = bytearray(20 << 20)
    os.fork()
    print("forked")
except OSError as e:
    print(e)
del more
print(have(20 << 20))
`)
	want := "MemoryError True\n0\n[Errno 12] Cannot allocate memory\nTrue\n"
	if r.stdout != want || r.status != "exit 0" {
		t.Errorf("%s\n%q, want %q\n%s", r.status, r.stdout, want, r.stderr)
	}
	if len(rep.Refusals) == 0 || rep.Refusals[0].Resource != "commit" || rep.Refusals[0].Wanted < 512<<20 || rep.Refusals[0].Limit != 64<<20 {
		t.Errorf("refusals %+v", rep.Refusals)
	}
}

// TestWorkers: of four workers one wants too much; it fails, and its siblings finish.
func TestWorkers(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	r, _ := limitedRun(t, "every", []string{"commit=128M"}, lookTool("python3"), "-I", "-S", "-c", `
import os
def worker(n):
    data = bytearray((400 if n == 2 else 8) << 20)
    for i in range(0, len(data), 4096):
        data[i] = 1
    return sum(data)
pids = {}
for n in range(4):
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if worker(n) == 2048 else 2)
        except MemoryError:
            os._exit(1)
    pids[pid] = n
ended = {}
for _ in pids:
    pid, status = os.wait()
    ended[pids[pid]] = os.waitstatus_to_exitcode(status)
print(sorted(ended.items()))
`)
	if want := "[(0, 0), (1, 0), (2, 1), (3, 0)]\n"; r.stdout != want || r.status != "exit 0" {
		t.Errorf("%s\n%q, want %q\n%s", r.status, r.stdout, want, r.stderr)
	}
}

// TestStacksAreCharged: stacks grow by page faults, and all together not beyond the limit.
func TestStacksAreCharged(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name                     string
		processes, bytes, mapped string
		limit, want              string
		refused                  bool
	}{
		{"there is enough", "4", "6000000", "0", "64M", "grown all, died none\n", false},
		{"rooms are made small, and grow again on demand", "12", "3000000", "0", "64M", "grown all, died none\n", false},
		{"more than there is", "12", "7000000", "0", "48M", "grown some, died some\n", true},
		{"memory is short from the start", "0", "3000000", "10000000", "16M", "grown all, died none\nalone 1\n", false},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			r, rep := limitedRun(t, "every", []string{"commit=" + x.limit}, guest(t, "growers"), x.processes, x.bytes, x.mapped)
			if want := "limit 8388608\n" + x.want; r.stdout != want || r.status != "exit 0" {
				t.Errorf("%s\n%q, want %q\n%s", r.status, r.stdout, want, tail(r.stderr))
			}
			if refused := rep.Refused > 0; refused != x.refused || refused && rep.Refusals[0].Resource != "commit" {
				t.Errorf("refusals %+v", rep.Refusals)
			}
			if limit, _ := strconv.ParseUint(strings.TrimSuffix(x.limit, "M"), 10, 64); rep.Peak.Commit > limit<<20 {
				t.Errorf("peak %d", rep.Peak.Commit)
			}
		})
	}
}

// TestExecCannotGrowStack: a failing exec whose arguments are said to lie far below makes the stack grow by
// as much as the program's own limit allows, without a fault. Where that fits, it is charged; where not, it
// is the program's end, and of a vfork's child the parent's.
func TestExecCannotGrowStack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ how, mb, status, says string }{
		{"self", "20", "exit 0", "20M charged\n"},
		{"self", "100", "signal: killed", ""},
		{"child", "20", "exit 0", "20M charged\n"},
		{"child", "100", "signal: killed", ""},
	} {
		r, rep := limitedRun(t, "every", []string{"commit=64M"}, guest(t, "argstack"), c.how, c.mb)
		if r.status != c.status || r.stdout != c.says {
			t.Errorf("%s %sM: %s %q %s", c.how, c.mb, r.status, r.stdout, tail(r.stderr))
		}
		if killed := c.says == ""; killed != (rep.Cause == "limit") {
			t.Errorf("%s %sM: cause %q", c.how, c.mb, rep.Cause)
		}
	}
}

// TestServerSurvives: PostgreSQL reports that memory is out for one query, and serves the next.
func TestServerSurvives(t *testing.T) {
	t.Parallel()
	heavy(t)
	bin := postgreSQL(t, "initdb")
	dir := base(t)
	script := `
PATH=` + bin + `:$PATH
initdb -D db -A trust -U me --no-sync --no-instructions > initdb.log 2>&1 || { cat initdb.log; exit 1; }
cat >> db/postgresql.conf <<EOF
listen_addresses = ''
unix_socket_directories = '$PWD'
shared_buffers = 4MB
max_connections = 10
fsync = off
work_mem = 1GB
EOF
pg_ctl -D db -w -l server.log start > start.log || { cat start.log server.log; exit 1; }
export PGHOST=$PWD PGUSER=me PGDATABASE=postgres
psql -Atq <<EOF
select 1 + 1;
select length(string_agg(md5(i::text), '')) from generate_series(1, 20000000) i;
select 2 + 2;
EOF
echo "psql $?"
psql -Atq -c 'select 3 + 3'
pg_ctl -D db -w -m fast stop > stop.log || cat stop.log
grep -c 'out of memory' server.log > count
grep -E 'PANIC|was terminated by signal' server.log
exit 0
`
	p := program{argv: []string{"sh", "script.sh"}, files: map[string]string{"script.sh": script}, asUser: true,
		verify: "exit", flags: []string{"--limit", "commit=256M"}}
	file := filepath.Join(dir, "report.json")
	r := p.run(t, dir, p.runsbxArgs(file))
	if want := "2\n4\npsql 0\n6\n"; r.stdout != want || !strings.Contains(r.stderr, "out of memory") {
		t.Errorf("%s\n%q, want %q\n%s", r.status, r.stdout, want, tail(r.stderr))
	}
	if rep := readReport(t, file); rep.Failure != "" || rep.Refused == 0 {
		t.Errorf("%d refused, failure %q", rep.Refused, rep.Failure)
	}
}

// TestSmallest: what a hello-world needs of writable memory, in the smallest limit of 64M, 128M and
// 256M in which it starts (README).
func TestSmallest(t *testing.T) {
	t.Parallel()
	dir := base(t)
	for _, x := range []struct {
		name, limit string
		argv        func(t *testing.T) []string
	}{
		{"go", "64M", func(t *testing.T) []string {
			return []string{build(t, dir, "hello.go", "package main\nfunc main() { println(\"hello\") }\n", "go", "build", "-o", "hello-go", "hello.go")}
		}},
		{"node", "64M", func(t *testing.T) []string {
			need(t, "node")
			return []string{lookTool("node"), "-e", "console.error('hello')"}
		}},
		{"address sanitizer", "64M", func(t *testing.T) []string {
			need(t, "gcc", "env") // and looking for leaks needs ptrace for itself
			return []string{lookTool("env"), "ASAN_OPTIONS=detect_leaks=0", build(t, dir, "asan.c", "#include <stdio.h>\nint main() { fputs(\"hello\\n\", stderr); }\n", "gcc", "-fsanitize=address", "-o", "asan", "asan.c")}
		}},
		{"java", "64M", func(t *testing.T) []string {
			build(t, dir, "Hello.java", "class Hello { public static void main(String[] a) { System.err.println(\"hello\"); } }\n", "javac", "Hello.java")
			return []string{lookTool("java"), "-cp", dir, "Hello"}
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			r, rep := limitedRun(t, "exit", []string{"commit=" + x.limit}, x.argv(t)...)
			if r.status != "exit 0" || r.stderr != "hello\n" {
				t.Errorf("%s, %q; peak %d", r.status, r.stderr, rep.Peak.Commit)
			}
		})
	}
}

// build writes a source file into dir and runs the command that makes a program of it.
func build(t *testing.T, dir, name, source string, command ...string) string {
	t.Helper()
	need(t, command[0])
	if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	command[0] = lookTool(command[0])
	r := runBounded(t, command, dir, append(os.Environ(), "GOFLAGS=-mod=mod", "CGO_ENABLED=0"), "", 0)
	if r.status != "exit 0" {
		t.Fatalf("%s: %s\n%s", name, r.status, r.stderr)
	}
	return filepath.Join(dir, command[len(command)-2])
}
