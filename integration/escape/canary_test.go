package escape

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const untouched = "untouched"

// canary is a process outside of the sandbox that tells what was done to it (testdata/canary.c).
type canary struct {
	cmd   *exec.Cmd
	ask   io.WriteCloser
	lines *bufio.Scanner
	env   []string // where its things are
}

func startCanary(t *testing.T, u user, dir, secret string) *canary {
	t.Helper()
	tag := newTag()
	argv := slices.Concat(u.prefix, []string{compile(t, "canary"), dir, secret})
	cmd := command(context.Background(), "/", tag, []string{"PATH=" + searchPath, "CANARY=RUNSBX-SECRET in the environment"}, argv)
	c := &canary{cmd: cmd}
	var err error
	if c.ask, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.lines = bufio.NewScanner(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.ask.Close() // it tidies up
		cmd.Wait()
		killTagged(tag)
	})
	for c.lines.Scan() {
		line := c.lines.Text()
		if line == "ready" {
			return c
		}
		c.env = append(c.env, line)
	}
	t.Fatalf("the canary: %v", c.env)
	return nil
}

// hits says what was done to the canary.
func (c *canary) hits(t *testing.T) string {
	t.Helper()
	if _, err := io.WriteString(c.ask, "\n"); err != nil || !c.lines.Scan() {
		return "it is dead"
	}
	return strings.TrimSuffix(c.lines.Text(), ", ")
}

// onTerminal makes a new pseudo-terminal the command's controlling terminal and standard input.
func onTerminal(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	cmd.Stdin = slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
}
