package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestInherited: the program starts with the same arguments, environment, descriptors, signals,
// limits and directory as natively. testdata/inherited.c prints them.
func TestInherited(t *testing.T) {
	t.Parallel()
	inherited := guest(t, "inherited")
	long := strings.Repeat("a", 100_000)
	many := make([]string, 5000)
	for i := range many {
		many[i] = fmt.Sprintf("argument-%d", i)
	}
	linkProg := func(t *testing.T, dir string) {
		os.Mkdir(filepath.Join(dir, "sub"), 0o755)
		if err := os.Symlink(inherited, filepath.Join(dir, "sub", "prog")); err != nil {
			t.Fatal(err)
		}
	}
	for name, p := range map[string]program{
		"as it is":    {argv: []string{inherited, "one", "", "two words"}, want: "argv[2]  (0)"},
		"long":        {argv: []string{inherited, long, long, "end"}, want: "(100000)"},
		"many":        {argv: append([]string{inherited}, many...), want: "argc 5001"},
		"odd bytes":   {argv: []string{inherited, "\xff\x01\n\t'\"", "--", "-"}},
		"large env":   {argv: []string{inherited}, env: []string{"BIG=" + long, "EMPTY=", "=odd", "ODD"}},
		"descriptors": {argv: []string{inherited}, wrap: shellWrap(`exec 5</dev/null 7>/dev/null 33</; exec "$@"`), want: "fd 33"},
		"used descriptor": {
			argv: []string{"sh", "-c", "cat <&5; echo to six >&6"},
			wrap: shellWrap(`exec 5< <(echo from five) 6>out; "$@"; cat out`),
			want: "from five\nto six",
		},
		"ignored signals": {argv: []string{inherited}, wrap: shellWrap(`trap '' HUP INT QUIT TERM PIPE USR1 CHLD; exec "$@"`), want: "signal 15 is ignored"},
		"nohup":           {argv: []string{inherited}, wrap: []string{"nohup"}, want: "signal 1 is ignored"},
		"ignored TERM":    {argv: []string{"sh", "-c", "kill -TERM $$; echo alive"}, wrap: shellWrap(`trap '' TERM; exec "$@"`), want: "alive"},
		"blocked signals": {argv: []string{inherited}, wrap: []string{"python3", "-c", `
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGALRM, signal.SIGWINCH, 40})
os.execvp(sys.argv[1], sys.argv[1:])`}, want: "signal 40 is blocked"},
		"umask":           {argv: []string{inherited}, wrap: shellWrap(`umask 0137; exec "$@"`), want: "umask 0137"},
		"nice":            {argv: []string{inherited}, wrap: []string{"nice", "-n", "7"}, want: "nice 7"},
		"limits":          {argv: []string{inherited}, wrap: shellWrap(`ulimit -c 0 -f 100000 -l 128 -s 4096 -t 900; exec "$@"`), want: "limit 3: 4194304"},
		"unlimited stack": {argv: []string{"sh", "-c", "ulimit -s; cat /proc/self/maps | wc -l >/dev/null"}, wrap: shellWrap(`ulimit -s unlimited; exec "$@"`), want: "unlimited"},
		"tiny stack":      {argv: []string{"sh", "-c", "ulimit -s; cat /proc/self/maps >/dev/null"}, wrap: shellWrap(`ulimit -s 200; exec "$@"`), want: "200"},
		"stack raised":    {argv: []string{"sh", "-c", "ulimit -s unlimited; cat /proc/self/maps >/dev/null; ulimit -s 4000000; exec cat /proc/self/comm"}, want: "cat"},
		"old layout":      {argv: []string{"sh", "-c", "cat /proc/self/maps >/dev/null; cat /proc/self/comm"}, wrap: []string{"setarch", "-L"}, want: "cat"},
		"few descriptors": {argv: []string{inherited}, wrap: shellWrap(`ulimit -n 40; exec "$@"`), want: "limit 7: 40 40"},
		"soft limit":      {argv: []string{inherited}, wrap: shellWrap(`ulimit -Sn 100; exec "$@"`), want: "limit 7: 100"},
		"deleted directory": {
			argv: []string{inherited},
			wrap: shellWrap(`mkdir gone; cd gone; rmdir ../gone; exec "$@"`),
			want: "cwd No such file",
		},
		"relative program": {
			argv:  []string{"./sub/prog"},
			setup: linkProg,
			want:  "execfn ./sub/prog",
		},
		"found in PATH":   {argv: []string{"sh", "-c", "echo $0; cat /proc/$$/comm; tr '\\0' '|' < /proc/$$/cmdline"}, want: "sh\n"},
		"PATH of its own": {argv: []string{"prog"}, setup: linkProg, wrap: []string{"env", "PATH=sub:" + searchPath()}, want: "execfn sub/prog"},
		"name of process": {argv: []string{"cat", "/proc/self/comm"}, want: "cat"},
		"new session":     {argv: []string{inherited}, wrap: []string{"setsid", "--wait"}},
		"no new privs":    {argv: []string{"grep", "^Cap", "/proc/self/status"}, wrap: []string{"setpriv", "--no-new-privs"}},
		"credentials":     {argv: []string{"sh", "-c", "id; grep -E '^(Uid|Gid|Groups|Cap|SigIgn|SigBlk)' /proc/self/status"}},
		"affinity":        {argv: []string{"sh", "-c", "taskset -p $$ | sed 's/.*://'; nproc"}, wrap: []string{"taskset", "1"}, want: "1"},
		"its own limits":  {argv: []string{"sh", "-c", "ulimit -v 100000; ulimit -v; python3 -c 'x = bytearray(200 << 20)' 2>&1 | tail -1; ulimit -d 50000; exec cat /proc/self/limits"}, want: "MemoryError"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p.check(t)
		})
	}
	// An empty environment: even the tag of the tests is taken away.
	t.Run("empty environment", func(t *testing.T) {
		t.Parallel()
		program{argv: []string{inherited}, wrap: shellWrap(`exec env -i "$@"`)}.check(t)
	})
	t.Run("no environment, no arguments of a script", func(t *testing.T) {
		t.Parallel()
		program{
			argv:  []string{"./script"},
			files: map[string]string{"script": "#!/usr/bin/sed -n -e p\nline\n"},
			wrap:  shellWrap(`exec "$@" < /dev/null`),
			// Linux passes all after the interpreter as one argument: sed complains.
			status: "exit 1",
		}.check(t)
	})
}

// TestLimitsBind: limits that the program inherited bind it as natively, and not runsbx itself.
func TestLimitsBind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ limit, want string }{
		"address space": {"-v 2000000", "MemoryError"}, // less than a gigabyte is not enough for runsbx, a Go program
		"data":          {"-d 500000", "MemoryError"},
		"stack":         {"-s 512", "done"},
		"locked":        {"-l 64", "done"},
		"file size":     {"-f 10", "done"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program{
				argv: []string{"python3", "-c", `
import mmap
try:
    x = [mmap.mmap(-1, 10 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for i in range(400)]
except (MemoryError, OSError):
    print("MemoryError")
print("done")`},
				wrap: shellWrap(`ulimit ` + c.limit + `; exec "$@"`),
				want: c.want,
				// As an ordinary user: root may lock and exceed what it likes.
				asUser: true,
			}.check(t)
		})
	}
}

// TestLowLimits: a limit that is too low for runsbx itself gets one line and status 125.
func TestLowLimits(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"address space": `ulimit -v 400000; exec "$@"`,
		"data":          `ulimit -d 60000; exec "$@"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := base(t)
			argv := []string{"sh", "-c", script, "sh", runsbx, "run", "--", "touch", "ran"}
			r := runBounded(t, argv, dir, program{}.environment(dir), "", 0)
			if r.status != "exit 125" || r.stdout != "" {
				t.Errorf("%s, stdout %q", r.status, r.stdout)
			}
			oneLine(t, r.stderr)
		})
	}
}
