package sandbox

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sandbox/confine"
	"github.com/runsbx/runsbx/sandbox/policy"
)

// TestChangeable: which files a program of the sandbox can change, or has.
func TestChangeable(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, age time.Duration) (string, *unix.Stat_t) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			t.Fatal(err)
		}
		st.Ctim = unix.NsecToTimespec(time.Unix(1000, 0).Add(-age).UnixNano()) // the sandbox was started at 1000 s
		return path, &st
	}
	for name, x := range map[string]struct {
		unconfined, elsewhere, running, excepted, given, first, notAFile bool
		age                                                              time.Duration
		want                                                             bool
	}{
		"a file in the working directory":                         {age: time.Hour, want: true},
		"a running program's own, there before":                   {age: time.Hour, running: true},
		"a running program's own, made since":                     {age: -time.Second, running: true, want: true},
		"made in the instant of the start":                        {running: true, want: true},
		"the first program, compiled in the instant of the start": {running: true, first: true},
		"a file elsewhere":                                        {age: -time.Hour, elsewhere: true},
		"a file elsewhere that it was handed over to write to":    {age: time.Hour, elsewhere: true, given: true, want: true},
		"an excepted file":                                        {age: -time.Hour, excepted: true},
		"no file":                                                 {age: time.Hour, elsewhere: true, notAFile: true, want: true},
		"unconfined: there before":                                {age: time.Hour, unconfined: true},
		"unconfined: made since":                                  {age: -time.Second, unconfined: true, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			path, st := file("file", x.age)
			c := code{started: unix.Timespec{Sec: 1000}, given: map[fileStamp]bool{}}
			if own := dir; !x.unconfined {
				if x.elsewhere {
					own += "/file/not"
				}
				c.confined = &confinement{own: []confine.Grant{{Path: own}}}
			}
			if x.excepted {
				c.except = policy.WXExceptions{Files: []string{path}}
			}
			if x.given {
				c.given[fileStamp{dev: st.Dev, ino: st.Ino}] = true
			}
			if x.first {
				c.first = stampOf(st)
			}
			if x.notAFile {
				st.Mode = unix.S_IFCHR
			}
			if got := c.changeable(path, st, x.running); got != x.want {
				t.Errorf("changeable is %v", got)
			}
		})
	}
}

// TestChangeableByAnotherPath: a directory of the program's has been given another name since, which a second mount
// of it does as well.
func TestChangeableByAnotherPath(t *testing.T) {
	base := t.TempDir()
	was, is := filepath.Join(base, "was"), filepath.Join(base, "is")
	path := filepath.Join(is, "d", "file")
	if err := os.MkdirAll(filepath.Join(was, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := newCode(&Cmd{Path: "/bin/true", confined: &confinement{own: []confine.Grant{{Path: was}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(was, is); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	if !c.changeable(path, &st, false) {
		t.Error("it cannot be changed")
	}
	if c.changeable("/bin/true", &st, false) {
		t.Error("so can what lies elsewhere")
	}
}

// TestMayWrite: what lies below what the program may write, and that itself.
func TestMayWrite(t *testing.T) {
	x := &confinement{own: []confine.Grant{{Path: "/work"}, {Path: "/tmp/x"}}}
	for path, want := range map[string]bool{
		"/work": true, "/work/a": true, "/workshop": false, "/": false, "/tmp": false, "/tmp/x/y/z": true, "/tmp/xy": false,
		"": false, "socket:[1]": false,
	} {
		if x.mayWrite(path) != want {
			t.Errorf("%q: %v", path, !want)
		}
	}
	if x.own = []confine.Grant{{Path: "/"}}; !x.mayWrite("/etc/passwd") {
		t.Error("nothing is below /")
	}
}
