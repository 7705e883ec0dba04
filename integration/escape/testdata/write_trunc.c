// The same by open(O_TRUNC) for reading alone.
#include "escape.h"
int main(void)
{
	TRY(open(env("VICTIM_FILE"), O_RDONLY | O_TRUNC));
	escaped();
}
