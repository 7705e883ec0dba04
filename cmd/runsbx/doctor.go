package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/runsbx/runsbx/sandbox"
	"github.com/runsbx/runsbx/sandbox/policy"
)

// diagnosis is what doctor prints.
type diagnosis struct {
	Schema      int           `json:"schema"`
	Version     string        `json:"version"`
	CanRun      bool          `json:"can_run"`
	Reason      string        `json:"reason,omitempty"` // why it cannot
	Host        *sandbox.Host `json:"host"`
	Enforced    []string      `json:"enforced"`     // of a program that run confines
	NotEnforced []string      `json:"not_enforced"` // cannot be had on this host
	NotBuilt    []string      `json:"not_built"`    // flags of run that this version refuses
}

func newDoctor(res *result) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "say what this host offers and what could not be enforced",
		Long: `Say what this host offers and what could not be enforced.

A small program is run in a sandbox as a trial, confined. The exit status is 0 when
"runsbx run" works here, and 125 otherwise.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := diagnose()
			if err != nil {
				return err
			}
			show := d.print
			if asJSON {
				show = d.printJSON
			}
			if err := show(c.OutOrStdout()); err != nil {
				return err
			}
			if !d.CanRun {
				*res = failed(fmt.Errorf("run cannot work here: %s", d.Reason))
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func diagnose() (*diagnosis, error) {
	host, err := sandbox.Probe()
	if err != nil {
		return nil, err
	}
	d := &diagnosis{Schema: 1, Version: version, Host: host, Enforced: host.Enforced(), NotEnforced: host.NotEnforced()}
	for _, f := range runFlags {
		if f.built != nil {
			d.NotBuilt = append(d.NotBuilt, notBuiltName(f))
		}
	}
	if err = host.CanRun(); err == nil {
		err = trial()
	}
	d.CanRun = err == nil
	if err != nil {
		d.Reason = err.Error()
	}
	return d, nil
}

// notBuiltName is the flag, and where only some of its values are refused, which are not.
func notBuiltName(f flag) string {
	switch f.name {
	}
	return "--" + f.name
}

// trial runs "runsbx version" in a sandbox.
func trial() error {
	const enough = 20 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), enough)
	defer cancel()
	cmd := sandbox.CommandContext(ctx, "/proc/self/exe", "version")
	cmd.Args[0] = "runsbx"
	cmd.Policy.Verify = policy.VerifyEvery
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("a trial run failed: %w", err)
	}
	if cmd.Report().Verified == 0 {
		return errors.New("a trial run was not verified")
	}
	return nil
}

func (d *diagnosis) printJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(d)
}

func (d *diagnosis) print(w io.Writer) error {
	h := d.Host
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("kernel", "%s", h.Kernel)
	row("libseccomp", "%s", h.Libseccomp)
	row("seccomp trace", "%s", yes(h.Seccomp.Trace))
	row("seccomp notification", "%s", yes(h.Seccomp.UserNotif && h.Seccomp.NewListener))
	row("  wait killable", "%s", yes(h.Seccomp.WaitKillableRecv))
	row("  synchronous wake-up", "%s", orSlower(h.Seccomp.SyncWakeUp))
	row("ptrace", "%s", yes(h.Ptrace.Trace))
	row("  seize", "%s", yes(h.Ptrace.Seize))
	row("  get syscall info", "%s", yes(h.Ptrace.GetSyscallInfo))
	row("  set syscall info", "%s", orSlower(h.Ptrace.SetSyscallInfo))
	row("  yama scope", "%s", orNone(h.Ptrace.YamaScope))
	row("process_vm_readv", "%s", yes(h.Ptrace.ReadMemory))
	row("pidfd_getfd", "%s", yes(h.Ptrace.PidfdGetfd))
	row("no randomization", "%s", yes(h.Personality))
	row("landlock", "%s", landlock(h.Landlock))
	row("user namespaces", "%s", yes(h.UserNS))
	row("cgroup", "%s", h.Cgroup)
	row("transparent huge pages", "%s", orNone(h.THP))
	row("under a filter itself", "%s", yes(h.Confined))
	row("capabilities", "%s", orNone(strings.Join(h.Capabilities, " ")))
	for _, name := range slices.Sorted(maps.Keys(h.Sysctls)) {
		row(name, "%s", h.Sysctls[name])
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var b strings.Builder
	section(&b, "Enforced by run without --unconfined:", d.Enforced)
	section(&b, "Not enforceable on this host:", d.NotEnforced)
	section(&b, "Not built in this version (refused when asked for):", d.NotBuilt)
	if d.CanRun {
		b.WriteString("\nrunsbx run works here (a trial run was verified).\n")
	} else {
		b.WriteString("\nrunsbx run does not work here.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func section(b *strings.Builder, title string, lines []string) {
	fmt.Fprintf(b, "\n%s\n", title)
	if len(lines) == 0 {
		b.WriteString("  nothing\n")
	}
	for _, line := range lines {
		fmt.Fprintf(b, "  %s\n", line)
	}
}

func yes(ok bool) string {
	if ok {
		return "yes"
	}
	return "no"
}

func orSlower(ok bool) string {
	if ok {
		return "yes"
	}
	return "no (only slower)"
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func landlock(abi int) string {
	if abi == 0 {
		return "no"
	}
	return fmt.Sprintf("ABI %d", abi)
}
