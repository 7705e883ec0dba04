package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	moby "github.com/moby/profiles/seccomp"
)

// profile writes a seccomp profile that every user may read.
func profile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(base(t), "profile.json")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestDockersProfile: programs run under Docker's default profile as they do natively.
func TestDockersProfile(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(moby.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	flags := []string{"--seccomp", profile(t, string(b))}
	for name, p := range map[string]program{
		"sh": {argv: []string{"sh", "-c", "seq 3000 | sort -rn | head -2; mkdir d && ls -d d; exit 3"}, status: "exit 3", want: "3000"},
		"python": {
			argv:  []string{"python3", "threads.py"},
			files: map[string]string{"threads.py": testdata(t, "python", "threads.py")},
		},
		"git": {
			argv: []string{"sh", "-c", `git init -q r && cd r && echo x > f && git add f && git -c user.name=a -c user.email=b commit -qm m &&
				git log --format=%s && git gc -q && git status --short`},
			want: "m\n",
		},
		"limits": {
			argv: []string{"sh", "-c", "python3 -c 'print(bytes(5000000)[7])' > out && cat out"}, want: "0",
			flags: []string{"--limit", "commit=1G", "--limit", "stack=4M"},
		},
	} {
		p.flags = append(p.flags, flags...)
		p.verify = "exit"
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p.check(t)
		})
		t.Run(name+", ordinary user", func(t *testing.T) {
			t.Parallel()
			p.asUser = true
			p.check(t)
		})
	}
}

// TestProfileWins: what a profile refuses is refused, also where a call would be stopped or notified.
func TestProfileWins(t *testing.T) {
	t.Parallel()
	const args = `"args":[{"index":1,"value":50565120,"op":"SCMP_CMP_EQ"}]`
	file := profile(t, `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
		{"names":["mmap"],"action":"SCMP_ACT_ERRNO","errnoRet":13,`+args+`},
		{"names":["munmap"],"action":"SCMP_ACT_ERRNO","errnoRet":71,`+args+`},
		{"names":["mlock"],"action":"SCMP_ACT_KILL_PROCESS",`+args+`}]}`)
	for name, c := range map[string]struct{ script, out, status string }{
		"stop":         {`mmap.mmap(-1, 50565120)`, "PermissionError: [Errno 13]", "exit 1"},
		"notification": {`print(libc.munmap(0, 50565120), ctypes.get_errno())`, "-1 71\n", "exit 0"},
		"killed":       {`libc.mlock(0, 50565120)`, "", "signal: bad system call"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			need(t, "python3")
			dir := base(t)
			script := "import ctypes, mmap; libc = ctypes.CDLL(None, use_errno=True); " + c.script
			report := filepath.Join(dir, "r.json")
			argv := []string{runsbx, "run", "--unconfined", "--verify", "every", "--report", report, "--seccomp", file, "--", "python3", "-c", script}
			r := runBounded(t, argv, dir, program{}.environment(dir), "", 0)
			program{status: c.status, want: c.out}.expect(t, "sandboxed", r)
			if n := readReport(t, report).DriftCount; n != 0 {
				t.Errorf("%d drifts", n)
			}
		})
	}
}
