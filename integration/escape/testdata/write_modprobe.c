// /proc/sys/kernel/modprobe names a program that the kernel runs as root.
#include "escape.h"
int main(void)
{
	int fd = open("/proc/sys/kernel/modprobe", O_WRONLY);
	if (fd < 0)
		opened_for_writing("/proc/sys/kernel/hotplug");
	escaped();
}
