// More Landlock of one's own cannot loosen the first one.
#include "escape.h"
#include <linux/landlock.h>
int main(void)
{
	struct landlock_ruleset_attr a = {.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE};
	int fd = syscall(SYS_landlock_create_ruleset, &a, sizeof a, 0), root = open("/", O_PATH);
	struct landlock_path_beneath_attr all = {LANDLOCK_ACCESS_FS_READ_FILE, root};
	syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &all, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	syscall(SYS_landlock_restrict_self, fd, 0);
	see(TRY(open(env("SECRET"), O_RDONLY)));
}
