# Perl's threads clone the whole interpreter: many small allocations from several arenas.
use strict; use warnings; use threads; use threads::shared; use Thread::Queue;
my $total :shared = 0;
my @t = map { my $n = $_; threads->create(sub {
	my @list = map { $_ * $n } 1 .. 2000;
	{ lock $total; $total += $_ for @list }
	return scalar @list;
}) } 1 .. 8;
print "joined ", join(",", map { $_->join } @t), " total $total\n";
my $q = Thread::Queue->new(1 .. 300); $q->end;
my @w = map { threads->create(sub { my $s = 0; while (defined(my $x = $q->dequeue)) { $s += $x } $s }) } 1 .. 4;
my $s = 0; $s += $_->join for @w; print "queue $s\n";
for (1 .. 10) { threads->create(sub { my $x = "y" x 500_000; length $x })->join }
print "done\n";
