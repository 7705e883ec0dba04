package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// userPrograms are run where privileges are missing.
func userPrograms(t *testing.T) map[string]program {
	return map[string]program{
		"id":       {argv: []string{"id"}, want: "uid=" + nobody},
		"pipeline": {argv: []string{"sh", "-c", "seq 3000 | sort -rn | head -2; exit 3"}, status: "exit 3", want: "3000"},
		"script": {
			argv:  []string{"bash", "jobs.sh"},
			files: map[string]string{"jobs.sh": testdata(t, "shell", "jobs.sh")},
		},
		"python": {
			argv:  []string{"python3", "threads.py"},
			files: map[string]string{"threads.py": testdata(t, "python", "threads.py")},
		},
		"subprocess": {
			argv:   []string{"python3", "subproc.py"},
			files:  map[string]string{"subproc.py": testdata(t, "python", "subproc.py")},
			verify: "exit",
		},
		"gcc": {
			argv:   []string{"sh", "-c", "gcc -O -o prog main.c && ./prog"},
			files:  map[string]string{"main.c": "int main(void) { return 42; }\n"},
			status: "exit 42",
			verify: "exit",
		},
		"threads":  {argv: []string{guest(t, "threads200")}, want: "sum 19900"},
		"fdstress": {argv: []string{guest(t, "fdstress")}, want: "lost 0"},
		"exec":     {argv: []string{guest(t, "threadexec")}, status: "exit 6"},
		"vfork":    {argv: []string{guest(t, "vforkexec")}, verify: "exit"},
		"static":   {argv: []string{guest(t, "small", "-static")}, status: "exit 3"},
		"mremap":   {argv: []string{guest(t, "mremap")}, want: "done"},
		"signal":   {argv: []string{guest(t, "die"), "signal", "11", "really"}, status: "signal: segmentation fault"},
		// A setuid program does not gain anything, natively neither since it was asked for.
		"setuid": {
			argv: []string{"sh", "-c", "./suid -u"},
			setup: func(t *testing.T, dir string) {
				b, err := os.ReadFile(lookTool("id"))
				if err != nil {
					t.Fatal(err)
				}
				os.WriteFile(filepath.Join(dir, "suid"), b, 0o755)
				os.Chmod(filepath.Join(dir, "suid"), os.ModeSetuid|0o755)
			},
			wrap: []string{"setpriv", "--no-new-privs"},
			want: nobody,
		},
	}
}

// TestOrdinaryUser: an ordinary user, without any capability.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("all tests run as an ordinary user already")
	}
	need(t, "setpriv")
	for name, p := range userPrograms(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p.asUser = true
			p.check(t)
		})
	}
	t.Run("through su", func(t *testing.T) {
		t.Parallel()
		need(t, "su")
		program{
			argv: []string{"sh", "-c", "id -un; seq 100 | wc -l"},
			wrap: []string{"su", "nobody", "-s", "/bin/sh", "-c", `exec "$0" "$@"`, "--"},
			want: "nobody\n100",
		}.check(t)
	})
}

// TestContainer: what an unprivileged container leaves (testdata/container.c).
func TestContainer(t *testing.T) {
	t.Parallel()
	container := guest(t, "container")
	for name, p := range userPrograms(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p.wrap = append([]string{container}, p.wrap...)
			p.check(t)
		})
	}
	// personality(ADDR_NO_RANDOMIZE) is denied: what was asked for cannot be had, and is not
	// silently dropped.
	t.Run("aslr off", func(t *testing.T) {
		t.Parallel()
		dir := base(t)
		argv := []string{container, runsbx, "run", "--unconfined", "--aslr", "off", "--", "touch", "ran"}
		r := runBounded(t, argv, dir, program{}.environment(dir), "", 0)
		if r.status != "exit 125" || r.stdout != "" {
			t.Errorf("%s, stdout %q", r.status, r.stdout)
		}
		oneLine(t, r.stderr)
		if !strings.Contains(r.stderr, "aslr") {
			t.Errorf("stderr does not name the flag: %q", r.stderr)
		}
		if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
			t.Error("the program was run")
		}
	})
	t.Run("doctor", func(t *testing.T) {
		t.Parallel()
		r := runBounded(t, []string{container, runsbx, "doctor"}, "/", program{}.environment("/"), "", 0)
		if r.status != "exit 0" || r.stdout == "" {
			t.Errorf("%s\n%s%s", r.status, r.stdout, r.stderr)
		}
	})
}

// TestUnreadable: a program that may be executed but not read. Linux hides its address space from
// everyone without privileges, so from an ordinary user's supervisor too. Either it runs as
// natively, or it is refused in one line with status 125.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	p := program{
		argv: []string{"./prog", "exit", "5"},
		setup: func(t *testing.T, dir string) {
			b, err := os.ReadFile(guest(t, "die"))
			if err != nil {
				t.Fatal(err)
			}
			os.WriteFile(filepath.Join(dir, "prog"), b, 0o711)
		},
		asUser: true,
	}
	if os.Getuid() != 0 {
		t.Skip("the owner can always read it")
	}
	dir := base(t)
	if r := p.run(t, dir, nil); r.status != "exit 5" {
		t.Fatalf("natively: %+v", r)
	}
	r := p.run(t, dir, []string{runsbx, "run", "--unconfined", "--"})
	if r.status != "exit 5" {
		if r.status != "exit 125" {
			t.Errorf("%+v", r)
		}
		oneLine(t, r.stderr)
	}
}

// TestNested: a sandbox in a sandbox. There can be one listener for a task, and one tracer: the
// inner one says in one line that it cannot be had, and that is status 125.
func TestNested(t *testing.T) {
	t.Parallel()
	dir := base(t)
	argv := []string{runsbx, "run", "--unconfined", "--", runsbx, "run", "--unconfined", "--", "echo", "inner"}
	r := runBounded(t, argv, dir, program{}.environment(dir), "", 0)
	t.Logf("%s, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
	switch {
	case r.status == "exit 0" && r.stdout == "inner\n" && r.stderr == "":
	case r.status == "exit 125" && r.stdout == "":
		oneLine(t, r.stderr)
	default:
		t.Error("it neither works nor is refused")
	}
}

// TestTraced: strace in the sandbox, and the sandbox under strace, work or say why not.
func TestTraced(t *testing.T) {
	t.Parallel()
	need(t, "strace")
	dir := base(t)
	for name, argv := range map[string][]string{
		"inside":  {runsbx, "run", "--unconfined", "--", "strace", "-f", "-o", "out", "true"},
		"outside": {"strace", "-f", "-o", "out2", runsbx, "run", "--unconfined", "--", "true"},
	} {
		t.Run(name, func(t *testing.T) {
			r := runBounded(t, argv, dir, program{}.environment(dir), "", 0)
			t.Logf("%s, stdout %q, stderr %q", r.status, r.stdout, tail(r.stderr))
			if r.status == "exit 0" {
				return
			}
			if !strings.Contains(strings.ToLower(r.stderr), "ptrace") {
				t.Error("it neither works nor says why not")
			}
		})
	}
}
