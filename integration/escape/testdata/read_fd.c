// A descriptor of the caller that nobody closed (runc CVE-2016-9962, CVE-2024-21626).
#include "escape.h"
int main(void) { see(8); }
