package ptrace

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

const signals = `
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
int main() {
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, exit);
	if (!fork()) { kill(getppid(), SIGUSR1); raise(SIGWINCH); *(volatile char *)0x1234567000 = 1; }
	for (;;) pause();
}
`

// TestSignaled: the Handler is told of each signal before it works, with who sent it or where the
// fault was, and not of SIGKILL.
func TestSignaled(t *testing.T) {
	bin := compile(t, "signals", signals)
	var mu sync.Mutex
	seen := map[unix.Signal]Signal{}
	child := 0
	c := &counter{}
	c.created = func(_, tid int, _ uint64) { child = tid }
	c.signaled = func(tid int, sig *Signal) {
		mu.Lock()
		defer mu.Unlock()
		seen[sig.Number] = *sig
	}
	var pid int
	c.exec = func(tid, _ int) { pid = tid }
	c.exited = func(tid int, ws unix.WaitStatus) {
		if tid == child {
			if ws.Signal() != unix.SIGSEGV {
				t.Errorf("the child ended with %#x", uint32(ws))
			}
			unix.Kill(pid, unix.SIGUSR2)
		}
	}
	run(t, Config{Path: bin, Args: []string{bin}}.with(c))
	mu.Lock()
	defer mu.Unlock()
	const siTkill = -6
	for _, want := range []Signal{
		{Number: unix.SIGUSR1, Sender: child}, {Number: unix.SIGUSR2, Sender: unix.Getpid()},
		{Number: unix.SIGWINCH, Code: siTkill, Sender: child},
		{Number: unix.SIGSEGV, Code: 1, Addr: 0x1234567000},
	} {
		got := seen[want.Number]
		if got.Code != want.Code || want.Sender != 0 && got.Sender != want.Sender || want.Addr != 0 && got.Addr != want.Addr {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}
