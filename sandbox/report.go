package sandbox

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sentry/blame"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/wx"
)

// ReportSchema is the version of Report's JSON form.
const ReportSchema = 1

// maxListed bounds the refusals and drifts that a report lists one by one; all are counted.
const maxListed = 100

// Report says what happened in a sandbox.
type Report struct {
	Schema   int      `json:"schema"`
	Program  []string `json:"program"`
	Cause    Cause    `json:"cause"` // what ended the program's first process
	ExitCode int      `json:"exit_code"`
	Signal   string   `json:"signal,omitempty"`
	Failure  string   `json:"failure,omitempty"` // with cause "runsbx", or "limit" when it could not start
	// EndedBy is the refusal that is the cause.
	EndedBy   *RefusalRecord `json:"ended_by,omitempty"`
	Processes uint64         `json:"processes"`
	Threads   uint64         `json:"threads"` // all tasks, the processes' first threads included
	Execs     uint64         `json:"execs"`

	Calls      map[string]CallCount `json:"calls"`
	Peak       Peak                 `json:"peak"`
	Refused    uint64               `json:"refused"`  // calls that a limit refused
	Refusals   []RefusalRecord      `json:"refusals"` // the first of them
	Ended      uint64               `json:"ended"`    // processes that a refusal ended, the first one or others
	Ends       []RefusalRecord      `json:"ends"`     // the refusals that ended the first of them
	Verified   uint64               `json:"verified"` // comparisons with the kernel's list
	Hidden     uint64               `json:"hidden"`   // processes that could not be looked at, so that nothing was decided
	DriftCount uint64               `json:"drift_count"`
	Drift      []string             `json:"drift"` // the first of them

	// WXCount is how often memory was to be executed that was or is writable, or that programs can change,
	// and WX the first of these. They are looked for unless the policy allows all.
	WXCount uint64     `json:"wx_count"`
	WX      []WXRecord `json:"wx"`

	Confinement Confinement `json:"confinement"` // what was enforced besides the memory manager
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

// RefusalRecord is a call that was refused, or the growth of a stack. Used, Wanted and Limit are bytes,
// VMAs for map-count, or tasks for procs.
type RefusalRecord struct {
	PID      int    `json:"pid"`
	TID      int    `json:"tid"`
	Program  string `json:"program"`
	Call     string `json:"call"`         // "growth" for a stack
	IP       string `json:"ip,omitempty"` // where the call was made, hexadecimal: JSON numbers have 53 bits
	Asked    uint64 `json:"asked"`        // bytes that the call asked for; 0 when it asked for something else
	Kind     string `json:"kind"`         // who refused: "limit", "policy" or "injected"
	Resource string `json:"resource"`
	Used     uint64 `json:"used"`
	Wanted   uint64 `json:"wanted"`
	Limit    uint64 `json:"limit"`
	Errno    string `json:"errno"`

	by *limits.Refusal
}

// WXRecord is memory that was to be executed and must not be (W^X).
type WXRecord struct {
	PID     int    `json:"pid"`
	TID     int    `json:"tid"`
	Program string `json:"program"`
	Call    string `json:"call"`
	IP      string `json:"ip,omitempty"`   // where the call was made, hexadecimal
	File    string `json:"file,omitempty"` // what is mapped there; none for memory of its own
	Offset  uint64 `json:"offset"`         // in the file, bytes
	Size    uint64 `json:"size"`           // bytes; 0 where the call names none
	Addr    string `json:"addr,omitempty"` // hexadecimal
	Why     string `json:"why"`
	Denied  bool   `json:"denied"`
}

// judge records a finding.
func (r *Report) judge(t *kernel.Task, c *kernel.Call, f *wx.Finding, denied bool) WXRecord {
	rec := WXRecord{
		PID: t.Group.TGID, TID: t.TID, Program: t.Group.Name, Call: linux.SyscallName(c.Nr),
		File: f.File, Offset: f.Offset, Size: f.Range.Length(), Why: string(f.Reason), Denied: denied,
	}
	if c.IP != 0 {
		rec.IP = "0x" + strconv.FormatUint(c.IP, 16)
	}
	if f.Range.Start != 0 {
		rec.Addr = "0x" + strconv.FormatUint(uint64(f.Range.Start), 16)
	}
	r.WXCount++
	if len(r.WX) < maxListed {
		r.WX = append(r.WX, rec)
	}
	return rec
}

// recordOf returns what a report says of a refusal.
func recordOf(r *blame.Refusal) RefusalRecord {
	f := r.Why
	rec := RefusalRecord{
		PID: r.PID, TID: r.TID, Program: r.Program, Call: r.Call, Asked: r.Asked, Kind: f.Kind.String(),
		Resource: string(f.Resource), Used: f.Used, Wanted: f.Wanted, Limit: f.Limit, Errno: f.Errno.Name(), by: f,
	}
	if r.Place.IP != 0 {
		rec.IP = "0x" + strconv.FormatUint(r.Place.IP, 16)
	}
	return rec
}

func newReport(c *Cmd) Report {
	return Report{
		Schema:   ReportSchema,
		Program:  slices.Clone(c.argv()),
		Calls:    make(map[string]CallCount),
		Refusals: []RefusalRecord{},
		Ends:     []RefusalRecord{},
		Drift:    []string{},
		WX:       []WXRecord{},

		Confinement: Confinement{Profile: c.Policy.Seccomp},
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

func (r *Report) refuse(by *blame.Refusal) {
	r.Refused++
	if len(r.Refusals) < maxListed {
		r.Refusals = append(r.Refusals, recordOf(by))
	}
}

// ended records that a process was ended by a refusal.
func (r *Report) ended(by *RefusalRecord) {
	r.Ended++
	if len(r.Ends) < maxListed {
		r.Ends = append(r.Ends, *by)
	}
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

func (r *Report) finish(status unix.WaitStatus, k *kernel.Kernel, e *ends, failed error) {
	p := &k.Peaks
	_, committed := k.Committed()
	r.Peak = Peak{MapCount: p.MapCount, TotalVM: p.TotalVM, DataVM: p.DataVM, LockedVM: p.LockedVM, Commit: committed}
	switch {
	case failed != nil:
		r.Cause, r.Failure, r.ExitCode = CauseRunsbx, failed.Error(), -1
		return
	case status.Signaled():
		r.Cause, r.ExitCode, r.Signal = CauseSignal, -1, unix.SignalName(syscall.Signal(status.Signal()))
	default:
		r.Cause, r.ExitCode = CauseExited, status.ExitStatus()
	}
	if e.by != nil {
		r.Cause, r.EndedBy = e.cause, e.by
	}
}

// cannotStart records that limits kept the program from starting.
func (r *Report) cannotStart(e *LimitError) {
	r.Cause, r.Failure, r.ExitCode = CauseLimit, e.Error(), -1
	errno := linux.ENOMEM
	if e.Err == unix.E2BIG {
		errno = linux.E2BIG
	}
	for _, l := range e.Limits {
		r.Refused++
		r.Refusals = append(r.Refusals, RefusalRecord{
			Program: filepath.Base(e.Path), Call: "execve", Kind: limits.ByLimit.String(), Resource: l.Name, Wanted: l.Needs,
			Limit: l.Limit, Errno: errno.Name(),
		})
	}
	if len(r.Refusals) > 0 {
		r.EndedBy = &r.Refusals[0]
	}
}

func (r *Report) clone() *Report {
	c := *r
	c.Calls = maps.Clone(r.Calls)
	c.Refusals = slices.Clone(r.Refusals)
	c.Ends = slices.Clone(r.Ends)
	c.Drift = slices.Clone(r.Drift)
	c.WX = slices.Clone(r.WX)
	c.Confinement = r.Confinement.cloneOf()
	return &c
}
