package confine

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// keptCapabilities are what is left of a privileged program's capabilities: those that it needs to be root
// among its own files and processes.
var keptCapabilities = []int{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_KILL, unix.CAP_SETGID,
	unix.CAP_SETUID, unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE, unix.CAP_SYS_CHROOT,
}

// KeptCapabilities returns them as a mask, bit n for capability n.
func KeptCapabilities() (m uint64) {
	for _, c := range keptCapabilities {
		m |= 1 << c
	}
	return m
}

// Capset returns the arguments of a capset(2) that takes all but a few capabilities from process pid, and
// which those are; nil when it has no others. None can be inherited then, and so none is ambient. That a
// root's exec does not bring them back is due to no_new_privs: see cap_bprm_creds_from_file.
func Capset(pid int) (header, data []byte, dropped []int, err error) {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3, Pid: int32(pid)}
	var d [2]unix.CapUserData
	if err := unix.Capget(&h, &d[0]); err != nil {
		return nil, nil, nil, fmt.Errorf("capget: %w", err)
	}
	permitted := uint64(d[0].Permitted) | uint64(d[1].Permitted)<<32
	effective := uint64(d[0].Effective) | uint64(d[1].Effective)<<32
	inheritable := uint64(d[0].Inheritable) | uint64(d[1].Inheritable)<<32
	keep := KeptCapabilities()
	if (permitted|effective)&^keep == 0 && inheritable == 0 {
		return nil, nil, nil, nil
	}
	for c := range 64 {
		if permitted&^keep>>c&1 != 0 {
			dropped = append(dropped, c)
		}
	}
	header = binary.NativeEndian.AppendUint32(header, unix.LINUX_CAPABILITY_VERSION_3)
	header = binary.NativeEndian.AppendUint32(header, 0) // the caller
	for half := 0; half < 64; half += 32 {
		for _, set := range []uint64{effective & keep, permitted & keep, 0} {
			data = binary.NativeEndian.AppendUint32(data, uint32(set>>half))
		}
	}
	return header, data, dropped, nil
}
