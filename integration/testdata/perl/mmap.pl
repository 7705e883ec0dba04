# Memory calls by number through syscall(), and SysV shared memory through Perl's own functions.
use strict; use warnings; use IPC::SysV qw(IPC_PRIVATE IPC_RMID S_IRUSR S_IWUSR);
my ($mmap, $mprotect, $munmap, $mremap, $brk) = (9, 10, 11, 25, 12);
sub show { my ($what, $r) = @_; print "$what ", $r == -1 ? "errno " . ($! + 0) : "ok", "\n" }
my $p = syscall($mmap, 0, 1 << 20, 3, 0x22, -1, 0);
show "mmap", $p;
show "mprotect", syscall($mprotect, $p, 65536, 1);
show "munmap", syscall($munmap, $p + 131072, 65536);
show "mremap", syscall($mremap, $p + 262144, 65536, 131072, 1, 0);
show "mprotect of a hole", syscall($mprotect, $p + 131072, 4096, 3);
show "unaligned", syscall($munmap, $p + 3, 4096);
for my $i (1 .. 300) {
	my $q = syscall($mmap, 0, 4096 * ($i % 9 + 1), 3, 0x22, -1, 0);
	die if $q == -1;
	die if syscall($munmap, $q + 0, 4096 * ($i % 5 + 1)) == -1;
}
my $id = shmget(IPC_PRIVATE, 20000, S_IRUSR | S_IWUSR) // die "shmget $!";
shmwrite($id, "shared text", 5000, 11) or die; shmread($id, my $buf, 5000, 11) or die; print "$buf\n";
if (!fork) { shmwrite($id, "from child!", 0, 11); exit } wait;
shmread($id, $buf, 0, 11); print "$buf\n"; shmctl($id, IPC_RMID, 0) or die;
print "done\n";
