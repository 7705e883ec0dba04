// A Go program: goroutines on several threads, garbage collection (madvise, large reservations),
// preemption by SIGURG, child processes, mapped files.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

func deep(n int) int {
	var pad [128]byte
	pad[n%128] = 1
	if n == 0 {
		return int(pad[0])
	}
	return deep(n-1) + int(pad[n%128])
}

func main() {
	runtime.GOMAXPROCS(4)
	var wg sync.WaitGroup
	sums := make([][32]byte, 16)
	for i := range sums {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var data []byte
			for k := range 40 {
				data = append(data, make([]byte, 40_000)...)
				data[len(data)-1] = byte(i + k)
			}
			sums[i] = sha256.Sum256(data)
		}()
	}
	wg.Wait()
	runtime.GC()
	fmt.Printf("%x %x\n", sums[0][:4], sums[15][:4])
	fmt.Println("deep", deep(50_000))
	for range 10 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
			for range 20 {
				b, err := syscall.Mmap(-1, 0, 1<<16, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
				if err != nil {
					panic(err)
				}
				b[0] = 1
				if err := syscall.Munmap(b); err != nil {
					panic(err)
				}
			}
		}()
	}
	wg.Wait()
	out, err := exec.Command("echo", "from a child").Output()
	fmt.Print(string(out), err, "\n")
	os.Exit(8)
}
