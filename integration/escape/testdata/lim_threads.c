// The same with threads, of which Linux makes no difference.
#include "escape.h"
static void *thread(void *arg) { return pause(), NULL; }
int main(void)
{
	if (native())
		errno = 0, not_here("not outside of a sandbox");
	pthread_attr_t a;
	pthread_t t;
	alarm(50);
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 16384);
	for (int n = 0; n < 20000; n++)
		if ((errno = pthread_create(&t, &a, thread, NULL)))
			contained("pthread_create");
	escaped();
}
