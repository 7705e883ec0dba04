// A set-user-ID program of the system runs with another user's rights (no_new_privs).
#include "escape.h"
int main(void)
{
	char name[64], line[256];
	if (geteuid() == 0)
		not_here("for ordinary users");
	pid_t pid = NEED(fork());
	if (pid == 0) // it asks for a password: its effective id tells enough
		execl("/bin/su", "su", "-c", "true", NULL), _exit(1);
	snprintf(name, sizeof name, "/proc/%d/status", pid);
	for (int i = 0; i < 100; i++, usleep(10000)) {
		FILE *f = fopen(name, "r");
		while (f && fgets(line, sizeof line, f))
			if (strncmp(line, "Uid:", 4) == 0 && strstr(line, "\t0\t"))
				kill(pid, SIGKILL), escaped();
		if (f)
			fclose(f);
	}
	kill(pid, SIGKILL);
	(native() ? not_here : contained)("it did not get root's rights");
}
