package sandbox

import (
	"maps"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/linux"
)

// ReportSchema is the version of Report's JSON form.
const ReportSchema = 1

// maxListed bounds the refusals and drifts that a report lists one by one; all are counted.
const maxListed = 100

// Report says what happened in a sandbox.
type Report struct {
	Schema    int      `json:"schema"`
	Program   []string `json:"program"`
	Cause     string   `json:"cause"` // what ended the program: "exited", "signal", "limit" (it could not start) or "runsbx"
	ExitCode  int      `json:"exit_code"`
	Signal    string   `json:"signal,omitempty"`
	Failure   string   `json:"failure,omitempty"` // with cause "runsbx" or "limit"
	Processes uint64   `json:"processes"`
	Threads   uint64   `json:"threads"` // all tasks, the processes' first threads included
	Execs     uint64   `json:"execs"`

	Calls      map[string]CallCount `json:"calls"`
	Peak       Peak                 `json:"peak"`
	Refused    uint64               `json:"refused"`  // calls that a limit refused
	Refusals   []RefusalRecord      `json:"refusals"` // the first of them
	Verified   uint64               `json:"verified"` // comparisons with the kernel's list
	Hidden     uint64               `json:"hidden"`   // processes that could not be looked at, so that nothing was decided
	DriftCount uint64               `json:"drift_count"`
	Drift      []string             `json:"drift"` // the first of them

	Confinement string `json:"confinement"` // what was enforced besides the memory manager
}

// CallCount counts the decisions on one system call.
type CallCount struct {
	Decided uint64 `json:"decided"`
	Failed  uint64 `json:"failed"` // of these, answered with an errno
}

// Peak holds the largest values that one address space reached, in bytes (MapCount is VMAs), and that the
// tree did.
type Peak struct {
	MapCount int    `json:"map_count"`
	TotalVM  uint64 `json:"total_vm"`
	DataVM   uint64 `json:"data_vm"`
	LockedVM uint64 `json:"locked_vm"`
	// Commit is what the whole tree had committed at most, in bytes; 0 where that was not counted.
	Commit uint64 `json:"commit"`
}

// RefusalRecord is a call that a limit refused. Used, Wanted and Limit are bytes, or VMAs for
// map-count.
type RefusalRecord struct {
	PID      int    `json:"pid"`
	TID      int    `json:"tid"`
	Program  string `json:"program"`
	Call     string `json:"call"`
	Resource string `json:"resource"`
	Used     uint64 `json:"used"`
	Wanted   uint64 `json:"wanted"`
	Limit    uint64 `json:"limit"`
	Errno    string `json:"errno"`
}

func newReport(c *Cmd) Report {
	return Report{
		Schema:      ReportSchema,
		Program:     slices.Clone(c.argv()),
		Calls:       make(map[string]CallCount),
		Refusals:    []RefusalRecord{},
		Drift:       []string{},
		Confinement: "none (memory manager only)",
	}
}

func (r *Report) count(c *kernel.Call, v *kernel.Verdict) {
	name := linux.SyscallName(c.Nr)
	n := r.Calls[name]
	n.Decided++
	if v.Result.Errno != 0 {
		n.Failed++
	}
	r.Calls[name] = n
}

func (r *Report) refuse(t *kernel.Task, c *kernel.Call, v *kernel.Verdict) {
	r.Refused++
	if len(r.Refusals) >= maxListed {
		return
	}
	f := v.Result.Refusal
	r.Refusals = append(r.Refusals, RefusalRecord{
		PID: t.Group.TGID, TID: t.TID, Program: t.Group.Name, Call: linux.SyscallName(c.Nr),
		Resource: string(f.Resource), Used: f.Used, Wanted: f.Wanted, Limit: f.Limit, Errno: f.Errno.Name(),
	})
}

func (r *Report) drift(t *kernel.Task, d *kernel.Drift) {
	r.DriftCount++
	if len(r.Drift) < maxListed {
		r.Drift = append(r.Drift, t.Group.Name+": "+d.Error())
	}
}

func (r *Report) created(flags uint64) {
	r.Threads++
	if flags&linux.CLONE_THREAD == 0 {
		r.Processes++
	}
}

func (r *Report) finish(status unix.WaitStatus, k *kernel.Kernel, failed error) {
	p := &k.Peaks
	_, committed := k.Committed()
	r.Peak = Peak{MapCount: p.MapCount, TotalVM: p.TotalVM, DataVM: p.DataVM, LockedVM: p.LockedVM, Commit: committed}
	switch {
	case failed != nil:
		r.Cause, r.Failure, r.ExitCode = "runsbx", failed.Error(), -1
	case status.Signaled():
		r.Cause, r.ExitCode, r.Signal = "signal", -1, unix.SignalName(syscall.Signal(status.Signal()))
	default:
		r.Cause, r.ExitCode = "exited", status.ExitStatus()
	}
}

// cannotStart records that limits kept the program from starting.
func (r *Report) cannotStart(e *LimitError) {
	r.Cause, r.Failure, r.ExitCode = "limit", e.Error(), -1
	for _, l := range e.Limits {
		r.Refused++
		r.Refusals = append(r.Refusals, RefusalRecord{
			Program: filepath.Base(e.Path), Call: "execve", Resource: l.Name, Wanted: l.Needs, Limit: l.Limit,
			Errno: linux.ENOMEM.Name(),
		})
	}
}

func (r *Report) clone() *Report {
	c := *r
	c.Calls = maps.Clone(r.Calls)
	c.Refusals = slices.Clone(r.Refusals)
	c.Drift = slices.Clone(r.Drift)
	return &c
}
