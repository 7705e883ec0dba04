package main

import (
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"runsbx": main})
}

// TestScripts runs testdata/script. Besides testscript's own commands there is
//
//	ends STATUS COMMAND...   the command exits with the number STATUS, or by a signal such as SIGTERM
//	complains TEXT           standard error is the one line "runsbx: TEXT", standard output is empty
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"ends":      endsWith,
			"complains": complains,
		},
	})
}

func endsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: ends STATUS COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		ws := exit.Sys().(syscall.WaitStatus)
		got = strconv.Itoa(ws.ExitStatus())
		if ws.Signaled() {
			got = signalName(ws.Signal())
		}
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != args[0] {
		ts.Fatalf("%q ended with %s, want %s", args[1:], got, args[0])
	}
}

func signalName(sig syscall.Signal) string {
	names := map[syscall.Signal]string{
		syscall.SIGTERM: "SIGTERM", syscall.SIGSEGV: "SIGSEGV", syscall.SIGKILL: "SIGKILL",
		syscall.SIGQUIT: "SIGQUIT", syscall.SIGPIPE: "SIGPIPE",
	}
	return names[sig]
}

func complains(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: complains TEXT")
	}
	if got := ts.ReadFile("stdout"); got != "" {
		ts.Fatalf("standard output is %q, want nothing", got)
	}
	got := ts.ReadFile("stderr")
	if want := "runsbx: " + args[0] + "\n"; got != want {
		ts.Fatalf("standard error is\n%swant\n%s", got, want)
	}
	if strings.Count(got, "\n") != 1 {
		ts.Fatalf("standard error is not one line:\n%s", got)
	}
}
