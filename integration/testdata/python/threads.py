# Threads: each has a stack of its own (mmap, mprotect, munmap), they share the heap and the arenas
# of malloc, and start and end all the time.
import hashlib, queue, threading
from concurrent.futures import ThreadPoolExecutor

def work(n):
    data = bytearray(300_000)           # above malloc's mmap threshold: mapped and unmapped
    for i in range(0, len(data), 4096):
        data[i] = (n + i // 4096) & 255
    return hashlib.sha256(data).hexdigest()[:8]

with ThreadPoolExecutor(8) as pool:
    print(list(pool.map(work, range(60))))

for generation in range(10):
    results = [None] * 12
    def run(i):
        results[i] = sum(len(bytes(50_000)) for _ in range(10)) + i
    threads = [threading.Thread(target=run, args=(i,)) for i in range(12)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert results == [500_000 + i for i in range(12)], results
print("generations ok")

threading.stack_size(64 * 1024 * 1024)
deep = []
t = threading.Thread(target=lambda: deep.append(sum(range(1000))))
t.start(); t.join()
print("large stack", deep)

q, seen = queue.Queue(), []
consumer = threading.Thread(target=lambda: [seen.append(q.get()) for _ in range(500)])
consumer.start()
[q.put(i) for i in range(500)]
consumer.join()
print("queue", sum(seen))
