package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// limited is one program natively under prlimit(1), and in a sandbox with the same limits by --limit.
type limited struct {
	program
	limits []string // as=256M
}

// bytesOf are the limits of the tests, as prlimit takes them.
var bytesOf = map[string]string{
	"64K": "65536", "200K": "204800", "256K": "262144", "1M": "1048576", "2M": "2097152", "4M": "4194304", "16M": "16777216",
	"100M": "104857600", "150M": "157286400", "256M": "268435456", "512M": "536870912",
}

func (l limited) check(t *testing.T) {
	t.Helper()
	need(t, "prlimit")
	p := l.program
	p.native = []string{lookTool("prlimit")}
	for _, s := range l.limits {
		name, size, _ := strings.Cut(s, "=")
		value, ok := bytesOf[size]
		if !ok {
			value = size
		}
		p.native = append(p.native, "--"+name+"="+value+":"+value)
		p.flags = append(p.flags, "--limit", s)
	}
	p.native = append(p.native, "--")
	p.check(t)
}

// TestLimits: limits that are given by --limit bind as prlimit(1)'s do, call by call, in the whole tree.
func TestLimits(t *testing.T) {
	t.Parallel()
	calls := []string{guest(t, "rlimits")}
	for name, limits := range map[string][]string{
		"as":       {"as=256M"},
		"data":     {"data=256M"},
		"stack":    {"stack=1M"},
		"memlock":  {"memlock=256K"},
		"all":      {"as=512M", "data=100M", "stack=4M", "memlock=64K"},
		"no locks": {"memlock=0"},
		"odd":      {"as=268435457", "data=150000000", "stack=1000001", "memlock=70001"},
	} {
		p := program{argv: calls, want: "by the parent"}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limited{p, limits}.check(t)
		})
		p.asUser = true
		t.Run(name+" as an ordinary user", func(t *testing.T) {
			t.Parallel()
			limited{p, limits}.check(t)
		})
	}
}

// TestLimitedPrograms: real programs meet the limits, and go on.
func TestLimitedPrograms(t *testing.T) {
	t.Parallel()
	memoryError := []string{"python3", "-c", `
kept = []
try:
    while True:
        kept.append(bytearray(16 << 20))
except MemoryError:
    print("MemoryError after", len(kept) > 1)
kept.clear()
print("goes on:", len(bytearray(16 << 20)))`}
	// The kernel ends it by SIGSEGV in a child, and the parent goes on.
	recursion := []string{"bash", "-c", `exec 2>/dev/null; f() { f; }; (f); echo "status $?"`}
	for name, l := range map[string]limited{
		"python as":         {program{argv: memoryError, want: "goes on: 16777216"}, []string{"as=256M"}},
		"python data":       {program{argv: memoryError, want: "goes on: 16777216"}, []string{"data=150M"}},
		"recursion":         {program{argv: recursion, want: "status 139"}, []string{"stack=256K"}},
		"alloca":            {program{argv: []string{guest(t, "alloca")}}, []string{"stack=16M"}},
		"mlock":             {program{argv: []string{guest(t, "mlock")}, asUser: true}, []string{"memlock=64K"}},
		"threads":           {program{argv: []string{guest(t, "threads200")}, want: "sum 19900"}, []string{"stack=256K", "as=512M"}},
		"shell":             {program{argv: []string{"sh", "-c", `for r in -v -d -s -l; do ulimit $r; ulimit -H $r; done; sh -c "ulimit -v"`}, want: "524288"}, []string{"as=512M", "data=256M", "stack=4M", "memlock=64K"}},
		"what was executed": {program{argv: []string{guest(t, "inherited"), "one", "", "two words"}, want: "argv[2]  (0)"}, []string{"stack=2M"}},
		"a script":          {program{argv: []string{"./script", "a b"}, files: map[string]string{"script": "#!/bin/sh -u\necho \"$0|$1\"; ulimit -s\n"}, want: "./script|a b\n2048"}, []string{"stack=2M"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l.check(t)
		})
	}
	// The stack's limit decides where everything else lies, before the program's first instruction.
	t.Run("layout", func(t *testing.T) {
		t.Parallel()
		limited{program{
			argv:  []string{"cat", "/proc/self/maps"},
			wrap:  []string{"setarch", "-R"},
			flags: []string{"--aslr", "off"},
			want:  "[stack]",
		}, []string{"stack=512M"}}.check(t)
	})
}

// TestLimitsTooLow: a program ends as natively whatever its limits, and where the kernel ends it before
// its first instruction, one line says why.
func TestLimitsTooLow(t *testing.T) {
	t.Parallel()
	need(t, "prlimit")
	static := guest(t, "small", "-static")
	for _, limit := range []string{"as=4096", "as=65536", "as=262144", "as=1048576", "as=4194304", "data=4096", "data=16384", "data=65536",
		"data=262144", "stack=4096", "stack=65536", "stack=262144", "memlock=0"} {
		for name, argv := range map[string][]string{"dynamic": {"true"}, "static": {static}, "script": {"./script"}, "python": {"python3", "-c", "print(1)"}} {
			for _, user := range []bool{false, true} {
				t.Run(limit+" "+name+map[bool]string{true: " as an ordinary user"}[user], func(t *testing.T) {
					t.Parallel()
					// The kernel shifts the stack at random, by more than the smallest limits.
					p := program{argv: argv, asUser: user, files: map[string]string{"script": "#!/bin/sh\necho script\n"},
						wrap: []string{"setarch", "-R"}, flags: []string{"--aslr", "off", "--limit", limit}}
					tooLow(t, p, limit)
				})
			}
		}
	}
}

func tooLow(t *testing.T, p program, limit string) {
	dir := base(t)
	_, value, _ := strings.Cut(limit, "=")
	native := p.run(t, dir, []string{lookTool("prlimit"), "--" + limit + ":" + value, "--"})
	file := filepath.Join(dir, "report.json")
	boxed := p.run(t, dir, p.runsbxArgs(file))
	if native.status != boxed.status || native.stdout != boxed.stdout {
		t.Errorf("natively %s, %q; sandboxed %s, %q\n%s", native.status, native.stdout, boxed.status, boxed.stdout, boxed.stderr)
	}
	var r struct {
		report
		Execs    int              `json:"execs"`
		Refusals []map[string]any `json:"refusals"`
	}
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil || r.DriftCount != 0 || r.Cause == "runsbx" {
		t.Fatalf("%v\n%s", err, b)
	}
	if r.Execs > 0 {
		return // what it prints from here on is its own
	}
	name, _, _ := strings.Cut(limit, "=")
	if r.Cause != "limit" || len(r.Refusals) != 1 || r.Refusals[0]["resource"] != name {
		t.Errorf("it did not start, and the report is\n%s", b)
	}
	if !strings.HasPrefix(boxed.stderr, "runsbx: ") || !strings.Contains(boxed.stderr, "cannot start: "+name+" limit ") || strings.Count(boxed.stderr, "\n") != 1 {
		t.Errorf("standard error: %q", boxed.stderr)
	}
}
