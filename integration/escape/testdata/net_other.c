// Any other family of sockets, each of which has had its holes.
#include "escape.h"
int main(void)
{
	for (int family = 3; family < 46; family++)
		for (int type = 1; type < 6; type++)
			if (family != AF_INET && family != AF_INET6 && socket(family, type, 0) >= 0)
				escaped();
	(native() ? not_here : contained)("all families");
}
