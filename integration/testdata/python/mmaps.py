# The mmap module: files, anonymous memory, copy on write, resize (mremap), flush (msync), madvise,
# and sharing with a forked child.
import mmap, os, sys

path = "data"
with open(path, "wb") as f:
    f.write(bytes(range(256)) * 1024)
with open(path, "r+b") as f:
    m = mmap.mmap(f.fileno(), 0)
    print(len(m), m[:4], m.find(b"\xfe\xff"), m.rfind(b"\x00\x01"))
    m[0:5] = b"HELLO"
    m.flush()
    m.move(100, 0, 50)
    m.resize(600_000)
    m[599_999] = 7
    m.close()
    print(os.path.getsize(path), open(path, "rb").read()[:5], open(path, "rb").read()[100:105])
    c = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY)
    c[0:5] = b"copy!"
    r = mmap.mmap(f.fileno(), 8192, access=mmap.ACCESS_READ, offset=mmap.ALLOCATIONGRANULARITY)
    print(c[:5], open(path, "rb").read()[:5], len(r))
    try:
        r[0] = 1
    except TypeError as e:
        print("read only")
a = mmap.mmap(-1, 1 << 20)
for advice in ("MADV_DONTNEED", "MADV_SEQUENTIAL", "MADV_RANDOM", "MADV_NORMAL", "MADV_DONTFORK",
               "MADV_DOFORK", "MADV_HUGEPAGE", "MADV_NOHUGEPAGE", "MADV_DONTDUMP", "MADV_DODUMP",
               "MADV_WILLNEED", "MADV_FREE", "MADV_MERGEABLE", "MADV_UNMERGEABLE"):
    try:
        a.madvise(getattr(mmap, advice), 4096 * 3, 4096 * 50)
        print(advice, "ok")
    except OSError as e:
        print(advice, e.errno)
shared = mmap.mmap(-1, 8192, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
if os.fork() == 0:
    shared[5000:5005] = b"child"
    os._exit(0)
os.wait()
print(shared[5000:5005])
for prot in (mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE, mmap.PROT_READ | mmap.PROT_EXEC, 0x7):
    mmap.mmap(-1, 65536, prot=prot).close()
for size in (0, -1, 1 << 60):
    try:
        mmap.mmap(-1, size)
    except (OSError, ValueError, OverflowError) as e:
        print(size, type(e).__name__, getattr(e, "errno", ""))
maps = [mmap.mmap(-1, 4096 * (i % 7 + 1)) for i in range(300)]
for i in list(range(0, 300, 3)) + list(range(1, 300, 3)) + list(range(2, 300, 3)):
    maps[i].close()
print("done")
