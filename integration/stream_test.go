package integration

import (
	"strings"
	"testing"
)

// shellWrap starts a program from a shell that first does something to it: "$@" is the program
// natively, and runsbx with the program in the sandbox.
func shellWrap(script string) []string { return []string{"bash", "-c", script, "bash"} }

// TestStreams: closed, full, broken, large and shared standard streams.
func TestStreams(t *testing.T) {
	t.Parallel()
	inherited := guest(t, "inherited")
	big := strings.Repeat("0123456789abcdef", 1<<16)
	for name, p := range map[string]program{
		"stdin": {argv: []string{"cat"}, stdin: big, want: "0123456789abcdef0123"},
		"both ways": {
			argv:  []string{"tr", "a-f", "A-F"},
			stdin: big,
		},
		"stdin not read":        {argv: []string{"true"}, stdin: big},
		"stdin partly read":     {argv: []string{"head", "-c", "10"}, stdin: big},
		"stderr":                {argv: []string{"sh", "-c", "echo out; echo err >&2; cat /nonexistent"}, status: "exit 1"},
		"stdin is /dev/null":    {argv: []string{"cat"}, wrap: shellWrap(`exec "$@" </dev/null`)},
		"stdin is closed":       {argv: []string{inherited}, wrap: shellWrap(`exec "$@" <&-`)},
		"stdin closed, cat":     {argv: []string{"cat"}, wrap: shellWrap(`exec "$@" <&-`), status: "exit 1"},
		"stdout is closed":      {argv: []string{"echo", "x"}, wrap: shellWrap(`exec "$@" >&-`), status: "exit 1"},
		"stderr is closed":      {argv: []string{"ls", "/nonexistent"}, wrap: shellWrap(`exec "$@" 2>&-`), status: "exit 2"},
		"all are closed":        {argv: []string{"sh", "-c", "echo x; exit 4"}, wrap: shellWrap(`exec "$@" <&- >&- 2>&-`), status: "exit 4"},
		"stdout is full":        {argv: []string{"echo", "x"}, wrap: shellWrap(`exec "$@" >/dev/full`), status: "exit 1"},
		"stdout is read only":   {argv: []string{"echo", "x"}, wrap: shellWrap(`exec "$@" 1</dev/null`), status: "exit 1"},
		"stdin is a directory":  {argv: []string{"cat"}, wrap: shellWrap(`exec "$@" </`), status: "exit 1"},
		"stdout is a file":      {argv: []string{"seq", "5"}, wrap: shellWrap(`echo before > f; "$@" >> f; cat f`), want: "before\n1"},
		"stdin is a file":       {argv: []string{"head", "-n", "1"}, wrap: shellWrap(`seq 9 > f; { "$@"; cat | wc -l; } < f`)},
		"one descriptor is all": {argv: []string{"sh", "-c", "echo a; echo b >&2; echo c"}, wrap: shellWrap(`"$@" > f 2>&1; cat f`), want: "a\nb\nc"},
		"SIGPIPE": {
			argv: []string{"yes"},
			wrap: shellWrap(`"$@" | head -c 100 | wc -c; echo "${PIPESTATUS[@]}"`),
			want: "100\n141 0 0",
		},
		"SIGPIPE is ignored": {
			argv: []string{"yes"},
			wrap: shellWrap(`trap '' PIPE; "$@" 2>err | head -c 100 | wc -c; echo "${PIPESTATUS[@]}"; cat err`),
			want: "1 0 0",
		},
		"in a pipeline": {
			argv: []string{"sort", "-n"},
			wrap: shellWrap(`seq 50000 -1 1 | "$@" | head -n 3; echo "${PIPESTATUS[@]}"`),
		},
		"sockets": {argv: []string{"python3", "-c", `
import socket, os
a, b = socket.socketpair()
if os.fork() == 0:
    b.sendall(b"x" * 200000); os._exit(0)
a.settimeout(60)
n = 0
while n < 200000: n += len(a.recv(65536))
print(n)`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p.check(t)
		})
	}
}

// TestBackground: a process that outlives the first one finishes its work. Natively the shell
// returns at once and the work goes on; in the sandbox runsbx stays until the last process has
// ended, since none can live without its supervisor. The output is the same, and so is the status,
// which is the first process's.
func TestBackground(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"child":      `(sleep 0.2; echo late; echo done > file) & echo first; exit 5`,
		"daemon":     `setsid sh -c 'sleep 0.2; echo late' & echo first; exit 5`,
		"two levels": `( (sleep 0.1; echo late; sleep 0.1; exit 9) & ) ; echo first; exit 5`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program{argv: []string{"sh", "-c", script}, status: "exit 5", want: "first\nlate"}.check(t)
		})
	}
}
