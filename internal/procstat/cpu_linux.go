package procstat

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// CPU returns the processor time of a process in nanoseconds: the sum of user and
// system time that /proc shows in ticks of 10 ms.
func CPU(pid int) (time.Duration, error) {
	// The clock of another process (clock_getcpuclockid(3)): its id, inverted, above the
	// number of the scheduler's clock.
	const scheduler = 2
	var spent unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduler), &spent); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return time.Duration(spent.Nano()), nil
}
