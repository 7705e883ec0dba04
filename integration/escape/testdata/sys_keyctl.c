// The session's keyring: keys of Kerberos, of encrypted disks, of the caller (Docker's refusal of keyctl; CVE-2014-9529).
#include "escape.h"
int main(void)
{
	char buf[128];
	TRY(syscall(SYS_keyctl, 6 /* DESCRIBE */, -3 /* session */, buf, sizeof buf));
	escaped();
}
