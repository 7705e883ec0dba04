# multiprocessing with each start method: fork copies the address space, spawn execs a new
# interpreter, forkserver forks from a helper that was given descriptors over a socket.
import multiprocessing as mp, os, sys
from multiprocessing import shared_memory

def square(x):
    return x * x

def fill(name, start, n):
    shm = shared_memory.SharedMemory(name=name)
    for i in range(start, start + n):
        shm.buf[i] = i & 255
    shm.close()

def main():
    for method in ("fork", "spawn", "forkserver"):
        ctx = mp.get_context(method)
        with ctx.Pool(2) as pool:
            print(method, "pool", sum(pool.map(square, range(200))))
        shm = shared_memory.SharedMemory(create=True, size=100_000)
        ps = [ctx.Process(target=fill, args=(shm.name, i * 25_000, 25_000)) for i in range(4)]
        [p.start() for p in ps]
        [p.join() for p in ps]
        print(method, "shared", [p.exitcode for p in ps], sum(shm.buf))
        shm.close()
        shm.unlink()
        value = ctx.Value("i", 0)
        p = ctx.Process(target=sys.exit, args=(3,))
        p.start(); p.join()
        print(method, "exit", p.exitcode, value.value)

if __name__ == "__main__":
    main()
