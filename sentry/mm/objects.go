package mm

import "github.com/runsbx/runsbx/sentry/hostarch"

// IsObject reports whether f is memory that a call made together with its first mapping, and that
// lives as long as it is mapped anywhere: shared anonymous memory, that of /dev/zero, shared huge
// pages without a file of the program's, and AIO rings.
func (f *File) IsObject() bool {
	switch f.Kind {
	case Shmem:
		return f.Name == sharedAnonName
	case Hugetlb:
		return f.Name == anonHugeName
	}
	return f.Kind == Ring
}

// Maps reports whether the file with this device and inode number is mapped.
func (m *MemoryManager) Maps(dev, ino uint64) bool {
	for seg := range m.vmas.All() {
		if f := seg.Value.File; f != nil && f.Dev == dev && f.Ino == ino {
			return true
		}
	}
	return false
}

// Objects returns the objects of which shared mappings exist (see File.IsObject), and how many pages
// each has: as many as it was made with, or as are mapped of it where that is not known.
func (m *MemoryManager) Objects() map[*File]uint64 {
	var objects map[*File]uint64
	for seg := range m.vmas.All() {
		v := &seg.Value
		if v.Flags&VM_SHARED == 0 || v.File == nil || !v.File.IsObject() {
			continue
		}
		if objects == nil {
			objects = make(map[*File]uint64)
		}
		size := hostarch.Pages(v.File.Size)
		if size == 0 {
			size = max(objects[v.File], v.PgOff+hostarch.Pages(seg.End-seg.Start))
		}
		objects[v.File] = size
	}
	return objects
}
