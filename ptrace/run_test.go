package ptrace

import (
	"testing"
)

func TestShell(t *testing.T) {
	for _, tt := range []struct {
		name, script, out string
		exit              int
	}{
		{"true", "exec /bin/true", "", 0},
		{"status", "exit 7", "", 7},
		{"echo", "echo hello", "hello\n", 0},
		{"pipe", "echo b a | tr ' ' '\\n' | sort | cat", "a\nb\n", 0},
		{"background", "sleep 0.05 & wait; echo done", "done\n", 0},
		{"many", "for i in 1 2 3 4 5 6 7 8; do (echo x; /bin/true) & done; wait", "x\nx\nx\nx\nx\nx\nx\nx\n", 0},
		{"outlived", "(sleep 0.1; echo late) & exit 3", "late\n", 3},
		{"trap", "trap 'echo caught; exit 5' TERM; kill -TERM $$; exit 1", "caught\n", 5},
		{"killed child", "exec 2>/dev/null; sh -c 'kill -9 $$'; echo $?", "137\n", 0},
		{"substitution", "echo $(echo $(echo deep))", "deep\n", 0},
		{"big pipe", "head -c 3000000 /dev/zero | wc -c", "3000000\n", 0},
		{"stopped child", "exec 2>/dev/null; sleep 5 & kill -STOP $!; kill -CONT $!; kill -TERM $!; wait $!; echo $?", "143\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &counter{}
			res := run(t, shell(tt.script).with(c))
			wantOut(t, res, tt.out, tt.exit)
			if c.get("enter 9") == 0 || c.get("enter 12") == 0 {
				t.Error("no calls stopped:", c.counts)
			}
		})
	}
}
