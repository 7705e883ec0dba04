// Package hostarch holds addresses, address ranges and the page arithmetic of amd64.
//
// All addresses and lengths are in bytes; ranges are half-open.
package hostarch

import "strconv"

// Page geometry of amd64.
const (
	PageShift    = 12
	PageSize     = 1 << PageShift
	HugePageSize = 2 << 20 // one PMD entry
)

// Addr is a virtual address of the guest.
type Addr uint64

// PageOffset returns the address's offset in its page.
func (a Addr) PageOffset() uint64 { return uint64(a) & (PageSize - 1) }

// IsPageAligned reports whether the address starts a page.
func (a Addr) IsPageAligned() bool { return a.PageOffset() == 0 }

// RoundDown returns the start of the page that holds a.
func (a Addr) RoundDown() Addr { return a &^ (PageSize - 1) }

// RoundUp returns a rounded up to a page boundary; it wraps to zero at the top of the address
// space, as the kernel's PAGE_ALIGN does, and the callers rely on it.
func (a Addr) RoundUp() Addr { return (a + PageSize - 1) &^ (PageSize - 1) }

// String returns the address in hexadecimal, as /proc/PID/maps writes it (no prefix).
func (a Addr) String() string { return strconv.FormatUint(uint64(a), 16) }

// PageAlign returns the length n rounded up to whole pages; it wraps to zero past 2^64, as the
// kernel's PAGE_ALIGN does.
func PageAlign(n uint64) uint64 { return (n + PageSize - 1) &^ (PageSize - 1) }

// Pages returns the number of whole pages in n bytes.
func Pages(n uint64) uint64 { return n >> PageShift }

// AddrRange is the half-open range of addresses [Start, End).
type AddrRange struct {
	Start, End Addr
}

// Range returns [start, start+length).
func Range(start Addr, length uint64) AddrRange {
	return AddrRange{start, start + Addr(length)}
}

// Length returns the range's length in bytes.
func (r AddrRange) Length() uint64 { return uint64(r.End - r.Start) }

// Contains reports whether a lies in the range.
func (r AddrRange) Contains(a Addr) bool { return r.Start <= a && a < r.End }

// Overlaps reports whether the ranges share an address.
func (r AddrRange) Overlaps(o AddrRange) bool { return r.Start < o.End && o.Start < r.End }

// Touches reports whether the ranges overlap or are neighbours without a gap.
func (r AddrRange) Touches(o AddrRange) bool { return r.Start <= o.End && o.Start <= r.End }

// String returns "start-end" in hexadecimal, as /proc/PID/maps writes it.
func (r AddrRange) String() string { return r.Start.String() + "-" + r.End.String() }
