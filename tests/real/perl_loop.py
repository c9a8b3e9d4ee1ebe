#!/usr/bin/python3
# perl: closures, a hash, a regular expression in the middle of its work, sleeps.
# LEVELS: none cap root
from _program import Program, expect, main, need

PROGRAM = r"""
use strict; use warnings; use Time::HiRes 'usleep'; $| = 1;
my (%seen, $text);
sub counter { my $n = shift; return sub { return $n++ } }
my $next = counter(1);
for my $step (1 .. 150) {
    my $n = $next->();
    $seen{$n} = 'x' x $n;
    $text .= "number $n is " . ($n % 2 ? 'odd' : 'even') . ', ';
    my $odd = () = $text =~ /number \d+ is odd/g;
    printf "%d %d %d\n", $step, $odd, length $seen{$n};
    usleep 15_000;
}
printf "result %d %d\n", length($text), scalar keys %seen;
exit 7;
"""


def test():
    need("perl")
    job = Program("perl", "-e", PROGRAM)
    job.wait_for_more()
    job.checkpoint()
    job.wait_for_more()
    image = job.checkpoint("--kill")
    job.restore(image)
    job.wait_for_more()
    job.wait(7)
    length = sum(len(f"number {n} is {'odd' if n % 2 else 'even'}, ") for n in range(1, 151))
    expect(job.lines() == [f"{n} {(n + 1) // 2} {n}" for n in range(1, 151)]
           + [f"result {length} 150"], f"wrong:\n{job.text()}")


main(test)
