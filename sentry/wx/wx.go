// Package wx decides what may be executed where writable memory must never be (W^X): no page that the
// program could write before or can write now, under whatever address. It is pure; whether a file can
// be changed is for its caller to find out.
//
// What can be executed at all are pages of files that the program cannot change, mapped privately or
// shared, as long as the mapping has never been writable:
//
//	mmap(file, R X) ───────────► may be executed
//	mmap(file, R W) ─ mprotect R ─ mprotect R X      refused: its private pages may have been written
//	mmap(anonymous, none) ─ mprotect R X             refused: it has no file
//
// Since memory without a file is never executed, only private mappings of files have a History.
package wx

import (
	"fmt"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/mm"
)

// Mode says what becomes of memory that must not be executed.
type Mode uint8

const (
	// Allow allows it.
	Allow Mode = iota
	// Audit allows and reports it.
	Audit
	// Deny refuses it.
	Deny
)

// Reason is why memory may not be executed; "" is no reason.
type Reason string

// The reasons.
const (
	Writable   Reason = "writable and executable at once"
	NoFile     Reason = "memory of no file"
	Written    Reason = "private pages that the program could write before"
	Changeable Reason = "a file that the program can change"
)

// Judge returns why the VMA, of which r is looked at, may not be executed. changeable is asked only
// where the answer depends on it.
func Judge(v *mm.VMA, r hostarch.AddrRange, h *History, changeable func(*mm.File) (bool, error)) (Reason, error) {
	special := v.Rare != nil && v.Rare.Special != ""
	switch {
	case v.Flags&mm.VM_EXEC == 0:
		return "", nil
	case v.Flags&mm.VM_WRITE != 0:
		return Writable, nil
	case v.File == nil && !special:
		return NoFile, nil
	case h.Overlaps(r):
		return Written, nil
	case special:
		return "", nil // of the kernel's own making, such as the vdso
	}
	switch v.File.Kind {
	case mm.Regular, mm.Shmem: // a tmpfs has named files, too
	default:
		return NoFile, nil
	}
	if yes, err := changeable(v.File); err != nil || !yes {
		return "", err
	}
	return Changeable, nil
}

// Finding is memory that was to be executed and must not be.
type Finding struct {
	Range  hostarch.AddrRange
	File   string // its path as /proc/PID/maps has it; "" where there is none
	Offset uint64 // of the range in the file, bytes
	Reason Reason
}

// FindingOf returns the finding about r, a part of the VMA at whole.
func FindingOf(whole, r hostarch.AddrRange, v *mm.VMA, why Reason) *Finding {
	f := &Finding{Range: r, Reason: why}
	if v.File != nil {
		f.File = v.File.Name
		f.Offset = v.PgOff<<hostarch.PageShift + uint64(r.Start-whole.Start)
	}
	return f
}

// String returns what a person wants to know of it, such as
// "private pages that the program could write before (/usr/lib/libx.so)".
func (f *Finding) String() string {
	if f.File == "" {
		return string(f.Reason)
	}
	return fmt.Sprintf("%s (%s)", f.Reason, f.File)
}
