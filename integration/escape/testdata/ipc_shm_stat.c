// All segments of the system are found and looked at (SHM_STAT takes an index, not an id).
#include "escape.h"
int main(void)
{
	struct shmid_ds ds;
	for (int i = 0; i < 256; i++) {
		int id = shmctl(i, SHM_STAT, &ds);
		if (id == number("SHM_ID"))
			escaped();
	}
	contained("SHM_STAT");
}
