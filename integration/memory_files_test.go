package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestMemoryFiles: where no limit binds, files in memory behave as natively, however their descriptors are
// got and however they grow.
func TestMemoryFiles(t *testing.T) {
	t.Parallel()
	ways := program{
		argv: []string{guest(t, "memfiles"), "ways"}, want: "done",
		flags: []string{"--limit", "commit=4G"},
	}
	t.Run("root", func(t *testing.T) {
		t.Parallel()
		ways.check(t)
	})
	t.Run("full speed", func(t *testing.T) {
		t.Parallel()
		p := ways
		p.verify = "exit"
		p.check(t)
	})
	t.Run("ordinary user", func(t *testing.T) {
		t.Parallel()
		p := ways
		p.asUser = true
		p.check(t)
	})
	t.Run("container", func(t *testing.T) {
		t.Parallel()
		p := ways
		p.wrap = []string{guest(t, "container")}
		// Without pidfd_getfd these are refused (docs/limits.md).
		copies := regexp.MustCompile(`(?m)^(sendfile|copy_file_range|within itself|onto itself|the end of a file|all of a file|after its end) .*\n`)
		p.normal = func(s string) string { return copies.ReplaceAllString(s, "") }
		p.check(t)
	})
}

// inBudget runs a guest under a limit and returns its report.
func inBudget(t *testing.T, asUser bool, limit string, shell string, argv ...string) (result, limitReport) {
	t.Helper()
	dir := base(t)
	file := filepath.Join(dir, "report.json")
	p := program{argv: argv, asUser: asUser}
	prefix := []string{runsbx, "run", "--unconfined", "--verify", "every", "--limit", "commit=" + limit, "--report", file, "--"}
	if shell != "" {
		p.wrap = []string{"sh", "-c", shell, "sh"}
	}
	r := p.run(t, dir, prefix)
	var rep limitReport
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &rep)
	}
	if err != nil {
		t.Fatalf("report: %v (%s, stderr %q)", err, r.status, tail(r.stderr))
	}
	if rep.Failure != "" {
		t.Errorf("failure: %s", rep.Failure)
	}
	return r, rep
}

type limitReport struct {
	Failure  string
	Refused  int
	Peak     struct{ Commit uint64 }
	Refusals []struct{ Call, Resource, Errno string }
}

// TestMemoryFilesRefused: more than there may be is refused, whatever the way.
func TestMemoryFilesRefused(t *testing.T) {
	t.Parallel()
	for name, asUser := range map[string]bool{"root": false, "ordinary user": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, rep := inBudget(t, asUser, "50M", "", guest(t, "memfiles"), "refused", "60")
			if r.stdout != "refused 170 of 170\n" || r.status != "exit 0" {
				t.Errorf("%s\n%s", r.status, tail(r.stdout+r.stderr))
			}
			if rep.Peak.Commit > 50<<20 {
				t.Errorf("peak %d", rep.Peak.Commit)
			}
			calls := map[string]bool{}
			for _, x := range rep.Refusals {
				want := "ENOSPC"
				if x.Call == "ftruncate" || x.Call == "truncate" || x.Call == "mmap" {
					want = "ENOMEM"
				}
				if x.Resource != "commit" || x.Errno != want {
					t.Errorf("%+v", x)
				}
				calls[x.Call] = true
			}
			if len(calls) < 8 {
				t.Errorf("refusals of %v only", calls)
			}
		})
	}
}

// TestHiddenFiles: a file is charged as long as it is there, whatever names and paths it had.
func TestHiddenFiles(t *testing.T) {
	t.Parallel()
	for _, asUser := range []bool{false, true} {
		r, _ := inBudget(t, asUser, "64M", "", guest(t, "hiddenfiles"))
		const want = `two names, open: none, in the end room
two names, mapped: none, in the end room
/proc/self/fd/%d: 0, none, in the end room
/proc/./self/fd/%d: 0, none, in the end room
//proc/thread-self/../../fd/%d: 0, none, in the end room
/dev/../dev/fd/%d: 0, none, in the end room
`
		if r.status != "exit 0" || r.stdout != want {
			t.Errorf("as user %v: %s\n%s%s", asUser, r.status, r.stdout, tail(r.stderr))
		}
	}
}

// TestMemoryFilesLeakNothing: after the lives and violent deaths of many processes that share files in
// memory, as much can be had as before.
func TestMemoryFilesLeakNothing(t *testing.T) {
	t.Parallel()
	for name, asUser := range map[string]bool{"root": false, "ordinary user": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, rep := inBudget(t, asUser, "300M", "", guest(t, "memfiles"), "stress", "300", "12")
			if r.stdout != "lost 0 MB, and that is of much\n" {
				t.Errorf("%s, %s%s", r.status, tail(r.stdout), tail(r.stderr))
			}
			if rep.Peak.Commit > 300<<20 {
				t.Errorf("peak %d", rep.Peak.Commit)
			}
		})
	}
}

// TestMemoryFilesRaces: other threads exchange what a call is about while it is on its way.
func TestMemoryFilesRaces(t *testing.T) {
	t.Parallel()
	r, _ := inBudget(t, false, "100M", "", guest(t, "memfiles"), "race", "90")
	if r.stdout != "never more than there may be\n" {
		t.Errorf("%s, %s%s", r.status, tail(r.stdout), tail(r.stderr))
	}
}

// TestMemoryFilesBusy: a process gets its first file in memory while its other threads are in calls that
// were not stopped, and exchange what they are about.
func TestMemoryFilesBusy(t *testing.T) {
	t.Parallel()
	for name, asUser := range map[string]bool{"root": false, "ordinary user": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, rep := inBudget(t, asUser, "80M", "", guest(t, "memfiles"), "busy", "90")
			if r.stdout != "refused 110 of 110\n" || rep.Peak.Commit > 80<<20 {
				t.Errorf("%s, peak %d, %s%s", r.status, rep.Peak.Commit, tail(r.stdout), tail(r.stderr))
			}
		})
	}
}

// TestMemoryFilesInherited: descriptors that a program starts with, and what its shell opens, count.
func TestMemoryFilesInherited(t *testing.T) {
	t.Parallel()
	for name, shell := range map[string]string{
		"standard output": `f=$(mktemp -p /dev/shm); "$@" >$f; s=$?; stat -c %s $f; rm $f; exit $s`,
		"another":         `f=$(mktemp -p /dev/shm); "$@" 9>$f; s=$?; stat -c %s $f; rm $f; exit $s`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := "head -c 50M /dev/zero"
			if name == "another" {
				script += " >&9"
			}
			r, rep := inBudget(t, false, "30M", shell, "sh", "-c", script)
			if r.status != "exit 1" || rep.Refused == 0 {
				t.Errorf("%s, %d refused; %s%s", r.status, rep.Refused, tail(r.stdout), tail(r.stderr))
			}
		})
	}
}
