package sandbox

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestShrinkSysinfo(t *testing.T) {
	machine := unix.Sysinfo_t{Totalram: 24 << 30, Freeram: 8 << 30, Bufferram: 1 << 30, Sharedram: 5, Totalswap: 7, Freeswap: 6, Unit: 1}
	for _, x := range []struct {
		name              string
		unit              uint32
		used, limit       uint64
		total, free, swap uint64 // in units
	}{
		{"a part is used", 1, 100 << 20, 256 << 20, 256 << 20, 156 << 20, 0},
		{"all is used", 1, 256 << 20, 256 << 20, 256 << 20, 0, 0},
		{"the machine has less left than the budget", 1, 0, 16 << 30, 16 << 30, 8 << 30, 0},
		{"the machine has less than the budget", 1, 0, 32 << 30, 24 << 30, 8 << 30, 7},
		{"in pages", 4096, 1 << 20, 2 << 20, 512, 256, 0},
	} {
		info := machine
		info.Unit = x.unit
		shrinkSysinfo(&info, x.used, x.limit)
		if info.Totalram != x.total || info.Freeram != x.free || info.Totalswap != x.swap || info.Freeram+info.Bufferram > info.Totalram {
			t.Errorf("%s: %+v", x.name, info)
		}
	}
}
