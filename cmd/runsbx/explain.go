package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sandbox"
)

// maxExplained is how many ends are explained one by one.
const maxExplained = 20

// explainer tells on standard error which processes were ended by refusals, and by which.
type explainer struct{ count int }

// explain writes one line for the end of a process.
func (x *explainer) explain(e sandbox.End) {
	if x.count++; x.count <= maxExplained {
		writeLine(e.String())
	}
}

// close says how many were not explained.
func (x *explainer) close() {
	switch more := x.count - maxExplained; {
	case more == 1:
		writeLine("1 more process was ended by a refusal")
	case more > 1:
		writeLine(fmt.Sprintf("%d more processes were ended by refusals", more))
	}
}

// writeLine writes a line on standard error at once, so that it stays whole among the lines of others.
// It does not go through os.Stderr: a pipe that nobody reads would end us, and not the program.
func writeLine(s string) {
	unix.Write(2, []byte("runsbx: "+s+"\n"))
}
