package mm

import "github.com/runsbx/runsbx/sentry/hostarch"

// Version is that of a kernel, major*256 + minor. Zero stands for 6.18, which this package mirrors;
// later ones are taken to answer like it.
//
// What moved between the versions that can run a sandbox (5.19 and later):
//
//	6.3   PR_SET_MDWE
//	6.6   PR_MDWE_NO_INHERIT, MAP_ABOVE4G
//	6.7   large anonymous mappings are aligned for huge pages, MAP_STACK keeps these away
//	6.10  mseal
//	6.11  MAP_DROPPABLE
//	6.13  guard regions; of anonymous mappings, only whole huge pages are aligned
//	6.15  guard regions in files
//	6.17  mremap moves several VMAs at once
//
// Not mirrored is that before 6.12 a fixed mapping that failed late had unmapped what lay there.
type Version uint16

// KernelVersion returns the Version of Linux major.minor.
func KernelVersion(major, minor int) Version { return Version(major<<8 | minor) }

// before reports whether the kernel is older than major.minor.
func (c *Config) before(major, minor int) bool {
	return c.Version != 0 && c.Version < KernelVersion(major, minor)
}

// alignsAnon reports whether an anonymous mapping of this length is aligned for huge pages
// (__get_unmapped_area).
func (c *Config) alignsAnon(length, hint uint64) bool {
	switch {
	case !c.THP || c.before(6, 7):
		return false
	case c.before(6, 13):
		return true
	}
	return hint == 0 && length%hostarch.HugePageSize == 0
}
