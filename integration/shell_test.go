package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// testdata reads a program text.
func testdata(t *testing.T, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// jobPID is the process id in bash's "script.sh: line 7: 11970 Killed".
var jobPID = regexp.MustCompile(`(line \d+:) +\d+ `)

func withoutJobPIDs(s string) string { return jobPID.ReplaceAllString(s, "$1 PID ") }

// TestShell runs every script of testdata/shell with the shells that understand it.
func TestShell(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		script string
		status string
		shells []string
	}{
		{"pipelines.sh", "exit 0", []string{"dash", "bash"}},
		{"jobs.sh", "exit 0", []string{"dash", "bash"}},
		{"traps.sh", "exit 4", []string{"dash", "bash"}},
		{"stopcont.sh", "exit 0", []string{"dash", "bash"}},
		{"tools.sh", "exit 0", []string{"dash", "bash"}},
		{"bashisms.sh", "exit 0", []string{"bash"}},
	} {
		for _, shell := range c.shells {
			t.Run(c.script+"/"+shell, func(t *testing.T) {
				t.Parallel()
				program{
					argv:   []string{shell, "script.sh"},
					files:  map[string]string{"script.sh": testdata(t, "shell", c.script)},
					normal: withoutJobPIDs,
					status: c.status,
				}.check(t)
			})
		}
	}
}

// TestCoreutils runs single programs: each starts, works and ends by itself.
func TestCoreutils(t *testing.T) {
	t.Parallel()
	for name, argv := range map[string][]string{
		"true":      {"true"},
		"echo":      {"echo", "-n", "hello"},
		"ls":        {"ls", "-a"},
		"sort":      {"sort", "--parallel=4", "-S", "2M", "words"},
		"sha256sum": {"sha256sum", "words"},
		"tac":       {"tac", "words"},
		"wc":        {"wc", "words"},
		"sed":       {"sed", "-n", "s/1/one/gp", "words"},
		"grep":      {"grep", "-c", "7", "words"},
		"awk":       {"awk", "{ n += $1 } END { print n }", "words"},
		"find":      {"find", ".", "-name", "w*"},
		"diff":      {"diff", "words", "words"},
		"env":       {"env", "-i", "X=1", "printenv", "X"},
		"stdin":     {"cat", "-n"},
		"cp":        {"sh", "-c", "cp words copy && cmp words copy && echo same"},
		"ld.so":     {"/lib64/ld-linux-x86-64.so.2", "/bin/echo", "by the loader"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program{
				argv:  argv,
				stdin: "one\ntwo\n",
				setup: func(t *testing.T, dir string) {
					var b []byte
					for i := range 20000 {
						b = append(b, byte('0'+i%10), byte('0'+i/7%10), byte('0'+i/91%10), '\n')
					}
					if err := os.WriteFile(filepath.Join(dir, "words"), b, 0o644); err != nil {
						t.Fatal(err)
					}
				},
			}.check(t)
		})
	}
}
