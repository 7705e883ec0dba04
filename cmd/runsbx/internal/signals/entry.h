// What must be seen or done in C, because Go's runtime has changed it before any Go code runs, or
// does not show it (the sender of a signal).

#include <stdint.h>

// record is one caught signal, as the handler writes it to the pipe.
struct runsbx_record {
	int32_t sig;
	int32_t code;
	int32_t pid;
	int32_t pad;
	uint64_t value;
};

int runsbx_ignored(int sig);     // was sig ignored when the process started
int runsbx_closed(int fd);       // was fd (0, 1 or 2) closed when the process started
void runsbx_pipe(int fd);        // where caught signals are written
int runsbx_catch(int sig);       // 0 or an errno
int runsbx_default(int sig);     // 0 or an errno
void runsbx_unblock(int sig);    // in the calling thread
