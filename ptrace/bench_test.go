package ptrace

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp"
)

// callLoop makes a call that does nothing n times and prints the nanoseconds that one took, in the
// best 50 in a row: that says something on a busy machine, too.
const callLoop = `
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(int c, char **v) {
	long nr = atol(v[1]), n = atol(v[2]);
	double best = 1e18;
	for (long i = 0; i < n; i += 50) {
		struct timespec a, b;
		clock_gettime(CLOCK_MONOTONIC, &a);
		for (int k = 0; k < 50; k++) syscall(nr, 1, 2, 3, 4, 5, 6);
		clock_gettime(CLOCK_MONOTONIC, &b);
		double d = ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / 50;
		if (d < best) best = d;
	}
	printf("%.0f\n", best);
	return 0;
}
`

// quiet is a Handler without cost.
type quiet struct{ action Action }

func (q *quiet) SyscallEnter(int, *Syscall) Action              { return q.action }
func (q *quiet) SyscallExit(_ int, _ *Syscall, ret int64) int64 { return ret }
func (q *quiet) Created(int, int, uint64)                       {}
func (q *quiet) Exec(int, int)                                  {}
func (q *quiet) Signaled(int, *Signal) bool                     { return false }
func (q *quiet) Exiting(int)                                    {}
func (q *quiet) Exited(int, unix.WaitStatus)                    {}
func (q *quiet) Proved(int)                                     {}

// BenchmarkCall measures what the program waits for each call.
func BenchmarkCall(b *testing.B) {
	bin := compile(b, "callloop", callLoop)
	for _, bm := range []struct {
		name   string
		act    seccomp.Act
		action Action
	}{
		{"allowed", seccomp.Allow, Action{}},
		{"notification", seccomp.Notify, Action{Kind: Continue}},
		{"notification,return", seccomp.Notify, Action{Kind: Return}},
		{"stop", seccomp.Trace, Action{Kind: Continue}},
		{"stop,return", seccomp.Trace, Action{Kind: Return}},
		{"stop,finish", seccomp.Trace, Action{Kind: Finish}},
		{"stop,rewrite2", seccomp.Trace, Action{Kind: Rewrite, Args: [6]uint64{9, 2, 3, 9, 5, 6}}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			f, err := seccomp.Filter{Rules: []seccomp.Rule{{Nr: unix.SYS_GETPPID, Act: bm.act}}}.Export()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			cfg := Config{Path: bin, Args: []string{bin, fmt.Sprint(unix.SYS_GETPPID), fmt.Sprint(b.N)}, Filter: f}
			res := run(b, cfg.with(&quiet{bm.action}))
			ns, err := strconv.ParseFloat(strings.TrimSpace(res.out), 64)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(ns, "best-ns/call")
		})
	}
}

// BenchmarkStart measures a whole program.
func BenchmarkStart(b *testing.B) {
	f := filter(b)
	for b.Loop() {
		tr, err := begin(Config{Path: "/bin/true", Args: []string{"true"}, Filter: f, Handler: &quiet{}})
		if err != nil {
			b.Fatal(err)
		}
		tr.Wait()
	}
}
