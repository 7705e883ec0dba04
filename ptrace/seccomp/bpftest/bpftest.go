// Package bpftest runs seccomp filters in tests, without a kernel.
package bpftest

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// Data is struct seccomp_data.
type Data struct {
	Nr   int32
	Arch uint32
	IP   uint64
	Args [6]uint64
}

// Call is a call of x86-64.
func Call(nr uint64, args ...uint64) Data {
	d := Data{Nr: int32(nr), Arch: unix.AUDIT_ARCH_X86_64}
	copy(d.Args[:], args)
	return d
}

// Run runs the program, an array of struct sock_filter, as the kernel does, and returns what it does.
// looked reports whether it looked at anything but the number and the architecture, in which case the
// kernel cannot cache its answer.
func Run(prog []byte, d Data) (ret uint32, looked bool, err error) {
	var mem [64]byte
	binary.NativeEndian.PutUint32(mem[0:], uint32(d.Nr))
	binary.NativeEndian.PutUint32(mem[4:], d.Arch)
	binary.NativeEndian.PutUint64(mem[8:], d.IP)
	for i, a := range d.Args {
		binary.NativeEndian.PutUint64(mem[16+8*i:], a)
	}
	var a uint32
	for pc := 0; ; pc++ {
		if 8*pc+8 > len(prog) {
			return 0, looked, fmt.Errorf("ran off the end at %d", pc)
		}
		in := prog[8*pc:]
		code, jt, jf, k := binary.NativeEndian.Uint16(in), in[2], in[3], binary.NativeEndian.Uint32(in[4:])
		jump := func(cond bool) {
			if cond {
				pc += int(jt)
			} else {
				pc += int(jf)
			}
		}
		switch code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = binary.NativeEndian.Uint32(mem[k:])
			looked = looked || k > 4
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			jump(a == k)
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			jump(a > k)
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			jump(a >= k)
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			jump(a&k != 0)
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(k)
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= k
		case unix.BPF_RET | unix.BPF_K:
			return k, looked, nil
		default:
			return 0, looked, fmt.Errorf("instruction %#x at %d", code, pc)
		}
	}
}
