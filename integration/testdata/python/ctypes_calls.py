# Memory calls made directly through libc by ctypes, and the errno of each; code that is written
# into a mapping and run (ctypes' own callbacks need executable memory as well).
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p]
for f in ("munmap", "mprotect", "mlock", "munlock", "msync", "madvise"):
    getattr(libc, f).argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

def show(what, r):
    if r in (-1, (1 << 64) - 1):
        print(what, errno.errorcode[ctypes.get_errno()])
    else:
        print(what, "ok")

ANON, PRIVATE, FIXED, NOREPLACE = 0x20, 2, 0x10, 0x100000
p = libc.mmap(None, 1 << 20, 3, ANON | PRIVATE, -1, 0)
show("mmap", p)
show("length 0", libc.mmap(None, 0, 3, ANON | PRIVATE, -1, 0))
show("bad fd", libc.mmap(None, 4096, 3, PRIVATE, 999, 0))
show("neither shared nor private", libc.mmap(None, 4096, 3, ANON, -1, 0))
show("unaligned fixed", libc.mmap(p + 1, 4096, 3, ANON | PRIVATE | FIXED, -1, 0))
show("occupied", libc.mmap(p, 4096, 3, ANON | PRIVATE | NOREPLACE, -1, 0))
show("fixed", libc.mmap(p + 8192, 4096, 1, ANON | PRIVATE | FIXED, -1, 0))
show("too large", libc.mmap(None, 1 << 47, 0, ANON | PRIVATE, -1, 0))
show("at 0 as fixed", libc.mmap((1 << 47), 4096, 0, ANON | PRIVATE | FIXED, -1, 0))
show("mprotect", libc.mprotect(p, 4096, 1))
show("mprotect unaligned", libc.mprotect(p + 5, 4096, 1))
show("mprotect bad bits", libc.mprotect(p, 4096, 0x100))
show("munmap unaligned", libc.munmap(p + 1, 4096, 0))
show("munmap 0", libc.munmap(p, 0, 0))
show("hole", libc.munmap(p + 65536, 4096, 0))
show("mprotect over a hole", libc.mprotect(p + 61440, 12288, 1))
show("mlock over a hole", libc.mlock(p + 61440, 12288, 0))
show("mlock", libc.mlock(p, 8192, 0))
show("msync", libc.msync(p, 8192, 4))
show("msync both", libc.msync(p, 8192, 5))
show("madvise unknown", libc.madvise(p, 8192, 9999))
show("mremap grow in place", libc.mremap(p, 4096, 8192, 0, None))
show("mremap may move", libc.mremap(p, 4096, 2 << 20, 1, None))
show("mremap of nothing", libc.mremap(p + 65536, 4096, 8192, 1, None))

code = b"\xb8\x2a\x00\x00\x00\xc3"  # mov eax, 42; ret
x = libc.mmap(None, 4096, 3, ANON | PRIVATE, -1, 0)
ctypes.memmove(x, code, len(code))
show("executable", libc.mprotect(x, 4096, 5))
print("ran", ctypes.CFUNCTYPE(ctypes.c_int)(x)())

CMP = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
array = (ctypes.c_int * 1000)(*[(i * 7919) % 1000 for i in range(1000)])
libc.qsort(array, 1000, 4, CMP(lambda a, b: a[0] - b[0]))
print("sorted", list(array) == list(range(1000)))
show("sbrk", libc.sbrk(1 << 20))
