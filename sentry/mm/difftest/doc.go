// Package difftest makes the same random memory calls on the running kernel and on the manager
// of package mm, and compares every answer, every VMA with its flags and offset, and the
// counters, after each call. It holds tests only:
//
//	go test ./sentry/mm/difftest -seeds 1000 -calls 300
//
// The kernel's side is a small C program without libc (testdata/guest.c), started without address
// randomization, so that a run can be replayed call by call and shortened when it fails.
package difftest
