// The system's python makes executable memory through ctypes.
#include "escape.h"
int main(void)
{
	EXEC42("/usr/bin/python3", "-c",
	       "import ctypes, mmap, os\n"
	       "m = mmap.mmap(-1, 4096, prot=7); m.write(b'\\xb8\\x2a\\0\\0\\0\\xc3')\n"
	       "os._exit(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))())");
}
