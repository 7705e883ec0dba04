// Package difftest compares the manager of package mm with the running kernel. It holds tests only.
//
// TestKernel makes the same random memory calls on both and compares every answer and every list of
// VMAs after each call, all flags and the counters after every few, and all of it after each call in one
// run of sixteen. The kernel's side is a small C program without libc (testdata/guest.c), started without
// address randomization, so that a run can be made again and shortened when it fails. The runs fork and
// go on in either process, touch memory and so grow stacks, set their own limits and have them set,
// are privileged or not, and laid out top-down or bottom-up. The whole campaign:
//
//	go test ./sentry/mm/difftest -timeout 60m -seeds 500 -calls 3000
//
// Each run is written down as a transcript (transcript_test.go has the format), and replayed from that on
// the model alone: no process, no system call. TestTranscripts replays so what is kept in testdata, one
// file for each tricky rule; it needs neither Linux nor cgo. From the running kernel they are made anew by
//
//	go test ./sentry/mm/difftest -run TestRecord -record
//
// TestMapCount makes calls in a process that has as many VMAs as it may have.
//
// What the model cannot know (Result.Unsure) is taken over from the kernel, counted, and printed: whether
// there are huge pages, what a torn AIO ring holds, where pages lie for a strict mbind.
package difftest
