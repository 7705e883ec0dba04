# Perl forks, waits, pipes, signals and runs other programs.
use strict; use warnings;
$| = 1;
my @kids;
for my $i (1 .. 20) {
	my $pid = fork // die;
	if (!$pid) { my @data = map { $_ * $i } 1 .. 5000; exit @data % 7 + $i }
	push @kids, $pid;
}
print join(" ", map { waitpid($_, 0); $? >> 8 } @kids), "\n";
open my $p, "-|", "seq", "1", "1000" or die; my $sum = 0; $sum += $_ while <$p>; close $p;
print "pipe $sum\n";
open my $w, "|-", "sort -n | tail -1" or die; print $w "$_\n" for reverse 1 .. 5000; close $w;
print "status $?\n";
system("sh", "-c", "exit 9"); print "system ", $? >> 8, "\n";
print "backticks ", `echo inside`;
{ local $SIG{ALRM} = sub { die "alarm\n" }; eval { alarm 1; sleep 5 while 1 }; print "caught $@" }
my $n = 0; $SIG{USR1} = sub { $n++ }; kill USR1 => $$ for 1 .. 50; print "signals $n\n";
my $big = join ",", 1 .. 20_000; my %h = map { $_ => length } split /,/, $big; print scalar(keys %h), "\n";
pipe(my $r, my $wr); if (!fork) { close $r; print $wr "x" x 300_000; exit } close $wr;
my $all = do { local $/; <$r> }; wait; print "pipe ", length $all, "\n";
exec "sh", "-c", 'echo "exec $0 $1"; exit 6', "zero", "one";
