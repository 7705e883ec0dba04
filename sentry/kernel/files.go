package kernel

import (
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// A file whose filesystem keeps its contents in memory (tmpfs and memfds, ramfs, hugetlbfs) is charged by
// its size, not by the pages that it has: a shared mapping of it is filled by page faults, which nobody
// sees, but never grows it. It is charged from its first growth to the end of its inode, wherever its
// last reference was: a name, a descriptor, a mapping, a message in a socket.

// FileID is an inode.
type FileID struct{ Dev, Ino uint64 }

// Growth is a call that wants a memory file to become larger. Amounts are pages.
type Growth struct {
	File FileID
	Have uint64 // what it has now
	Want uint64 // what it will have at most
	// Errno is what a refusal answers: ENOSPC where Linux says that a filesystem is full, else ENOMEM.
	Errno linux.Errno
}

// memoryFile is a file that is charged.
type memoryFile struct {
	base  uint64 // what it had before it grew by us: somebody else's
	pages uint64 // what it has, base included
}

func (f *memoryFile) charge() uint64 { return f.pages - min(f.base, f.pages) }

// KnowsFile reports whether the file is charged.
func (k *Kernel) KnowsFile(id FileID) bool { return k.files[id] != nil }

// DecideGrowth decides whether t's call may make a file larger: Run, Refuse or Wait. What it makes of
// it in the end is told to SetFile. unseen is what the file has grown by since it was last heard of,
// in pages, where the limit does not allow for it: another one than we stop has written to it.
func (k *Kernel) DecideGrowth(t *Task, g Growth) (v Verdict, unseen uint64) {
	f := k.files[g.File]
	if f == nil {
		f = &memoryFile{base: g.Have, pages: g.Have}
	}
	if g.Have > f.pages {
		unseen = g.Have - f.pages
		if !k.setFile(g.File, f, g.Have) {
			return Verdict{}, unseen
		}
	}
	after := *f
	after.pages = max(g.Want, g.Have)
	if more := after.charge(); more > f.charge() {
		why, busy := k.commit(t, more-f.charge())
		switch {
		case busy != nil:
			return k.waitFor(t, busy), 0
		case why != nil:
			refusal := *why
			refusal.Errno = g.Errno
			return Verdict{Kind: Refuse, Result: mm.Result{Errno: g.Errno, Refusal: &refusal}}, 0
		}
		f.pages = after.pages
		k.addFile(g.File, f)
	}
	return Verdict{Kind: Run}, 0
}

// SetFile records how many pages a file has, which is charged, and reports whether the limit allows for
// them.
func (k *Kernel) SetFile(id FileID, pages uint64) bool {
	if f := k.files[id]; f != nil {
		return k.setFile(id, f, pages)
	}
	return true
}

func (k *Kernel) setFile(id FileID, f *memoryFile, pages uint64) bool {
	before := f.charge()
	f.pages = pages
	if now := f.charge(); now > before {
		k.addFile(id, f)
		k.ledger.Force(now - before)
		return k.ledger.Limit == 0 || k.ledger.Used() <= k.ledger.Limit
	} else if k.files[id] == f {
		k.ledger.Uncharge(before - now)
	}
	return true
}

// OweFile charges all that a file has, which nobody has seen growing, if it is not known yet, and
// reports whether the limit allows for it.
func (k *Kernel) OweFile(id FileID, pages uint64) bool {
	f := k.files[id]
	if f == nil {
		f = &memoryFile{}
	}
	return k.setFile(id, f, max(f.pages, pages))
}

// DropFile gives back what a file had that is no more.
func (k *Kernel) DropFile(id FileID) bool {
	f := k.files[id]
	if f == nil {
		return false
	}
	k.ledger.Uncharge(f.charge())
	delete(k.files, id)
	return f.charge() > 0
}

func (k *Kernel) addFile(id FileID, f *memoryFile) {
	if k.files == nil {
		k.files = make(map[FileID]*memoryFile)
	}
	k.files[id] = f
}

// collectFiles gives back what files had that are no more, and reports whether there are any.
func (k *Kernel) collectFiles() (found bool) {
	if len(k.files) == 0 {
		return false
	}
	ended := append(k.nameless, k.host.EndedFiles()...)
	k.nameless = nil
	for _, id := range ended {
		if k.inUse(id) {
			k.nameless = append(k.nameless, id)
		} else {
			found = k.DropFile(id) || found
		}
	}
	return found
}

// internalDev is the device of the kernel's own tmpfs, where no file has a name: its first file system
// without a device of its own.
const internalDev = 1

// inUse reports whether any task has the file mapped or open.
func (k *Kernel) inUse(id FileID) bool {
	if id.Dev == internalDev || k.files[id] == nil {
		return false
	}
	spaces, tables := make(map[*space]bool), make(map[*descriptors]bool)
	for _, t := range k.tasks {
		if !spaces[t.space] && !t.space.vacated && t.space.mm.Maps(id.Dev, id.Ino) {
			return true
		}
		if !tables[t.table] && k.host.HasOpen(t, id) {
			return true
		}
		// A leader that has ended shows nothing of the table that its threads have.
		spaces[t.space], tables[t.table] = true, !k.host.Gone(t)
	}
	return false
}

// CollectFiles takes off the ledger the files that are no more.
func (k *Kernel) CollectFiles() { k.collectFiles() }

// Uncounted is the refusal of memory that cannot be counted, while there is a limit on all memory.
func Uncounted(wanted uint64, errno linux.Errno) Verdict {
	why := &limits.Refusal{Resource: limits.Uncounted, Wanted: wanted, Errno: errno}
	return Verdict{Kind: Refuse, Result: mm.Result{Errno: errno, Refusal: why}}
}
